"""Fine-tune with transformers' Trainer: what this project is measured against, one process a run.

In: a model folder and a task's folder as download_task makes it. Out: model.safetensors, answers.npz (logits and
labels of the validation split) and run.json.

`stock` is what run_glue.py of transformers' examples sets up: `datasets` from the files, every text padded to the
maximal length, the defaults of TrainingArguments. Checkpoints are off (save_strategy "no"; the default writes one every
500 steps), nothing is reported to trackers, and no best model is loaded. `tuned` is what a good engineer changes:
padding to the longest of a batch, batches of texts of like length, fused AdamW, scaled dot-product attention, bfloat16
on a GPU that has it, larger batches for evaluation, no logging; on a GPU two workers that load the data.
"""

import argparse
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    set_seed,
)

CONTESTANTS = ("stock", "tuned")
# Families for which transformers has no scaled dot-product attention, and refuses to be asked for it.
NO_SDPA = ("deberta", "deberta-v2")


class Stopwatch(TrainerCallback):
    """Seconds from the start of the first step to the end of the last."""

    def __init__(self) -> None:
        self.started = self.seconds = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.started = _now()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.seconds = _now() - self.started


def training_arguments(arguments: argparse.Namespace) -> TrainingArguments:
    """What a contestant asks of the Trainer in addition to batch size, epochs, learning rate and seed."""
    common = {
        "output_dir": str(arguments.output_dir),
        "per_device_train_batch_size": arguments.batch_size,
        "num_train_epochs": arguments.epochs,
        "max_steps": arguments.steps or -1,
        "learning_rate": arguments.learning_rate,
        "seed": arguments.seed,
        "use_cpu": arguments.device == "cpu",
        "save_strategy": "no",
        "report_to": "none",
    }
    if arguments.contestant == "stock":
        return TrainingArguments(**common)
    on_gpu = arguments.device == "cuda"
    return TrainingArguments(
        **common,
        per_device_eval_batch_size=64,
        train_sampling_strategy="group_by_length",
        optim="adamw_torch_fused",
        bf16=on_gpu and torch.cuda.is_bf16_supported(including_emulation=False),
        dataloader_num_workers=2 if on_gpu else 0,
        dataloader_pin_memory=on_gpu,
        logging_strategy="no",
        disable_tqdm=True,
    )


def make_trainer(arguments: argparse.Namespace) -> tuple[Trainer, Stopwatch]:
    """A contestant's Trainer, ready to train, and the watch that takes its time."""
    set_seed(arguments.seed)
    task = json.loads((arguments.task_dir / "task.json").read_text(encoding="utf-8"))
    outputs = len(task["labels"] or [None])
    config = AutoConfig.from_pretrained(arguments.model_dir, num_labels=outputs)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model_dir)
    is_tuned = arguments.contestant == "tuned" and config.model_type not in NO_SDPA
    tuned = {"attn_implementation": "sdpa"} if is_tuned else {}
    model = AutoModelForSequenceClassification.from_pretrained(arguments.model_dir, config=config, **tuned)

    splits = datasets.load_dataset(
        "parquet",
        data_files={split: str(arguments.task_dir / f"{split}.parquet") for split in ("train", "validation")},
        cache_dir=str(arguments.cache_dir),
    )
    stock = arguments.contestant == "stock"

    def encode(rows: Mapping[str, list]) -> Mapping[str, list]:
        texts = [rows[name] for name in ("text", "text_pair") if name in rows]
        encoded = tokenizer(
            *texts, padding="max_length" if stock else False, max_length=arguments.max_length, truncation=True
        )
        return encoded if stock else {**encoded, "length": [len(ids) for ids in encoded["input_ids"]]}

    splits = splits.map(encode, batched=True)
    stopwatch = Stopwatch()
    trainer = Trainer(
        model=model,
        args=training_arguments(arguments),
        train_dataset=splits["train"],
        eval_dataset=splits["validation"],
        processing_class=tokenizer,
        data_collator=default_data_collator if stock else DataCollatorWithPadding(tokenizer),
        callbacks=[stopwatch],
    )
    return trainer, stopwatch


def main(arguments: argparse.Namespace) -> None:
    trainer, stopwatch = make_trainer(arguments)
    trainer.train()
    trainer.save_model()
    # Grouped by length the validation split comes out in another order too: its labels go with it.
    answers = trainer.predict(trainer.eval_dataset)
    np.savez(arguments.output_dir / "answers.npz", logits=answers.predictions, labels=answers.label_ids)
    steps = math.ceil(len(trainer.train_dataset) / arguments.batch_size)
    record = {
        "train_seconds": stopwatch.seconds,
        "steps": trainer.state.global_step,
        "planned_steps": math.ceil(steps * arguments.epochs),
    }
    (arguments.output_dir / "run.json").write_text(json.dumps(record), encoding="utf-8")


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contestant", choices=CONTESTANTS, required=True)
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--task-dir", type=Path, required=True, help="train.parquet, validation.parquet, task.json")
    parser.add_argument("--cache-dir", type=Path, required=True, help="where `datasets` keeps its files")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=float, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--max-length", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--output-dir", type=Path, required=True)
    main(parser.parse_args())

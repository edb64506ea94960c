"""Shorten a model of sentence embeddings with sentence-transformers, or score a folder with it, one process each.

`train` follows sentence-transformers' own example (examples/sentence_transformer/training/distillation,
model_distillation_layer_reduction.py): layers are taken out, and the rest learns the full model's vectors of texts by
their mean squared error, with its batches, learning rate and warm-up. Its evaluations and checkpoints in between are
left out, and half precision, which a CPU lacks. Out: a folder of sentence-transformers and run.json.

`score` prints the Spearman correlation of cosines with the labels of pairs, as JSON; with `--keep`, of these layers.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import torch
from datasets import Dataset
from scipy.stats import spearmanr
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
    losses,
)
from transformers import set_seed

TEACHER_BATCH = 128


def keep_layers(embedder: SentenceTransformer, kept: Sequence[int]) -> None:
    """Take the other layers out, as the example does for models of BERT's form."""
    model = embedder[0].auto_model
    model.encoder.layer = torch.nn.ModuleList(model.encoder.layer[index] for index in kept)
    model.config.num_hidden_layers = len(kept)


def train(arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    set_seed(arguments.seed)
    teacher = SentenceTransformer(str(arguments.model_dir), device=arguments.device)
    student = SentenceTransformer(str(arguments.model_dir), device=arguments.device)
    keep_layers(student, arguments.keep)
    texts = pq.read_table(arguments.texts)["text"].to_pylist()
    vectors = teacher.encode(texts, batch_size=TEACHER_BATCH, show_progress_bar=False)
    answered = time.perf_counter()
    trainer = SentenceTransformerTrainer(
        model=student,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(arguments.output_dir / "trainer"),
            num_train_epochs=arguments.epochs,
            per_device_train_batch_size=arguments.batch_size,
            warmup_steps=arguments.warmup_ratio,  # below 1, transformers takes it for a share of the steps
            learning_rate=arguments.learning_rate,
            seed=arguments.seed,
            use_cpu=arguments.device == "cpu",
            save_strategy="no",
            eval_strategy="no",
            report_to="none",
        ),
        train_dataset=Dataset.from_dict({"sentence": texts, "label": vectors.tolist()}),
        loss=losses.MSELoss(model=student),
    )
    begun = time.perf_counter()
    trainer.train()
    trained = time.perf_counter()
    student.save(str(arguments.output_dir / "model"))
    record = {
        "steps": trainer.state.global_step,
        "teacher_seconds": answered - started,
        "train_seconds": trained - begun,
    }
    (arguments.output_dir / "run.json").write_text(json.dumps(record), encoding="utf-8")


def score(arguments: argparse.Namespace) -> None:
    pairs = pq.read_table(arguments.pairs)
    model = SentenceTransformer(str(arguments.model_dir), device=arguments.device)
    if arguments.keep:
        keep_layers(model, arguments.keep)
    first, second = (
        model.encode(pairs[column].to_pylist(), normalize_embeddings=True, show_progress_bar=False)
        for column in ("text", "text_pair")
    )
    value = spearmanr((first * second).sum(axis=1), pairs["label"].to_numpy()).statistic
    print(json.dumps({"spearman": float(value)}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train")
    command.set_defaults(act=train)
    command.add_argument("--texts", type=Path, required=True, help="parquet file with a column text")
    command.add_argument("--batch-size", type=int, required=True)
    command.add_argument("--epochs", type=float, required=True)
    command.add_argument("--learning-rate", type=float, required=True)
    command.add_argument("--warmup-ratio", type=float, required=True)
    command.add_argument("--seed", type=int, required=True)
    command.add_argument("--output-dir", type=Path, required=True)
    command = commands.add_parser("score")
    command.set_defaults(act=score)
    command.add_argument("--pairs", type=Path, required=True, help="parquet file with text, text_pair, label")
    for command in commands.choices.values():
        command.add_argument("--model-dir", type=Path, required=True, help="folder of sentence-transformers")
        command.add_argument(
            "--keep", type=int, nargs="*", default=[], help="layers to keep, all if none; 0 is the lowest"
        )
        command.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    arguments.act(arguments)

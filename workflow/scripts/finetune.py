"""Train a model on a task's tokens: a baseline, or the refining of a model that lost layers.

In: a model folder, tokens files, a task, settings. Out: a model folder with its training log and manifest. Of runs
whose inputs, settings and code are the same, one is trained and the others are copies of its result.
"""

import argparse
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shallower.core.cli import add_compute_arguments, json_argument, run_step
from shallower.core.code_digest import code_digest, code_files
from shallower.core.environment import CHECKPOINT_SECONDS
from shallower.core.files import fingerprint, read_json, sha256_of, write_json, write_text
from shallower.core.layers import Layers
from shallower.core.locks import exclusive_lock
from shallower.core.provenance import code_state, versions
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import Compute, choose_compute
from shallower.engine.distillation import Distillation
from shallower.engine.run_cache import FinishedRun
from shallower.engine.tokens import TokenSet, read_tokens, with_unlabelled
from shallower.engine.training import TrainSettings, train
from shallower.models.checksums import verified, verified_file
from shallower.models.families import family_of
from shallower.models.folder import CONFIG, TOKENIZER_FILES, WEIGHTS, dropped_from
from shallower.models.rounding import round_weights
from shallower.models.sentence_embedding import complete_folder
from shallower.task_kinds.registry import task_kind

SCRIPT = Path(__file__).resolve()
LIBRARY = SCRIPT.parents[1]


def main(arguments: argparse.Namespace) -> None:
    distill = arguments.settings.pop("distill", None)
    class_weights = arguments.settings.pop("class_weights", None)
    settings = TrainSettings.parse(arguments.settings)
    model = verified(arguments.model_dir)
    verified(arguments.tokenizer_dir, TOKENIZER_FILES)
    task = read_json(arguments.task)
    tokens = read_tokens(arguments.tokens)
    digests = {
        "starting_model": model[WEIGHTS],
        "starting_config": model[CONFIG],
        "tokens": sha256_of(arguments.tokens),
        "task": verified_file(arguments.task),
    }
    distillation, labelled = None, tokens
    unlabelled_made_from: Mapping[str, Any] | None = None
    if distill is not None:
        if arguments.unlabelled is not None:
            unlabelled = read_tokens(arguments.unlabelled)
            tokens, unlabelled_made_from = with_unlabelled(tokens, unlabelled), unlabelled.made_from
            digests["unlabelled"] = sha256_of(arguments.unlabelled)
        distillation = Distillation.of(distill, arguments.teacher, tokens, len(labelled.labels))
        digests["teacher"] = sha256_of(arguments.teacher)
    weights = None
    if class_weights is not None:
        weights = task_kind(task["target"]).class_weights(labelled.labels, len(task["labels"]))
    work = {
        "settings": {
            **vars(settings),
            "max_length": tokens.max_length,
            "distill": distill,
            **({} if weights is None else {"class_weights": class_weights}),
        },
        **({} if weights is None else {"class_weights": dict(zip(task["labels"], weights, strict=True))}),
        "frozen_layers": layers_to_freeze(arguments.freeze_layers, arguments.model_dir / CONFIG),
        "seed": arguments.seed,
        "pruned_dtype": arguments.pruned_dtype,
        "threads": arguments.threads,
        "sha256": digests,
        "dropped_from": dropped_from(arguments.model_dir),
        "tokens_made_from": tokens.made_from,
        "unlabelled_made_from": unlabelled_made_from,
        "examples": labelled.num_examples,
        "unlabelled_examples": tokens.num_examples - labelled.num_examples,
        "versions": versions(),
    }
    code = code_digest(code_files(SCRIPT, LIBRARY), LIBRARY)
    lock = arguments.scratch / f"{fingerprint({**work, 'code': code})}.lock"
    with exclusive_lock(lock, f"{arguments.label}: an identical run is in progress; waiting for its result"):
        # Not before: a run that waits keeps no other from a GPU.
        compute = choose_compute(arguments.device, arguments.precision, arguments.threads)
        identity = work | {"device": compute.device, "precision": compute.precision}
        key = {**identity, "code": code}
        output_dir, scratch = arguments.output_dir, arguments.scratch / fingerprint(key)
        finished = FinishedRun(scratch.with_suffix(".json"), key)
        checkpoints = CheckpointFolder(scratch, key)
        if manifest := finished.copy_to(output_dir):
            complete_folder(arguments.tokenizer_dir, output_dir)
            source = manifest.get("trained_as")
            logging.info("%s: %s", arguments.label, f"identical to {source}, which is copied" if source else "in place")
        else:
            manifest = identity | train_and_save(
                arguments, task, tokens, settings, compute, checkpoints, identity, distillation
            )
        write_json(output_dir / "manifest.json", manifest)
        finished.write(output_dir, manifest)
        checkpoints.remove()


def layers_to_freeze(layers_file: Path | None, config_file: Path) -> list[int]:
    """The dropped layers of a layers.json, which must be for the model at hand; none without a file."""
    if layers_file is None:
        return []
    layers, config = Layers.read(layers_file), read_json(config_file)
    layers.check_depth(family_of(config).num_layers(config), layers.num_layers, config_file.parent)
    return layers.dropped


def train_and_save(
    arguments: argparse.Namespace,
    task: Mapping[str, Any],
    tokens: TokenSet,
    settings: TrainSettings,
    compute: Compute,
    checkpoints: CheckpointFolder,
    identity: Mapping[str, Any],
    distillation: Distillation | None,
) -> dict[str, Any]:
    """Train, write the model folder and the log, and return what the manifest says beyond the identity."""
    classifier = load_for_training(arguments.model_dir, task, arguments.seed, tokens.padding_side)
    classifier.set_max_length(tokens.max_length)
    if "class_weights" in identity:
        classifier.kind = classifier.kind.with_weights([*identity["class_weights"].values()])
    classifier.freeze(identity["frozen_layers"])
    result = train(
        classifier,
        tokens,
        settings,
        arguments.seed,
        compute,
        checkpoints,
        arguments.checkpoint_seconds,
        label=arguments.label,
        distillation=distillation,
    )
    output_dir = arguments.output_dir
    classifier.save(arguments.tokenizer_dir, output_dir)
    if arguments.pruned_dtype == "bf16":
        round_weights(output_dir)
    log = "".join(json.dumps(record) + "\n" for record in result.records)
    write_text(output_dir / "training.jsonl", log)
    weights = output_dir / WEIGHTS
    return {
        "sha256": {**identity["sha256"], WEIGHTS: sha256_of(weights), CONFIG: sha256_of(output_dir / CONFIG)},
        "code": code_state(LIBRARY) | {"digest": code_digest(code_files(SCRIPT, LIBRARY), LIBRARY)},
        "processor": compute.processor,
        "head": classifier.head,
        "parameters": classifier.count_parameters(),
        "model_bytes": weights.stat().st_size,
        "steps": result.steps,
        "tokens": result.tokens,
        "train_seconds": round(result.seconds, 3),
        "tokens_per_second": round(result.tokens / result.seconds, 1) if result.tokens else 0.0,
        "final_loss": result.records[-1]["loss"] if result.records else None,
        "resumed": result.sessions - 1,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="starting weights and config.json")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the training split")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--settings", type=json_argument, required=True, help="JSON: epochs, batch_size, ...")
    parser.add_argument("--seed", type=int, required=True)
    add_compute_arguments(parser)
    parser.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    parser.add_argument("--tokenizer-dir", type=Path, required=True, help="folder with the tokenizer's files")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for checkpoints and records of runs")
    parser.add_argument("--freeze-layers", type=Path, help="layers.json whose dropped layers are not trained")
    parser.add_argument("--teacher", type=Path, help="teacher.safetensors, for settings with distill")
    parser.add_argument("--unlabelled", type=Path, help="tokens file of texts without labels that the teacher answers")
    parser.add_argument("--pruned-dtype", choices=["fp32", "bf16"], default="fp32", help="dtype of the saved weights")
    parser.add_argument("--label", default="training", help="how progress lines name this run")
    # From the environment in the workflow, so that no result depends on it.
    interval = os.environ.get(CHECKPOINT_SECONDS)
    parser.add_argument("--checkpoint-seconds", type=float, default=interval, required=interval is None)
    parser.add_argument("--output-dir", type=Path, required=True)
    run_step(parser, main)

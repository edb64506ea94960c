"""Greedy layer pruning: what the choices of this project are measured against, one process a search.

In: a fine-tuned model folder, tokens to train on and to judge by, task.json. Out: a JSON file with the layers in the
order in which they were dropped, all trials and what they cost.

Source: Peer, Stabinger, Engl and Rodriguez-Sanchez, "Greedy-layer pruning: Speeding up transformer models for natural
language processing" (Pattern Recognition Letters, 2022; arXiv 2105.14839). Of the layers that are left each one in turn
is taken out, the model without it is fine-tuned and scored, and the one whose loss hurts least is dropped for good;
again and again. Two things differ from the paper, both in its favour here: it is done with this project's own engine,
in one process, and every candidate starts from the fine-tuned weights, as all other choices here do, so that it needs
only as many epochs as a refining has. Candidates are scored on calibration examples, as all choices here are.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from shallower.analysis.race import Trial
from shallower.core.cli import add_compute_arguments, json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import choose_compute
from shallower.engine.prediction import predict
from shallower.engine.tokens import read_tokens
from shallower.engine.training import TrainSettings, train
from shallower.evaluation.metrics import metric_for, score
from shallower.models.families import family_of
from shallower.models.folder import CONFIG
from shallower.surgery.drop_layers import drop_layers
from shallower.surgery.subsets import Subset, subset_label
from shallower.task_kinds.registry import task_kind

logger = logging.getLogger(__name__)

# A search is begun again when it is interrupted; its trainings are short.
NEVER = float("inf")


def prune(num_layers: int, amount: int, refine: Callable[[Subset], Trial]) -> tuple[list[int], list[Trial]]:
    """The layers to drop (0-based from the bottom) in the order in which they go, and all trials.

    `refine` trains and scores the model of a subset. The highest score stays; of equal scores that with the lower loss,
    then the one without the upper layer.
    """
    kept, order, trials = tuple(range(num_layers)), [], []
    for _ in range(amount):
        held = {layer: refine(tuple(other for other in kept if other != layer)) for layer in kept}
        trials += held.values()
        dropped = min(held, key=lambda layer: (-held[layer].score, held[layer].loss, -layer))
        order.append(dropped)
        kept = held[dropped].subset
    return order, trials


def main(arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    settings = TrainSettings.parse(arguments.settings)
    compute = choose_compute(arguments.device, "auto", arguments.threads)
    task = read_json(arguments.task)
    kind = task_kind(task["target"])
    metric = metric_for(arguments.metric, kind.name)
    tokens, calibration = read_tokens(arguments.tokens), read_tokens(arguments.calibration)
    config = read_json(arguments.model_dir / CONFIG)
    num_layers = family_of(config).num_layers(config)

    def refine(subset: Subset) -> Trial:
        with tempfile.TemporaryDirectory(prefix="shallower-") as folder:
            drop_layers(arguments.model_dir, subset, Path(folder) / "dropped")
            classifier = load_for_training(Path(folder) / "dropped", task, arguments.seed, tokens.padding_side)
            checkpoints = CheckpointFolder(Path(folder) / "checkpoints", {})
            label = f"layers {subset_label(subset)}"
            train(classifier, tokens, settings, arguments.seed, compute, checkpoints, NEVER, label)
        logits = predict(classifier, calibration, compute)
        loss = float(kind.loss(torch.from_numpy(logits), torch.from_numpy(calibration.labels)))
        found = score(metric, calibration.labels, kind.answers(logits))
        logger.info("%s: %s %.4f", label, metric.name, found)
        return Trial(subset, settings.epochs, found, loss)

    order, trials = prune(num_layers, arguments.amount, refine)
    content = {
        "num_layers": num_layers,
        "order": order,
        "metric": metric.name,
        "trials": [asdict(trial) | {"subset": subset_label(trial.subset)} for trial in trials],
        "cost": {
            "trainings": len(trials),
            "forward_passes": round(sum(len(trial.subset) for trial in trials) / num_layers, 2),
            "seconds": round(time.perf_counter() - started, 3),
        },
    }
    write_json(arguments.output, content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path, required=True, help="the fine-tuned model")
    parser.add_argument("--amount", type=int, required=True, help="number of layers to drop")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the training split")
    parser.add_argument("--calibration", type=Path, required=True, help="tokens file of the calibration examples")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--settings", type=json_argument, required=True, help="JSON: epochs, batch_size, ...")
    parser.add_argument("--metric", required=True)
    parser.add_argument("--seed", type=int, required=True)
    add_compute_arguments(parser)
    parser.add_argument("--output", type=Path, required=True)
    run_step(parser, main)

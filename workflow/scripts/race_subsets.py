"""Race subsets of layers for one run: short refinings of the most promising ones, judged on calibration examples.

In: a model folder, the scores of subsets, tokens to train on and to judge by, task.json. Out: a scores file with the
winner and what the race cost, and a table of all trials.
"""

import argparse
import logging
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import torch

from shallower.analysis.race import Trial, race
from shallower.analysis.scored import scored
from shallower.core.cli import add_compute_arguments, json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.tables import write_table
from shallower.engine.checkpoints import CheckpointFolder
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.devices import choose_compute
from shallower.engine.prediction import predict
from shallower.engine.tokens import read_tokens
from shallower.engine.training import TrainSettings, train
from shallower.evaluation.metrics import metric_for, subject_of, with_tagging
from shallower.evaluation.metrics import score as metric_score
from shallower.models.checksums import verified, verified_file
from shallower.models.families import family_of
from shallower.models.folder import CONFIG, WEIGHTS
from shallower.surgery.drop_layers import drop_layers
from shallower.surgery.subset_choice import SubsetTable, shortlist
from shallower.surgery.subsets import Subset, subset_label
from shallower.task_kinds.registry import task_kind

# A race is begun again when it is interrupted; its trainings are short.
NEVER = float("inf")


def main(arguments: argparse.Namespace) -> None:
    class_weights = arguments.settings.pop("class_weights", None)
    settings = TrainSettings.parse(arguments.settings)
    compute = choose_compute(arguments.device, arguments.precision, arguments.threads)
    digests = verified(arguments.model_dir)
    verified_file(arguments.task)
    task = read_json(arguments.task)
    kind = task_kind(task["target"], arguments.score_settings)
    tokens, calibration = read_tokens(arguments.tokens), read_tokens(arguments.calibration)
    score_settings = with_tagging(arguments.score_settings, task)
    metric = metric_for(score_settings["metrics"][0], kind.name, subject_of(score_settings))
    config = read_json(arguments.model_dir / CONFIG)
    stack = family_of(config).stack(config).protecting(arguments.protect)
    table = SubsetTable.parse(read_json(arguments.scores), stack)

    weights = kind.class_weights(tokens.labels, len(task["labels"])) if class_weights else []

    def refine(subset: Subset, epochs: float) -> Trial:
        with tempfile.TemporaryDirectory(prefix="shallower-") as folder:
            drop_layers(arguments.model_dir, subset, Path(folder) / "dropped")
            classifier = load_for_training(Path(folder) / "dropped", task, arguments.seed, tokens.padding_side)
            if class_weights:
                classifier.kind = classifier.kind.with_weights(weights)
            label = f"{arguments.label}, layers {subset_label(subset)}"
            checkpoints = CheckpointFolder(Path(folder) / "checkpoints", {})
            train(
                classifier, tokens, replace(settings, epochs=epochs), arguments.seed, compute, checkpoints, NEVER, label
            )
        logits = predict(classifier, calibration, compute)
        loss = kind.loss(torch.from_numpy(logits), torch.from_numpy(calibration.labels))
        score = metric_score(metric, calibration.labels, kind.answers(logits), calibration.groups)
        logging.info("%s: %s %.4f after %g epochs", label, metric.name, score, epochs)
        return Trial(subset, epochs, score, float(loss))

    contestants = shortlist(table, "readout_loss", stack.num_layers - arguments.amount, arguments.shortlist)
    winner, trials = race(contestants, arguments.epochs, refine)
    rows = [asdict(trial) | {"subset": subset_label(trial.subset)} for trial in trials]
    write_table(
        arguments.table,
        pd.DataFrame(rows, columns=["subset", "epochs", "score", "loss"]).rename(columns={"subset": "kept_layers"}),
    )
    scores = {
        "method": "race",
        "num_layers": stack.num_layers,
        "metric": metric.name,
        "winner": subset_label(winner),
        "cost": {"trainings": len(trials), "epochs": sum(trial.epochs for trial in trials)},
        **scored(
            arguments.model_dir,
            digests,
            [arguments.tokens, arguments.calibration],
            len(calibration.labels),
            [WEIGHTS, CONFIG],
        ),
    }
    write_json(arguments.output, scores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="what layers are dropped from")
    parser.add_argument("--scores", type=Path, required=True, help="scores of its subsets of layers")
    parser.add_argument("--amount", type=int, required=True, help="number of layers to drop")
    parser.add_argument("--protect", type=json_argument, default=[], help="layers to keep (0-based), as JSON")
    parser.add_argument("--shortlist", type=int, required=True, help="number of subsets in the race")
    parser.add_argument("--epochs", type=float, required=True, help="epochs of the last two")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the training split")
    parser.add_argument("--calibration", type=Path, required=True, help="tokens file of the calibration examples")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--settings", type=json_argument, required=True, help="JSON: batch_size, learning_rate, ...")
    parser.add_argument(
        "--score-settings", type=json_argument, required=True, help="JSON: metrics, positive_class, threshold"
    )
    parser.add_argument("--seed", type=int, required=True)
    add_compute_arguments(parser)
    parser.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    parser.add_argument("--label", default="race", help="how progress lines name this race")
    parser.add_argument("--table", type=Path, required=True, help="CSV file of all trials")
    parser.add_argument("--output", type=Path, required=True, help="scores file")
    run_step(parser, main)

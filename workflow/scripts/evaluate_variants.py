"""Score the predictions of the candidates of one task in every variant.

In: candidates.json, predictions.parquet of each candidate in each variant. Out: metrics.json and resamples.npy beside
each, and evaluated.json.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from shallower.core.cli import json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.layout import TEST, VALIDATION
from shallower.core.variants import RUNTIMES, VOCABULARIES
from shallower.delivery.candidates import read_candidates
from shallower.delivery.variant_folders import in_variants, scores_folder, write_folder_manifest, write_made
from shallower.evaluation.metrics import with_tagging
from shallower.evaluation.predictions import predictions_of, read_predictions
from shallower.evaluation.records import metrics_record
from shallower.evaluation.resamples import FILE as RESAMPLES
from shallower.evaluation.resamples import write_resamples
from shallower.evaluation.thresholds import with_thresholds
from shallower.models.checksums import verified_file

METRICS = "metrics.json"


def main(arguments: argparse.Namespace) -> None:
    verified_file(arguments.task)
    task = read_json(arguments.task)
    made = list(in_variants(read_candidates(arguments.candidates), arguments.runtimes, arguments.vocabularies))
    for candidate, variant in made:
        folder = scores_folder(candidate.run, variant, arguments.split)
        table = read_predictions(folder / "predictions.parquet", task["target"])
        settings = with_thresholds(arguments.settings, candidate.run)
        answers = predictions_of(table.logits, task["target"], settings)
        record, resamples = metrics_record(
            task["target"], table.labels, answers, with_tagging(settings, task), task["labels"], table.groups
        )
        layers = {
            "num_layers": candidate.num_layers,
            "kept_layers": list(candidate.kept_layers),
            "num_dropped": candidate.num_layers - len(candidate.kept_layers),
        }
        write_resamples(folder / RESAMPLES, resamples)
        write_json(folder / METRICS, {**asdict(candidate.run), **variant._asdict(), **record, **layers})
        write_folder_manifest(folder, [RESAMPLES, METRICS])
    write_made(arguments.output, made, arguments.split)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=Path, required=True, help="candidates.json")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, required=True)
    parser.add_argument("--vocabularies", nargs="+", choices=VOCABULARIES, required=True)
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument("--split", choices=(VALIDATION, TEST), default=VALIDATION)
    parser.add_argument("--settings", type=json_argument, required=True, help="confidence, bootstrap_samples, metrics")
    parser.add_argument("--output", type=Path, required=True, help="evaluated.json")
    run_step(parser, main)

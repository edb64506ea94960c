"""Score subsets of a model's layers by what models that keep only these can tell of the task, untrained.

In: a model folder, the tokens of the task's calibration examples, task.json. Out: a table with a row for each subset,
and a scores file for the strategies that choose among them, with the cost of it all.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from shallower.analysis.scored import scored
from shallower.analysis.single_layers import load_layers
from shallower.analysis.subset_scores import score_subsets
from shallower.core.cli import add_compute_arguments, json_argument, run_step
from shallower.core.files import read_json, write_json
from shallower.core.tables import write_table
from shallower.engine.devices import choose_compute
from shallower.engine.tokens import read_tokens
from shallower.evaluation.metrics import metric_for, subject_of, with_tagging
from shallower.models.checksums import verified, verified_file
from shallower.models.folder import CONFIG, WEIGHTS
from shallower.surgery.subset_choice import MEASURES
from shallower.task_kinds.registry import task_kind


def main(arguments: argparse.Namespace) -> None:
    compute = choose_compute(arguments.device, "auto", arguments.threads)
    digests = verified(arguments.model_dir)
    verified_file(arguments.task)
    task = read_json(arguments.task)
    target, settings = task["target"], with_tagging(arguments.settings, task)
    tokens = read_tokens(arguments.tokens)
    metric = metric_for(settings["metrics"][0], target, subject_of(settings))
    runner = load_layers(arguments.model_dir, tokens, compute, with_head=arguments.with_head)
    kind = task_kind(target, arguments.settings)
    found = score_subsets(runner, tokens.labels, kind, metric, arguments.layer_evaluations, tokens.groups)
    table = pd.DataFrame(found.rows)
    cost = {**found.cost, "device": compute.device, "precision": compute.precision, "threads": compute.threads}
    logging.info("%d subsets of layers scored: %s", len(table), ", ".join(f"{key} {cost[key]}" for key in cost))
    is_sample = 0 < found.readout_rows < len(tokens.labels)
    if is_sample:
        logging.info("readouts are of %d of %d words, those of some sentences", found.readout_rows, len(tokens.labels))
    write_table(arguments.table, table)
    scores = {
        "method": "subsets",
        "num_layers": runner.num_layers,
        **runner.stack.described(),
        "is_complete": found.is_complete,
        "vector": found.vector,
        "metric": metric.name,
        **({"readout_rows": found.readout_rows} if is_sample else {}),
        "kept_layers": table["kept_layers"].tolist(),
        **{measure: table[measure].tolist() for measure in MEASURES if measure in table},
        "cost": cost,
        **scored(arguments.model_dir, digests, [arguments.tokens], len(tokens.labels), [WEIGHTS, CONFIG]),
    }
    write_json(arguments.output, scores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True, help="tokens file of the calibration examples")
    parser.add_argument("--task", type=Path, required=True, help="task.json")
    parser.add_argument(
        "--settings", type=json_argument, required=True, help="JSON: metrics, positive_class, threshold"
    )
    parser.add_argument("--layer-evaluations", type=int, required=True, help="most runs of a layer over all examples")
    parser.add_argument("--with-head", action="store_true", help="the model is a fine-tuned one")
    add_compute_arguments(parser)
    parser.add_argument("--table", type=Path, required=True, help="CSV file of all scores")
    parser.add_argument("--output", type=Path, required=True, help="scores file")
    run_step(parser, main)

"""Choose the models of one task that are tried in every form: run folders in, candidates.json out."""

import argparse
import logging
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.files import read_json
from shallower.core.wording import counted, layer_ranges
from shallower.delivery.candidates import Candidate, choose_candidates, write_candidates
from shallower.models.folder import MANIFEST, WEIGHTS

logger = logging.getLogger(__name__)


def main(arguments: argparse.Namespace) -> None:
    scored = []
    for folder in arguments.runs:
        metrics, manifest = read_json(folder / "metrics.json"), read_json(folder / MANIFEST)
        candidate = Candidate.of(metrics, manifest["sha256"][WEIGHTS])
        scored.append((candidate, metrics["metrics"][metrics["primary"]]["value"], metrics["collapsed"]))
    chosen = choose_candidates(scored)
    for candidate in chosen:
        kept = candidate.kept_layers
        logger.info("%s: %s (%s)", candidate.run.directory, counted(len(kept), "layer"), layer_ranges(kept))
    write_candidates(arguments.output, chosen)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="folders of all runs of a model on a task")
    parser.add_argument("--output", type=Path, required=True, help="candidates.json")
    run_step(parser, main)

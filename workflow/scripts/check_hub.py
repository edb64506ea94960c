"""Ask the hub for a study's models and data: its file in; a line for each out, and exit code 1 if any is wrong."""

import argparse
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.sources.hub_check import check_on_hub
from shallower.study.file import read_study
from shallower.study.resolve import resolve_study


def main(arguments: argparse.Namespace) -> None:
    """Print each finding as soon as it is known."""
    study = resolve_study(read_study(arguments.study))
    models = [study.model_definition(name) for name in study.models]
    tasks = [study.test_definition(name) or study.task_definition(name) for name in study.tasks]
    wrong = 0
    for finding in check_on_hub(models, tasks, study.model_classes, study.exports_onnx):
        print(finding, flush=True)
        wrong += bool(finding.problems)
    if wrong:
        raise UserError(f"{wrong} of {len(models) + len(tasks)} models and tasks cannot be used as they are; see above")
    print("Not checked: the values of weights, and texts and labels of data. The downloads check them.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="file of the study")
    run_step(parser, main)

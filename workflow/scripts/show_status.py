"""Show how far a study is, from its files alone: what is finished, what runs, what failed, and when it ends.

In: the folder of the study, which may be running, here or on a cluster. Out: text for people.
"""

import argparse
import time
from pathlib import Path

from shallower.core.cli import run_step
from shallower.core.errors import UserError
from shallower.planning.plan import plan_study
from shallower.planning.status import read_status, status_text
from shallower.study.study import Study


def main(arguments: argparse.Namespace) -> None:
    file = arguments.results_dir / "study.json"
    if not file.is_file():
        raise UserError(f"{file}: not written yet; the study has not been started in this folder, or only just now")
    study = Study.read(file)
    print(status_text(study, read_status(study), plan_study(study).operations, time.time()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results-dir", type=Path, required=True, help="results/ and the study's name")
    run_step(parser, main)

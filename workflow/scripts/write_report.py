"""Write the report: the study, its tables, figures, manifests and further sections in; one page out."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shallower.core.cli import add_test_argument, run_step
from shallower.core.files import read_json, write_text
from shallower.core.runs import ARM_COLUMNS, earlier_manifests
from shallower.core.tables import read_table
from shallower.core.text_figures import Figures
from shallower.evaluation.estimates import Scores
from shallower.reporting.class_scores import Arm, has_class_table
from shallower.reporting.report import Report, report_page
from shallower.reporting.sections import Section
from shallower.reporting.summary import read_costs
from shallower.reporting.texts import text_warnings
from shallower.reporting.variants_page import VariantFigure
from shallower.study.study import Study

logger = logging.getLogger(__name__)


def class_records(runs: pd.DataFrame, tasks: Sequence[Mapping[str, Any]]) -> dict[Arm, list[Mapping[str, Any]]]:
    """metrics.json of each run of the tasks whose classes have a table, by arm."""
    found: dict[Arm, list[Mapping[str, Any]]] = {}
    names = {task["name"] for task in tasks if has_class_table(task)}
    of_tasks = runs.loc[runs["task"].isin(names), [*ARM_COLUMNS, "directory"]].astype(str)
    for *arm, directory in of_tasks.itertuples(index=False):
        model, task, origin, strategy, amount = arm
        found.setdefault((model, task, origin, strategy, amount), []).append(read_json(f"{directory}/metrics.json"))
    return found


def main(arguments: argparse.Namespace) -> None:
    runs = read_table(arguments.runs)
    figures: dict[tuple[str, str], list[Path]] = {}
    for model, task, path in arguments.figure:
        figures.setdefault((model, task), []).append(Path(path))
    tasks = [(read_json(path), read_json(path.with_name("manifest.json"))) for path in arguments.tasks]
    texts: dict[tuple[str, str], Figures] = {}
    for model, task, path in arguments.texts:
        texts[model, task] = {**texts.get((model, task), {}), **read_json(path)}
    report = Report(
        config=Study.read(arguments.study).config,
        summary=read_table(arguments.summary),
        missing=read_table(arguments.missing),
        costs=read_costs(arguments.costs),
        runs=[read_json(Path(directory) / "manifest.json") for directory in runs["directory"]],
        # Made before the manifests of their runs, which are inputs of the rule.
        earlier=[read_json(path) for directory in runs["directory"] for path in earlier_manifests(directory)],
        models=[read_json(path) for path in arguments.models],
        tasks={manifest["source"]["name"]: (task, manifest) for task, manifest in tasks},
        figures=figures,
        texts=texts,
        recommended=read_table(arguments.recommended) if arguments.recommended else None,
        unlabelled=[read_json(path) for path in arguments.unlabelled],
        test=Scores.read(*arguments.test) if arguments.test else None,
        test_manifests=[read_json(path) for path in arguments.test_manifests],
        test_texts=read_json(arguments.test_texts) if arguments.test_texts else {},
        variants=[VariantFigure.read(path) for path in arguments.variants],
        classes=class_records(runs, [task for task, _ in tasks]),
        sections=[Section.read(path) for path in arguments.sections],
    )
    for warning in text_warnings(report.config, report.texts, report.tasks, report.test_texts):
        logger.warning("warning: %s", warning)
    write_text(arguments.output, report_page(report))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study.json")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv")
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv; manifests are in its runs' folders")
    parser.add_argument("--missing", type=Path, required=True, help="missing.csv, what failed jobs did not make")
    parser.add_argument("--costs", type=Path, nargs="*", default=[], help="cost.json of each model, in its folder")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="manifest.json of each imported model")
    parser.add_argument(
        "--tasks", type=Path, nargs="*", default=[], help="task.json of each task, next to its manifest"
    )
    parser.add_argument(
        "--texts", nargs=3, action="append", default=[], metavar=("MODEL", "TASK", "FILE"), help="texts.json"
    )
    parser.add_argument(
        "--unlabelled", type=Path, nargs="*", default=[], help="manifest.json of each task's texts without labels"
    )
    add_test_argument(parser)
    parser.add_argument(
        "--test-manifests", type=Path, nargs="*", default=[], help="manifest.json of each task's test examples"
    )
    parser.add_argument("--test-texts", type=Path, nargs="?", help="test-texts.json, where a task has test examples")
    figure = ("MODEL", "TASK", "FILE")
    parser.add_argument("--figure", nargs=3, action="append", default=[], metavar=figure, help="may be repeated")
    parser.add_argument("--recommended", type=Path, nargs="?", help="recommended.csv, where the study has a budget")
    parser.add_argument(
        "--variants", type=Path, nargs="*", default=[], help="score-by-variant.json of each model and task"
    )
    parser.add_argument("--sections", type=Path, nargs="*", default=[], help="section.json of further sections")
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    run_step(parser, main)

"""Write the report: tables, figures, manifests and, where there, the comparison with the paper in; one page out."""

import argparse
from pathlib import Path

import pandas as pd

from shallower.core.cli import run_step
from shallower.core.files import read_json, write_text
from shallower.core.tables import read_table
from shallower.paper.observations_page import observations_fragment
from shallower.paper.page import ITEM_TITLES, read_frame
from shallower.reporting.report import Report, Reproduction, report_page
from shallower.reporting.summary import read_costs
from shallower.study.study import Study


def main(arguments: argparse.Namespace) -> None:
    runs = read_table(arguments.runs)
    figures: dict[tuple[str, str], list[Path]] = {}
    for model, task, path in arguments.figure:
        figures.setdefault((model, task), []).append(Path(path))
    tasks = [(read_json(path), read_json(path.with_name("manifest.json"))) for path in arguments.tasks]
    report = Report(
        config=Study.read(arguments.study).config,
        summary=read_table(arguments.summary),
        costs=read_costs(arguments.costs),
        runs=[read_json(Path(directory) / "manifest.json") for directory in runs["directory"]],
        models=[read_json(path) for path in arguments.models],
        tasks={manifest["source"]["name"]: (task, manifest) for task, manifest in tasks},
        figures=figures,
        reproduction=read_reproduction(arguments.paper_dir) if arguments.paper_dir else None,
    )
    write_text(arguments.output, report_page(report))


def read_reproduction(folder: Path) -> Reproduction:
    """What a study has in its paper folder; items whose file is not there are left out."""

    def table(name: str) -> pd.DataFrame | None:
        return read_table(folder / name) if (folder / name).is_file() else None

    observations = table("observations.csv")
    return Reproduction(
        frames={item: read_frame(folder / f"{item}.csv") for item in ITEM_TITLES if (folder / f"{item}.csv").is_file()},
        figures={item: folder / f"{item}.svg" for item in ITEM_TITLES if (folder / f"{item}.svg").is_file()},
        observations=observations,
        observations_fragment="" if observations is None else observations_fragment(observations),
        parameter_orders=table("parameter-orders.csv"),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study.json")
    parser.add_argument("--summary", type=Path, required=True, help="summary.csv")
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv; manifests lie in its runs' folders")
    parser.add_argument("--costs", type=Path, nargs="*", default=[], help="cost.json of each model, in its folder")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="manifest.json of each imported model")
    parser.add_argument("--tasks", type=Path, nargs="*", default=[], help="task.json of each task, beside its manifest")
    figure = ("MODEL", "TASK", "FILE")
    parser.add_argument("--figure", nargs=3, action="append", default=[], metavar=figure, help="may be repeated")
    parser.add_argument(
        "--paper-dir", type=Path, help="folder of the comparison with the paper; none for other studies"
    )
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    run_step(parser, main)

"""The report of a study, one page to send to a colleague: the answer, the paper beside it, methods and provenance."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from shallower.core.wording import counted, listed
from shallower.paper.page import (
    ITEM_NOTES,
    ITEM_TITLES,
    Tally,
    legend,
    table_fragment,
    tally,
    tally_rows,
)
from shallower.reporting.answer import (
    QUESTION,
    cases,
    choices_section,
    droppable_section,
    lead,
    numbers_section,
    reading,
)
from shallower.reporting.methods import methods, provenance, statistics
from shallower.reporting.page import folded, page, plain_table

FIGURE_TITLES = {"score-by-layers": "Score by layers dropped", "score-by-cost": "Score by time and size"}
# Characters that may stand in a data URI inside quotes; the fewer are escaped, the smaller the page.
SAFE_IN_SVG = " !$()*+,-./:;=?@[]^_`{|}~"


@dataclass(frozen=True)
class Reproduction:
    """What a study has of the paper: comparison frames and figures by item, and the verdicts on its observations."""

    frames: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Path]
    observations: pd.DataFrame | None = None
    observations_fragment: str = ""
    parameter_orders: pd.DataFrame | None = None


@dataclass(frozen=True)
class Report:
    """Everything that the page tells.

    Attributes:
        config: the study, defaults filled in.
        summary: summary.csv.
        costs: cost.json by model.
        runs: manifest.json of every run.
        models: manifest.json of every model that was imported.
        tasks: task.json and manifest.json of every task, by its name.
        figures: image files by model and task.
        reproduction: None for a study that does not reproduce the paper.
    """

    config: Mapping[str, Any]
    summary: pd.DataFrame
    costs: Mapping[str, Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]
    models: Sequence[Mapping[str, Any]]
    tasks: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
    figures: Mapping[tuple[str, str], Sequence[Path]] = field(default_factory=dict)
    reproduction: Reproduction | None = None


def report_page(report: Report) -> str:
    """report.html, one file with everything in it."""
    config, paper = report.config, report.reproduction
    confidence = config["evaluate"]["confidence"]
    found = cases(report.summary, config["report"]["tolerances"])
    of_tasks = {name: task for name, (task, _) in report.tasks.items()}
    body = [
        f"<header><p class=kicker>{_kicker(config)}</p><h1>{QUESTION}</h1>{lead(found)}"
        f"{_paper_lead(paper) if paper else ''}</header>{_contents(paper)}",
        f"<div id=answer>{droppable_section(found, confidence)}{choices_section(found)}</div>",
        _figures(report.figures),
        _paper(paper, config) if paper else "",
        f"<div id=numbers>{numbers_section(found, confidence)}</div>",
        f"<section id=methods><h2>Methods</h2>{methods(config, report.summary, of_tasks)}"
        f"<h3>How to read the answer</h3>{reading(report.summary, confidence, report.costs)}"
        f"<h3>Statistics</h3>{statistics(config, beside_paper=paper is not None)}</section>",
        f"<section id=provenance><h2>Provenance</h2>"
        f"{provenance(report.runs, report.models, [manifest for _, manifest in report.tasks.values()])}</section>",
    ]
    return page(f"{QUESTION} {config['study']}", body)


def image(path: Path, title: str) -> str:
    """An image with its content in it (HTML), in a box of its own to scroll in where the page is narrow."""
    if path.suffix == ".svg":
        # A browser takes a line's end out of a URI; a space keeps numbers apart.
        text = " ".join(path.read_text(encoding="utf-8").split())
        source = f"data:image/svg+xml,{quote(text, safe=SAFE_IN_SVG)}"
    else:
        source = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    return f'<figure class=scroll><img alt="{escape(title)}" src="{source}"></figure>'


def _kicker(config: Mapping[str, Any]) -> str:
    seeds = sorted({len(task.get("seeds") or config["seeds"]) for task in config["tasks"]})
    repeated = " to ".join(map(str, seeds))
    return (
        f"Study {escape(config['study'])} \N{MIDDLE DOT} {counted(len(config['models']), 'model')} \N{MIDDLE DOT} "
        f"{counted(len(config['tasks']), 'task')} \N{MIDDLE DOT} {repeated} seed{'' if seeds == [1] else 's'}"
    )


def _contents(paper: Reproduction | None) -> str:
    parts = {"answer": "Answer", "figures": "Figures"}
    if paper:
        parts |= {
            "observations": "The paper's observations",
            "paper": "Tables and figures",
        }
    parts |= {"numbers": "All numbers", "methods": "Methods", "provenance": "Provenance"}
    links = "".join(f"<li><a href=#{name}>{title}</a></li>" for name, title in parts.items())
    return f"<nav><ul>{links}</ul></nav>"


def _paper_lead(paper: Reproduction) -> str:
    """Beside the answer: what holds of the paper, in two sentences."""
    texts = []
    if paper.observations is not None and not paper.observations.empty:
        told = [f"<b>{n} {escape(verdict)}</b>" for verdict, n in _verdicts(paper.observations).items()]
        texts.append(f"Of the paper's claims, put to each model as criteria: {listed(told)}.")
    total = _total(paper)
    if total.compared:
        texts.append(
            f"<b>{total.inside} of the {total.compared}</b> values of the paper that stand beside one of ours lie "
            "inside our intervals."
        )
    return f"<p class=beside-paper>{' '.join(texts)}</p>" if texts else ""


def _total(paper: Reproduction) -> Tally:
    tallies = [tally(frame) for frame in paper.frames.values()]
    return Tally(*(sum(getattr(one, name) for one in tallies) for name in Tally.__dataclass_fields__))


def _verdicts(observations: pd.DataFrame) -> dict[str, int]:
    """How many claims got each verdict; the table has several rows, its comparisons, for each."""
    return observations.drop_duplicates(["hypothesis", "model"])["verdict"].value_counts(sort=False).to_dict()


def _figures(figures: Mapping[tuple[str, str], Sequence[Path]]) -> str:
    """The study's own figures, folded by model and task; the first is open."""
    parts = []
    for place, ((model, task), paths) in enumerate(figures.items()):
        name = f"{model} on {task}"
        images = "".join(
            image(path, f"{FIGURE_TITLES.get(path.stem, path.stem)}: {name}") for path in sorted(paths, reverse=True)
        )
        parts.append(folded(escape(name), images, opened=place == 0))
    return f"<section id=figures><h2>What is left when layers go</h2>{''.join(parts)}</section>"


def _paper(paper: Reproduction, config: Mapping[str, Any]) -> str:
    items = [(item, paper.frames[item]) for item in ITEM_TITLES if item in paper.frames]
    confidence = config["evaluate"]["confidence"]
    headings = ("table or figure", "compared", "inside", "outside", "ours alone", "not run")
    return (
        f"<section id=observations><h2>Do the paper's observations hold?</h2>"
        f"{paper.observations_fragment or '<p class=note>They were not judged in this study.</p>'}</section>"
        f"<section id=paper><h2>The paper's tables and figures, ours beside them</h2>{_beside(config)}"
        f"{plain_table(headings, tally_rows(items))}{legend(confidence)}</section>"
        + "".join(_item(item, frame, paper.figures.get(item)) for item, frame in items)
        + _parameter_orders(paper.parameter_orders)
    )


def _beside(config: Mapping[str, Any]) -> str:
    """Which model stands beside which of the paper's, since a difference may be one of models."""
    pairs = [
        f"<b>{escape(model['name'])}</b> beside {escape(model['counterpart'])}"
        for model in config["models"]
        if model.get("counterpart")
    ]
    if not pairs:
        return "<p>No model of this study has a counterpart in the paper, so its numbers stand alone.</p>"
    return (
        f"<p>{listed(pairs)}. Where the two are not the same checkpoint (see <a href=#methods>methods</a>), a "
        "difference tells of the models, and not of whether the paper can be reproduced.</p>"
    )


def _item(item: str, frame: pd.DataFrame, figure: Path | None) -> str:
    table = table_fragment(frame)
    if figure:
        table = image(figure, ITEM_TITLES[item]) + folded("The numbers", table)
    title, note = escape(ITEM_TITLES[item]), escape(ITEM_NOTES[item])
    return f"<section class=item id={item}><h3>{title}</h3><p class=note>{note}</p>{table}</section>"


def _parameter_orders(table: pd.DataFrame | None) -> str:
    if table is None or table.empty:
        return ""
    rows = ([escape("" if pd.isna(cell) else str(cell)) for cell in row] for row in table.itertuples(index=False))
    headings = (escape(str(name).replace("_", " ")) for name in table.columns)
    return (
        "<section class=item id=parameter-orders><h3>Variance orders: which reading of the paper gives the printed "
        f"one?</h3>{plain_table(headings, rows)}</section>"
    )

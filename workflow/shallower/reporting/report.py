"""The report of a study, one page to send to a colleague: the answer, figures, methods and provenance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from shallower.core.runs import arm_title
from shallower.core.text_figures import Figures
from shallower.core.wording import counted
from shallower.evaluation.estimates import Scores
from shallower.reporting.answer import answer_content
from shallower.reporting.class_scores import TITLES, Arm, class_tables
from shallower.reporting.images import image_uri
from shallower.reporting.methods import methods_content, provenance_content
from shallower.reporting.recommended_page import recommended_content
from shallower.reporting.sections import Section
from shallower.reporting.templates import render_page
from shallower.reporting.texts import texts_content
from shallower.reporting.variants_page import VariantFigure, variants_content

# In the order in which figures are shown.
FIGURE_TITLES = {
    "score-by-variant": "Score by time and size, in every variant",
    "score-by-depth": "Score by layers kept, before and after refining",
    "score-by-layers": "Score by layers dropped",
    "score-by-cost": "Score by time and size",
    "layers-of-best-subsets": "Layers that the best subsets keep",
}


@dataclass(frozen=True)
class Report:
    """Everything that the page shows.

    Attributes:
        config: the study, defaults filled in.
        summary: summary.csv.
        costs: cost.json by model.
        runs: manifest.json of every run.
        earlier: manifest.json of every training before a run's last drop of layers.
        models: manifest.json of every model that was imported.
        tasks: task.json and manifest.json of every task, by its name.
        figures: image files by model and task.
        sections: what other packages add.
        texts: texts.json by model and task.
        unlabelled: manifest.json of the texts without labels, of each task that has them.
        missing: missing.csv; without rows when every job was finished.
        recommended: recommended.csv, where the study has a budget.
        test: the scores on test examples, where there are any.
        test_manifests: manifest.json of the test examples, of each task that has them.
        test_texts: test-texts.json.
        variants: the figures to explore over variants, where these were measured.
        classes: metrics.json of each run of the tasks whose classes have a table, by arm.
    """

    config: Mapping[str, Any]
    summary: pd.DataFrame
    costs: Mapping[str, Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]
    models: Sequence[Mapping[str, Any]]
    tasks: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
    earlier: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[tuple[str, str], Sequence[Path]] = field(default_factory=dict)
    sections: Sequence[Section] = ()
    texts: Mapping[tuple[str, str], Figures] = field(default_factory=dict)
    unlabelled: Sequence[Mapping[str, Any]] = ()
    missing: pd.DataFrame = field(default_factory=pd.DataFrame)
    recommended: pd.DataFrame | None = None
    test: Scores | None = None
    test_manifests: Sequence[Mapping[str, Any]] = ()
    test_texts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variants: Sequence[VariantFigure] = ()
    classes: Mapping[Arm, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


def report_page(report: Report) -> str:
    """report.html, one file that holds everything it shows."""
    config = report.config
    confidence = config["evaluate"]["confidence"]
    return render_page(
        "report.jinja",
        **answer_content(report.summary, config["report"]["tolerances"], confidence, report.costs, report.test),
        size=_size(config),
        recommended=recommended_content(config, report.recommended),
        variants=variants_content(report.variants),
        missing=_missing(report.missing),
        num_runs=len(report.runs),
        figures=[
            (
                f"{model} on {task}",
                [(FIGURE_TITLES.get(path.stem, path.stem), image_uri(path)) for path in _ordered(paths)],
            )
            for (model, task), paths in report.figures.items()
        ],
        classes=class_tables(report.summary, config["report"]["tolerances"], report.recommended, report.classes),
        class_scores=TITLES,
        sections=report.sections,
        texts=texts_content(config, report.texts, report.tasks, report.test_texts),
        more_steps=[step for section in report.sections for step in section.methods],
        more_terms={term: text for section in report.sections for term, text in section.terms.items()},
        methods=methods_content(
            config, report.summary, report.tasks, report.models, report.unlabelled, report.test_manifests
        ),
        provenance=provenance_content(
            report.runs,
            report.earlier,
            report.models,
            [*(manifest for _, manifest in report.tasks.values()), *report.unlabelled, *report.test_manifests],
            config["compute"]["runs_per_gpu"],
        ),
    )


def _missing(missing: pd.DataFrame) -> list[tuple[str, ...]]:
    """Rows of the table of what is missing: what it is, the rule of the job that failed, what its log says, the log."""
    rows: list[tuple[str, ...]] = []
    for row in missing.astype(object).fillna("").to_dict("records"):
        where = f"{row['model']} on {row['task']}" if row["task"] else row["model"]
        arm = arm_title(row["origin"], row["strategy"], row["amount"]) if row["origin"] else ""
        seed = f"seed {row['seed']:.0f}" if row["seed"] != "" else ""
        named = [row["missing"], where, arm, seed]
        rows.append((", ".join(filter(None, named)), row["rule"] or "not started", row["message"], row["log"]))
    return rows


def _ordered(paths: Sequence[Path]) -> list[Path]:
    """By `FIGURE_TITLES`, any others last."""
    places = {name: place for place, name in enumerate(FIGURE_TITLES)}
    return sorted(paths, key=lambda path: places.get(path.stem, len(places)))


def _size(config: Mapping[str, Any]) -> list[str]:
    """How many models, tasks and seeds the study has."""
    seeds = sorted({len(task.get("seeds") or config["seeds"]) for task in config["tasks"]})
    return [
        counted(len(config["models"]), "model"),
        counted(len(config["tasks"]), "task"),
        f"{' to '.join(map(str, seeds))} seed{'' if seeds == [1] else 's'}",
    ]

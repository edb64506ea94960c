"""The reproduction of the paper as a section of the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from shallower.paper.items import ITEMS
from shallower.paper.observations_page import observations
from shallower.paper.orders_page import orders_table
from shallower.paper.page import Tally, table, tally
from shallower.reporting.images import image_uri
from shallower.reporting.sections import Section
from shallower.reporting.templates import render_fragment

METHOD = (
    "For the paper's analyses, a linear classifier was trained on the [CLS] token's vector at every depth of the full "
    "models (on at most {:,} training examples), and these vectors were compared with those of the pre-trained model. "
    "Parameter scores are of each layer's {}."
)
TERMS = {
    "Compared with the paper": "These intervals also come from resampled seeds, where there are several, and so "
    "include seed variance; with few seeds they are still somewhat too narrow.",
    "Inside, outside": "The paper gives single numbers, without seeds or intervals. A value of it is inside when it "
    "is within our interval (widened by the uncertainty of what was measured off a figure). The paper's own seed "
    "variance is not considered: another run of the same experiment can be outside too, and a wide interval contains "
    "nearly anything.",
    "Means": "Over the paper's seven tasks, and over the five that it calls stable (without RTE and MRPC, whose small "
    "validation sets make scores vary by several points). Means over fewer tasks say so.",
}


@dataclass(frozen=True)
class Reproduction:
    """What a study has of the paper.

    Attributes:
        frames: comparison frames by item.
        figures: SVG files by item.
        observations: observations.csv.
        parameter_orders: parameter-orders.csv.
        settings: `confidence` of the intervals (0 to 1), `models` with the paper's name of each or None,
            `probe_examples`, the number of training examples of layer-wise classifiers, and `parameters`, the weights
            that parameter scores are of.
    """

    frames: Mapping[str, pd.DataFrame]
    observations: pd.DataFrame
    parameter_orders: pd.DataFrame
    settings: Mapping[str, Any]
    figures: Mapping[str, Path] = field(default_factory=dict)


def section(reproduction: Reproduction) -> Section:
    """The section: verdicts on the paper's observations, then its tables and figures."""
    settings = reproduction.settings
    items = {item: reproduction.frames[item] for item in ITEMS if item in reproduction.frames}
    tallies = {item: tally(frame) for item, frame in items.items()}
    body = render_fragment(
        "paper_section.jinja",
        confidence=settings["confidence"],
        observations=observations(reproduction.observations),
        counterparts=[(model, paper) for model, paper in settings["models"].items() if paper],
        items=ITEMS,
        tallies=tallies,
        tables={item: table(frame) for item, frame in items.items()},
        figures={item: image_uri(path) for item, path in reproduction.figures.items()},
        orders=orders_table(reproduction.parameter_orders),
    )
    contents = {"observations": "The paper's observations", "paper": "The paper's tables and figures"}
    return Section(
        lead=render_fragment(
            "paper_lead.jinja", verdicts=_verdicts(reproduction.observations), total=sum(tallies.values(), Tally())
        ),
        contents=contents,
        body=body,
        methods=[METHOD.format(settings["probe_examples"], settings["parameters"].replace("-", " "))],
        terms=TERMS,
    )


def _verdicts(observations: pd.DataFrame) -> dict[str, int]:
    """How many claims have each verdict; in observations.csv a claim has a row for each contrast."""
    claims = observations.drop_duplicates(["hypothesis", "model"])
    return {str(verdict): int(n) for verdict, n in claims["verdict"].value_counts(sort=False).items()}

"""scores.csv: how the layers of a study's pre-trained models score, one row a model, task and layer."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shallower.core import layout
from shallower.core.errors import UserError
from shallower.core.files import csv_text, read_json

COLUMNS = ["study", "model", "task", "method", "layer", "value"]


def collect_scores(study: str, pairs: Iterable[tuple[str, str]], method: str) -> list[dict[str, Any]]:
    """Rows of scores.csv for models on tasks, in their order; layers are 0-based from the bottom.

    Raises UserError, naming the file, when one is missing or holds scores of another method.
    """
    rows = []
    for model, task in pairs:
        place = {"study": study, "model": model, "task": task, "method": method}
        path = Path(layout.LAYER_SCORES.format(**place, scored="pretrained"))
        record = read_json(path)
        if record["method"] != method:
            raise UserError(f"{path}: holds {record['method']!r} scores; delete the file and run again")
        rows += [{**place, "layer": layer, "value": value} for layer, value in enumerate(record["scores"])]
    return rows


def scores_as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as CSV text; scores keep ten significant digits, as in all tables."""
    values = ({**row, "value": f"{row['value']:.10g}"} for row in rows)
    return csv_text(COLUMNS, ([row[column] for column in COLUMNS] for row in values))

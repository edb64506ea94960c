"""scores.csv: the scores of the layers of a study's models, one row for each scores file and layer."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json

COLUMNS = ["study", "model", "task", "seed", "scored", "method", "layer", "value"]
PLACE = re.compile(
    r"(.*/)?(?P<study>[^/]+)/(?P<model>[^/]+)/(?P<task>[^/]+)/scores/(?P<method>[^/]+)/"
    r"(pretrained|finetuned-seed(?P<seed>\d+))\.json"
)


def collect_scores(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Rows of scores.csv, in the order of the files; layers are 0-based from the bottom.

    A file's path says which model it is of: {study}/{model}/{task}/scores/{method}/pretrained.json or
    finetuned-seed{n}.json; the seed of a pre-trained model is None. Raises UserError, naming the file, for another path
    and for scores of another method.
    """
    rows = []
    for path in map(Path, paths):
        place = PLACE.fullmatch(path.as_posix())
        if place is None:
            raise UserError(
                f"{path}: not where scores belong; give files STUDY/MODEL/TASK/scores/METHOD/pretrained.json "
                "or finetuned-seedN.json"
            )
        record = read_json(path)
        if record["method"] != place["method"]:
            raise UserError(f"{path}: holds {record['method']!r} scores; delete the file and run again")
        run: dict[str, Any] = {key: place[key] for key in ("study", "model", "task", "method")}
        run |= {"seed": int(place["seed"]) if place["seed"] else None}
        run |= {"scored": "finetuned" if place["seed"] else "pretrained"}
        rows += [{**run, "layer": layer, "value": value} for layer, value in enumerate(record["scores"])]
    return rows


def scores_as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as CSV text; scores keep ten significant digits, as in all tables."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "value": f"{row['value']:.10g}"} for row in rows)
    return text.getvalue()

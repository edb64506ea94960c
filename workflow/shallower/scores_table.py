"""scores.csv: the scores of the layers of a study's models, one row a scores file and layer."""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from shallower.errors import UserError
from shallower.files import read_json

COLUMNS = ["study", "model", "task", "seed", "scored", "method", "layer", "value"]
PLACE = re.compile(
    r"(.*/)?(?P<study>[^/]+)/(?P<model>[^/]+)/(?P<task>[^/]+)/scores/(?P<method>[^/]+)/"
    r"(pretrained|finetuned-seed(?P<seed>\d+))\.json"
)


def collect_scores(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Rows of scores.csv, in the order of the files; layers are 0-based from the bottom.

    What a file is of is told by its place, {study}/{model}/{task}/scores/{method}/pretrained.json or
    finetuned-seed{n}.json; the seed of a pre-trained model is missing. Raises UserError, naming the file, when it
    lies elsewhere or holds scores of another method.
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
        run = {key: place[key] for key in ("study", "model", "task", "method")}
        run |= {"seed": int(place["seed"]) if place["seed"] else None}
        run |= {"scored": "finetuned" if place["seed"] else "pretrained"}
        rows += [{**run, "layer": layer, "value": value} for layer, value in enumerate(record["scores"])]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"seed": "Int64"})

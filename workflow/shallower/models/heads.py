"""Whether a checkpoint's own classification head is taken over for a task: by the names of its outputs, never blindly.

The pipeline's own models name their outputs as the task does, in its order, so that their heads are kept as they are.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shallower.core.model_classes import TOKEN_CLASSIFICATION, model_class_of
from shallower.models.families import family_of
from shallower.models.folder import WEIGHTS
from shallower.models.weight_files import header

# Names that a message lists.
MAX_LISTED = 10


@dataclass(frozen=True)
class Head:
    """What becomes of a checkpoint's output layer, the last linear one of its head.

    Attributes:
        rows: the row of the checkpoint's output layer for each output of the task; None for a new layer.
        decision: the same in words, for the log and the manifest.
    """

    rows: tuple[int, ...] | None
    decision: str

    @property
    def is_reordered(self) -> bool:
        return self.rows is not None and self.rows != tuple(range(len(self.rows)))


def choose_head(
    model_dir: str | Path,
    config: Mapping[str, Any],
    task_names: Sequence[str],
    model_class: str,
    has_named_outputs: bool = True,
) -> Head:
    """What becomes of the head of the checkpoint in a folder for a task whose outputs have these names, in order.

    `config` is the checkpoint's own config.json, `model_class` the class of the model that it becomes. Where the task's
    one output is not one of several (`has_named_outputs`), the only one of a checkpoint is kept whatever its name.
    """
    weight = header(Path(model_dir) / WEIGHTS).get(f"{family_of(config).output_layer_of(model_class)}.weight")
    if weight is None:
        return Head(None, "a new output layer, as the checkpoint has none")
    if (model_class == TOKEN_CLASSIFICATION) != (model_class_of(config) == TOKEN_CLASSIFICATION):
        return Head(None, "a new output layer: the checkpoint's answers texts, the task's tokens, or the reverse")
    names = output_names(config)
    if weight["shape"][0] != len(names):
        return Head(
            None,
            f"a new output layer: the checkpoint's has {weight['shape'][0]} outputs, of which config.json "
            f"names {len(names)}",
        )
    if not has_named_outputs and len(names) == len(task_names) == 1:
        return Head((0,), f"the checkpoint's output layer, which has one output ({_listed(names)}), as the task has")
    rows = matching_rows(names, task_names)
    if rows is None:
        return Head(
            None,
            f"a new output layer: the checkpoint's is for {_listed(names)}, the task has {_listed(task_names)}; "
            "to keep the checkpoint's, give its outputs the task's names, in id2label of its config.json",
        )
    head = Head(rows, "the checkpoint's output layer, whose labels are the task's")
    if head.is_reordered:
        return Head(
            rows,
            f"the checkpoint's output layer, reordered: it has {_listed(names)}, the task {_listed(task_names)}",
        )
    return head


def output_names(config: Mapping[str, Any]) -> list[str]:
    """Names of a checkpoint's outputs by its config.json; transformers' own ones (LABEL_0, ...) where it has none."""
    stored = config.get("id2label")
    if not isinstance(stored, Mapping) or not stored:
        count = config.get("num_labels", 2)
        return [f"LABEL_{index}" for index in range(count if type(count) is int and 0 < count < 10**6 else 2)]
    by_index = {str(index): name for index, name in stored.items()}
    return [str(by_index.get(str(index), f"LABEL_{index}")) for index in range(len(by_index))]


def matching_rows(names: Sequence[str], task_names: Sequence[str]) -> tuple[int, ...] | None:
    """The place among `names` of each of `task_names`; None unless both are the same names, each of them once.

    Names that differ only in case, Unicode form, or blanks, hyphens and underscores between words are the same, unless
    that would make two of a list one.
    """
    for form in (str, _plain):
        theirs, ours = [form(name) for name in names], [form(name) for name in task_names]
        if len(set(theirs)) == len(theirs) and sorted(theirs) == sorted(ours):
            return tuple(theirs.index(name) for name in ours)
    return None


def _plain(name: str) -> str:
    name = unicodedata.normalize("NFKC", name).casefold().strip()
    return re.sub(r"(?<=[^\W_])[\s_-]+(?=[^\W_])", " ", name)  # between words only: -1 is not 1


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(map(repr, names[:MAX_LISTED])) + more

"""All rows of a user's files, with the columns that a task uses: read as the pipeline does, checked, and written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.files import sha256_of, write_json, write_text
from shallower.core.wording import counted
from shallower.proposals.base import KindProposal
from shallower.proposals.division import Division
from shallower.sources.file_formats import read_file, refuse_rows
from shallower.task_kinds.base import is_missing


@dataclass(frozen=True)
class Rows:
    """The rows of one split, or of a file that is to be divided.

    Attributes:
        files: that they are in.
        texts: the text or the two texts of each row.
        labels: as they stand in the files, or by the class names that the files have for their ids.
        incomplete: the places of rows that lack a text or the label, and are not among these.
    """

    files: tuple[Path, ...]
    texts: list[tuple[Any, ...]]
    labels: list[Any]
    incomplete: tuple[str, ...] = ()


def read_rows(
    files: Sequence[Path],
    text: Sequence[str],
    label: Sequence[str],
    header: Sequence[str] | None,
    proposal: KindProposal,
) -> Rows:
    """Read the rows of one split. Raises UserError and StudyErrors with rows that cannot be used."""
    all_texts: list[tuple[Any, ...]] = []
    all_labels: list[Any] = []
    incomplete: list[str] = []
    for path in files:
        used = [*text, *label]
        content = read_file(path, used, header)
        problems = []
        for row, found in enumerate(zip(*(content.values[name] for name in used), strict=True), start=1):
            if lacking := [name for name, value in zip(used, found, strict=True) if is_missing(value)]:
                incomplete.append(f"row {row} of {path}, where {lacking[0]!r} is missing")
                continue
            texts, values = found[: len(text)], [_named(value, content.stored_names) for value in found[len(text) :]]
            value = values[0] if len(values) == 1 else values
            problems += [f"row {row}: {problem}" for problem in _problems(text, texts, label, value, proposal)]
            all_texts.append(texts)
            all_labels.append(value)
        refuse_rows(path, problems)
    return Rows(tuple(files), all_texts, all_labels, tuple(incomplete))


def _named(value: Any, stored_names: Sequence[str] | None) -> Any:
    """A label, or each of a list, by its class's name, where the file has names for its ids."""
    if isinstance(value, list):
        return [_named(each, stored_names) for each in value]
    is_id = stored_names is not None and type(value) is int and 0 <= value < len(stored_names)
    return stored_names[value] if is_id and stored_names is not None else value


def _problems(
    text: Sequence[str], texts: Sequence[Any], label: Sequence[str], value: Any, proposal: KindProposal
) -> Iterator[str]:
    for name, each in zip(text, texts, strict=True):
        if problem := proposal.text_problem(each):
            yield f"{name} {problem}"
    if problem := proposal.problem(value):
        yield f"{', '.join(label)} {problem}"


def check_complete(rows: Rows, may_be_left_out: bool) -> None:
    """Raise UserError where rows lack something, with the ways out."""
    if rows.incomplete:
        others = ", or leave them out with INCOMPLETE=leave-out" if may_be_left_out else ""
        raise UserError(
            f"{counted(len(rows.incomplete), 'row')} of {len(rows.incomplete) + len(rows.texts):,} cannot be used: the "
            f"first is {rows.incomplete[0]}; fill or remove such rows{others}"
        )


def write_division(
    folder: Path,
    rows: Rows,
    division: Division,
    text: Sequence[str],
    label: Sequence[str],
    seed: int,
    shares: Mapping[str, int],
) -> None:
    """Write a file of JSON lines for each split into a folder, and division.json, which says how they were made."""
    for split, chosen in division.rows.items():
        write_text(folder / f"{split}.jsonl", "".join(_lines(rows, chosen, text, label)))
    record = {
        "made_from": {str(path): sha256_of(path) for path in rows.files},
        "seed": seed,
        "shares_in_percent": dict(shares),
        "rows": {split: len(chosen) for split, chosen in division.rows.items()},
        "rows_left_out": {"incomplete": len(rows.incomplete), "texts_of_the_test_file": division.known},
        "rows_that_repeat_a_text": division.repeats,
    }
    write_json(folder / "division.json", record)


def _lines(rows: Rows, chosen: NDArray[np.int64], text: Sequence[str], label: Sequence[str]) -> Iterator[str]:
    for row in chosen:
        values = [rows.labels[row]] if len(label) == 1 else rows.labels[row]
        content = dict(zip((*text, *label), (*rows.texts[row], *values), strict=True))
        yield json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"

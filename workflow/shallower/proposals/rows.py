"""All rows of a user's files, with the columns that a task uses: read as the pipeline does, checked, and written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import sha256_of, write_json, write_text
from shallower.core.wording import counted
from shallower.proposals.choice import Choice
from shallower.proposals.division import Division, Texts
from shallower.sources.file_formats import read_file, refuse_rows
from shallower.sources.labelled_files import place_of, with_lists
from shallower.task_kinds.base import is_missing
from shallower.task_kinds.class_labels import HIDDEN


@dataclass(frozen=True)
class Rows:
    """The rows of one split, or of a file that is to be divided.

    Attributes:
        choice: of the columns that are read.
        files: that they are in.
        texts: the text or the two texts of each row.
        labels: as they stand in the files, or by the class names that the files have for their ids.
        incomplete: the places of rows that lack a text or the label, and are not among these.
    """

    choice: Choice
    files: Sequence[Path]
    texts: list[tuple[Any, ...]]
    labels: list[Any]
    incomplete: list[str]

    @property
    def keys(self) -> list[Texts]:
        """By which rows of the same texts are found."""
        return [self.choice.proposal.key(texts) for texts in self.texts]


def read_rows(
    files: Sequence[Path], choice: Choice, header: Sequence[str] | None, incomplete: str | None = None
) -> Rows:
    """Read the rows of one split.

    Raises UserError and StudyErrors with rows that cannot be used; `incomplete` says what can be done about rows that
    lack something, or is empty where these are left out.
    """
    proposal, used = choice.proposal, [*choice.text, *choice.label]
    rows = Rows(choice, files, [], [], [])
    for path in files:
        content = read_file(path, used, header)
        columns = [content.values[name] for name in used]
        if proposal.kind.answers_words:
            columns = [*map(with_lists, columns)]
        problems = []
        for row, found in enumerate(zip(*columns, strict=True)):
            if problem := _lacking(used, found, choice.label if content.stored_names else ()):
                rows.incomplete.append(f"{place_of(content.lines, row)} of {path}, where {problem}")
                continue
            texts = found[: len(choice.text)]
            values = [_named(value, content.stored_names) for value in found[len(choice.text) :]]
            value = values[0] if len(values) == 1 else values
            named = [*zip(choice.text, texts, strict=True)]
            if unknown := _beyond(values, content.stored_names):
                problems.append(
                    f"{place_of(content.lines, row)}: {unknown[0]} is the id of no class that the file names"
                )
            for word, problem in proposal.problems(named, ", ".join(choice.label), value):
                problems.append(f"{place_of(content.lines, row, word)}: {problem}")
            rows.texts.append(texts)
            rows.labels.append(value)
        refuse_rows(path, problems)
    if rows.incomplete and incomplete != "":
        raise UserError(
            f"{counted(len(rows.incomplete), 'row')} of {len(rows.incomplete) + len(rows.texts):,} cannot be used: the "
            f"first is {rows.incomplete[0]}; fill or remove such rows{incomplete or ''}"
        )
    if not rows.texts:
        raise UserError(f"{files[0]}: no row has a text and a label; a task needs examples")
    return rows


def _lacking(names: Sequence[str], values: Sequence[Any], ids: Sequence[str]) -> str:
    """What a row lacks, if anything; columns of `ids` have the numbers of classes, or HIDDEN."""
    for name, value in zip(names, values, strict=True):
        if is_missing(value):
            return f"{name!r} is missing"
        if name in ids and value == HIDDEN:
            return f"{name!r} is {HIDDEN}, which marks a hidden label"
    return ""


def _beyond(values: Sequence[Any], stored_names: Sequence[str] | None) -> list[int]:
    """Labels, or those in lists, that are still numbers after `_named`: ids of no class."""
    if stored_names is None:
        return []
    each = (one for value in values for one in (value if isinstance(value, list) else [value]))
    return [one for one in each if type(one) is int]


def _named(value: Any, stored_names: Sequence[str] | None) -> Any:
    """A label, or each of a list, by its class's name, where the file has names for its ids."""
    if isinstance(value, list):
        return [_named(each, stored_names) for each in value]
    is_id = stored_names is not None and type(value) is int and 0 <= value < len(stored_names)
    return stored_names[value] if is_id and stored_names is not None else value


def write_division(folder: Path, rows: Rows, division: Division, seed: int, shares: Mapping[str, int]) -> None:
    """Write a file of JSON lines for each split into a folder, and division.json, which says how they were made."""

    def line(row: int) -> str:
        values = [rows.labels[row]] if len(rows.choice.label) == 1 else rows.labels[row]
        content = dict(zip((*rows.choice.text, *rows.choice.label), (*rows.texts[row], *values), strict=True))
        # Decimal numbers are float numbers in JSON.
        return json.dumps(content, ensure_ascii=False, allow_nan=False, default=float) + "\n"

    for split, chosen in division.rows.items():
        write_text(folder / f"{split}.jsonl", "".join(map(line, chosen)))
    record = {
        "made_from": {str(path): sha256_of(path) for path in rows.files},
        "seed": seed,
        "shares_in_percent": dict(shares),
        "rows": {split: len(chosen) for split, chosen in division.rows.items()},
        "rows_left_out": {"incomplete": len(rows.incomplete), "texts_of_the_test_file": division.known},
        "rows_that_repeat_a_text": division.repeats,
    }
    write_json(folder / "division.json", record)

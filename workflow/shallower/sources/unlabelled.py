"""Texts without labels, which a teacher answers: models that it teaches learn these answers as well.

They are in files on this machine, in the form of the task's own data, and are compared with the task's splits: a text
that models are scored on, or chosen on, must not be trained on, and one that is trained on already adds nothing.
"""

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shallower.core.errors import UserError
from shallower.core.files import sha256_of, write_json
from shallower.core.layout import SPLITS, TEST, UNLABELLED
from shallower.core.parquet import write_parquet
from shallower.core.provenance import code_state, versions
from shallower.core.text_figures import LEFT_OUT, REPEATED, unlabelled_in_words
from shallower.models.checksums import verified, verified_file
from shallower.sources.labelled_files import TEXTS, compared_text, compared_texts, read_unlabelled, text_problem
from shallower.sources.layouts import local_files, version_problems
from shallower.sources.local_data import LocalData, kept
from shallower.sources.retrieval import TEXT
from shallower.sources.slices import SLICE_SEED, drawn, shuffled
from shallower.sources.task_sources import TASK_SOURCES
from shallower.sources.tasks import task_files, text_bytes
from shallower.task_kinds.registry import task_kind

logger = logging.getLogger(__name__)

# Between the two texts of a pair: a blank to Python, so that no text that is compared has it.
SEPARATOR = "\x1f"


def fetch_unlabelled(
    definition: Mapping[str, Any], task_dir: Path, others_files: Sequence[Path], target_dir: Path
) -> None:
    """Write unlabelled.parquet, the texts of a task's `unlabelled_file` that are left for training, and a manifest.

    `definition` is the task's, with `unlabelled_file` and, where the study has it, `unlabelled_examples`; `task_dir` is
    the folder that `fetch_task` wrote, `others_files` are the tables of `fetch_calibration` and `fetch_test`, if any,
    which are named after their splits. The table has the columns `id` (the row's number in the file, from 0),
    `text` and, for pairs, `text_pair`.

    Raises UserError with what is wrong with the file, when no row is left, and when fewer are than the study asks for.
    """
    files = unlabelled_files(definition)
    table, remarks = _texts(definition, files)
    splits = [f"{split}.parquet" for split in SPLITS]
    compared_with = verified(task_dir, splits)
    others = {split: pq.read_table(task_dir / f"{split}.parquet") for split in SPLITS}
    for file in others_files:
        compared_with[file.name] = verified_file(file)
        others[file.stem] = pq.read_table(file)
    left, counts = left_over(table, others, UNITS[definition.get("unlabelled_unit", "text")])
    place, size = files[0], definition.get("unlabelled_examples")
    if not len(left):
        raise UserError(
            f"{place}: no row is left to learn from; of {unlabelled_in_words(counts)}; name a file of other texts"
        )
    if size is not None and size > len(left):
        raise UserError(
            f"{place}: unlabelled_examples asks for {size}, but {len(left)} are left; of "
            f"{unlabelled_in_words(counts)}; ask for fewer"
        )
    if size is not None:
        left = drawn(left, shuffled(left), size, None)
    for remark in remarks:
        logger.info("%s", remark)
    logger.info("%d texts without labels; of %s", len(left), unlabelled_in_words(counts))
    name = f"{UNLABELLED}.parquet"
    write_parquet(target_dir / name, left)
    originals = {
        UNLABELLED if len(files) == 1 else f"{UNLABELLED} {part}": {"file": path.name, "sha256": sha256_of(path)}
        for part, path in enumerate(files, start=1)
    }
    write_json(
        target_dir / "manifest.json",
        {
            "source": dict(definition),
            "seed": SLICE_SEED,
            "originals": originals,
            "reading": {"remarks": remarks},
            "compared_with": compared_with,
            "found": counts,
            "rows": {UNLABELLED: len(left)},
            "text_bytes": text_bytes(left),
            "versions": versions(("numpy", "pyarrow")),
            "code": code_state(Path(__file__).parent),
            "sha256": {name: sha256_of(target_dir / name)},
        },
    )


def _texts(definition: Mapping[str, Any], files: Sequence[Path]) -> tuple[pa.Table, list[str]]:
    """The texts of a task's files without labels, as its kind answers them, and what was decided on reading them."""
    columns = TASK_SOURCES[definition["source"]].columns(definition)
    if not task_kind(columns.target).answers_with_vectors:
        return read_unlabelled(files, columns)
    text = definition.get("unlabelled_text", columns.text[0] if columns.text else TEXT)
    table, remarks = read_unlabelled(files, replace(columns, text=(text,), names=None))
    split = UNITS[definition.get("unlabelled_unit", "text")]
    texts = [part for text in table["text"].to_pylist() for part in split(text) if text_problem(part) is None]
    return pa.table({"id": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())}), remarks


# What of a text is answered by itself.
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
UNITS: Mapping[str, Callable[[str], list[str]]] = {
    "text": lambda text: [text],
    "line": str.splitlines,
    "sentence": lambda text: [part for line in text.splitlines() for part in _SENTENCE_END.split(line)],
}


def left_over(
    table: pa.Table, others: Mapping[str, pa.Table], split_text: Callable[[str], list[str]] = lambda text: [text]
) -> tuple[pa.Table, dict[str, int]]:
    """The rows of a table whose texts are new, and why others are left out; `others` are the task's tables by split.

    Single texts must be none of these tables', nor a part of one by `split_text`, as which they were taken from a file.
    Texts are compared without case and repeated blanks. The numbers are `read`, those of `LEFT_OUT`, and `left`; the
    first is the sum of the others, since a row counts once: for the first reason, in the order of `LEFT_OUT`.
    """
    reasons: dict[bytes, str] = {}
    for split in (split for split in LEFT_OUT if split in others):
        if "text_pair" in table.column_names:
            found = compared_texts(others[split])
        else:
            single = (text for name in TEXTS if name in others[split].column_names for text in others[split][name])
            parts = (part for text in single for part in (text.as_py(), *split_text(text.as_py())))
            found = ((compared_text(part),) for part in parts)
        for texts in found:
            reasons.setdefault(_digest(texts), split)
    rows, counts = [], Counter({reason: 0 for reason in LEFT_OUT if reason != TEST or TEST in others})
    for row, texts in enumerate(compared_texts(table)):
        key = _digest(texts)
        if key in reasons:
            counts[reasons[key]] += 1
        else:
            reasons[key] = REPEATED
            rows.append(row)
    return table.take(pa.array(rows, pa.int64())), {"read": len(table), **counts, "left": len(rows)}


def _digest(texts: tuple[str, ...]) -> bytes:
    """16 bytes for a text or a pair of texts; not hash(), which differs between processes."""
    return hashlib.blake2b(SEPARATOR.join(texts).encode("utf-8"), digest_size=16).digest()


def unlabelled_files(definition: Mapping[str, Any]) -> list[Path]:
    """The files that a definition's `unlabelled_file` names, whether or not they exist."""
    return local_files(definition["unlabelled_file"])


def check_unlabelled(definition: Mapping[str, Any]) -> list[str]:
    """What is wrong with a task's texts without labels, as far as their files show."""
    return list(local_unlabelled(definition).problems)


def local_unlabelled(definition: Mapping[str, Any]) -> LocalData:
    """What is found in a task's files of texts without labels. The same content is read once."""
    try:
        files = unlabelled_files(definition)
        if problems := list(_file_problems(definition, files)):
            return LocalData(tuple(problems))
        TASK_SOURCES[definition["source"]].columns(definition)
    except UserError as error:
        return LocalData((str(error),))

    def read() -> LocalData:
        try:
            rows = len(_texts(definition, files)[0])
        except UserError as error:
            return LocalData(tuple(error.problems))
        if (size := definition.get("unlabelled_examples", 0)) > rows:
            return LocalData((f"{files[0]}: has {rows} rows, unlabelled_examples asks for {size}; ask for fewer",))
        return LocalData((), {UNLABELLED: rows})

    return kept(definition, {UNLABELLED: files}, Path(__file__).resolve(), read)


def _file_problems(definition: Mapping[str, Any], files: list[Path]) -> Iterator[str]:
    yield from version_problems(files)
    # A pattern may find what a study may not name.
    with_braces = (path for path in files if {*"{}"} & {*str(path)})
    yield from (f"{path}: Snakemake takes braces for wildcards; rename the file" for path in with_braces)
    own = {*map(os.path.realpath, files)}
    for split, paths in task_files(definition).items():
        if common := sorted(own & {*map(os.path.realpath, paths)}):
            yield (
                f"unlabelled_file: {os.path.relpath(common[0])} is the task's {split} data, too; name a file of other "
                "texts"
            )

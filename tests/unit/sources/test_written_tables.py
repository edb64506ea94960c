"""Tables as pandas and the csv module write them are read as they were, or refused; never read as something else.

A fixed sequence of examples, so that a failure repeats. FUZZ_EXAMPLES=3000 tries that many of each, other ones every
time.
"""

import csv
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import fuzz
from shallower.core.errors import UserError
from shallower.sources.labelled_files import Columns, Labelled, read_labelled

# What separates, quotes, ends a line, or is easily taken for something else.
LETTERS = st.sampled_from([*"ab ,;\t\"\n\r'\\é", "\N{COMBINING ACUTE ACCENT}", "\N{GRINNING FACE}", "\x85", "\u2028"])
WORDS = st.sampled_from(["NA", "nan", "None", "007", "1e3", "True", "-", '""', '"a"', 'a "b" c', "a, b", " a ", "#"])
TEXTS = st.one_of(WORDS, st.text(LETTERS, max_size=8), st.text(max_size=8))
NAMES = ("bad", "good")
ROWS = st.lists(st.tuples(TEXTS, st.sampled_from(NAMES)), min_size=1, max_size=6)
QUOTING = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]
COLUMNS = Columns(("text",), "label", NAMES, may_be_empty=True)


def with_csv(path: Path, rows: Sequence[tuple[Any, ...]], text_first: bool = True, **dialect: Any) -> None:
    encoding = dialect.pop("encoding")
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",", **dialect)
        writer.writerows(row if text_first else row[::-1] for row in [("text", "label"), *rows])


def with_pandas(path: Path, rows: Sequence[tuple[Any, ...]], text_first: bool = True, **dialect: Any) -> None:
    frame = pd.DataFrame(rows, columns=["text", "label"])
    frame = frame if text_first else frame[["label", "text"]]
    frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",", **dialect)


def read(path: Path, columns: Columns) -> Labelled | str:
    """What was read, or why it was refused."""
    try:
        return read_labelled({"train": [path]}, columns)
    except UserError as error:
        assert str(path) in str(error)
        return str(error)


def texts_and_labels(labelled: Labelled) -> list[tuple[str, str]]:
    table = labelled.tables["train"]
    return [(row["text"], NAMES[row["label"]]) for row in table.to_pylist()]


@pytest.mark.parametrize("write", [with_csv, with_pandas])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@fuzz(120)
@given(
    rows=ROWS,
    text_first=st.booleans(),
    quoting=st.sampled_from(QUOTING),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_texts_and_labels(
    suffix: str,
    write: Callable[..., None],
    rows: list[tuple[str, str]],
    text_first: bool,
    quoting: Any,
    line_end: str,
    encoding: str,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        dialect: dict[str, Any] = {"quoting": quoting, "lineterminator": line_end, "encoding": encoding}
        try:
            write(path, rows, text_first, **dialect)
        except (csv.Error, UnicodeEncodeError):
            return  # no such file
        found = read(path, COLUMNS)
        if isinstance(found, str):
            assert not must_be_read(rows, suffix, quoting, line_end, encoding), found
            return
        if quoting == csv.QUOTE_NONE and any('"' in text for text, _ in rows):
            return  # pandas leaves them bare, so that they may quote; see below
        if encoding == "cp1252" and not all(text.isascii() for text, _ in rows):
            return  # happens to be valid UTF-8 of other letters
        is_quoted = quoting == csv.QUOTE_ALL
        expected = [(unbroken(text, is_quoted), label) for text, label in rows]
        assert [(unbroken(text, is_quoted), label) for text, label in texts_and_labels(found)] == expected


def must_be_read(rows: Sequence[tuple[str, str]], suffix: str, quoting: Any, line_end: str, encoding: str) -> bool:
    """Whether a file has nothing that only its reader could misunderstand."""
    special = '"\t\n\r' if suffix == ".tsv" else '",\n\r'
    is_plain = not any(letter in text for text, _ in rows for letter in special)
    return encoding.startswith("utf-8") and line_end != "\r" and (is_plain or quoting == csv.QUOTE_ALL)


def unbroken(text: str, is_quoted: bool = False) -> str:
    """A text without the line breaks at its ends, which writers leave bare at the end of a line."""
    return text if is_quoted else text.strip("\r\n")


@fuzz(150)
@given(rows=ROWS, text_first=st.booleans())
def test_texts_that_nothing_quotes(rows: list[tuple[str, str]], text_first: bool) -> None:
    """As GLUE's files are written: quotation marks are text, unless all of them could quote."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.tsv")
        lines = ["\t".join(row if text_first else row[::-1]) + "\n" for row in [("text", "label"), *rows]]
        path.write_bytes("".join(lines).encode())
        found = read(path, COLUMNS)
    if isinstance(found, str):
        assert any(letter in text for text, _ in rows for letter in "\t\n\r"), found
    elif any("without the quotation marks" in remark for remark in found.remarks):
        assert all(text[0] == text[-1] == '"' for text, _ in rows if '"' in text)
    else:
        expected = [(unbroken(text), label) for text, label in rows]
        assert [(unbroken(text), label) for text, label in texts_and_labels(found)] == expected


# --- labels --------------------------------------------------------------------------------------------------------

CLASSES = st.sampled_from(
    [("bad", "good"), ("0", "1"), ("1", "2", "3"), ("false", "true"), ("True", "False"), ("4", "04"), ("a", "1", "b")]
)
LABELS = st.one_of(
    st.sampled_from(
        ["bad", "good", "0", "1", "2", "3", "4", "04", "00", "1 ", " 1", "\t2", "1.0", "+1", "-1", "\uff11"]
    ),
    st.sampled_from(["true", "True", "false", "", " ", "a", "b", "b ", "\uff11"]),
    st.integers(-1, 4),
    st.sampled_from([0.0, 1.0, 2.5, float("nan")]),
    st.booleans(),
    st.none(),
)


def columns_of_labels(draw: st.DrawFn) -> list[Any]:
    """Labels as they are in columns: mostly of one type, as in a table, sometimes of several."""
    same = draw(st.one_of(st.none(), LABELS))
    of_type = LABELS if same is None else LABELS.filter(lambda value: type(value) is type(same))
    return draw(st.lists(of_type, min_size=1, max_size=6))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@fuzz(150)
@given(labels=st.composite(columns_of_labels)(), classes=CLASSES, is_category=st.booleans())
def test_labels(suffix: str, labels: list[Any], classes: tuple[str, ...], is_category: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        frame = pd.DataFrame({"text": [f"text {number}" for number in range(len(labels))], "label": labels})
        frame["label"] = frame["label"].astype("category") if is_category else frame["label"]
        try:
            if suffix == ".parquet":
                frame.to_parquet(path)
            elif suffix == ".jsonl":
                path.write_text("".join(json.dumps({"text": "a", "label": label}) + "\n" for label in labels))
            else:
                frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
        except (ValueError, TypeError):
            return  # no such table
        found = read(path, Columns(("text",), "label", classes))
    if isinstance(found, str):
        # Only what is no name may be refused.
        assert not all(isinstance(label, str) and label in classes for label in labels), found
        return
    # What pandas makes of them: a category of 1 and True, which are equal, has one value.
    written = labels if suffix == ".jsonl" else frame["label"].tolist()
    for label, index in zip(written, found.tables["train"]["label"].to_pylist(), strict=True):
        is_whole = isinstance(label, float) and label.is_integer()
        text = str(int(label) if is_whole else label).strip()
        if found.labels_are == "names":
            assert classes[index] == text or (isinstance(label, bool) and classes[index].casefold() == text.casefold())
        else:
            assert (found.labels_are, text) == ("ids", str(index))
            assert not any(name.isdigit() for name in classes)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@fuzz(60)
@given(scores=st.lists(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 5)), min_size=1))
def test_scores(suffix: str, scores: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        frame = pd.DataFrame({"text": "a", "label": scores})
        if suffix == ".parquet":
            frame.to_parquet(path)
        elif suffix == ".jsonl":
            path.write_text("".join(json.dumps({"text": "a", "label": score}) + "\n" for score in scores))
        else:
            frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
        found = read(path, Columns(("text",), "label", None, target="regression"))
    assert isinstance(found, Labelled)
    assert found.tables["train"]["label"].to_pylist() == scores

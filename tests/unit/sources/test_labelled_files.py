"""Labelled text from files of every kind: read as it stands, refused with the row and the remedy."""

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labelled import read_one
from shallower.core.errors import StudyErrors, UserError
from shallower.sources.file_formats import MAX_REPORTED_ROWS
from shallower.sources.labelled_files import Columns, read_labelled

# With a row for each text; in others each word has a line (tests of tagged words).
SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl")
CLASSES = Columns(("text",), "label", ("neg", "pos"))
SCORES = Columns(("text",), "label", None, target="regression")

Row = dict[str, Any]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows in the form that the suffix says."""
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(list(rows)), path)
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        case suffix:
            between, quote = ("\t", "") if suffix == ".tsv" else (",", '"')
            lines = [list(rows[0]), *(row.values() for row in rows)]
            escaped = [
                [quote + str(value).replace('"', '""' if quote else '"') + quote for value in line] for line in lines
            ]
            path.write_text("".join(between.join(line) + "\n" for line in escaped), encoding="utf-8")
    return path


def rows_with(labels: Sequence[Any]) -> list[Row]:
    return [{"text": f"text number {number}", "label": label} for number, label in enumerate(labels)]


def labels_of(path: Path, columns: Columns = CLASSES) -> list[Any]:
    return read_one(path, columns).column("label").to_pylist()


def problems_of(path: Path, columns: Columns = CLASSES) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_one(path, columns)
    problems = caught.value.problems if isinstance(caught.value, StudyErrors) else [str(caught.value)]
    assert all(problem.startswith(f"{path}: ") for problem in problems), "every problem names the file"
    return [problem.removeprefix(f"{path}: ") for problem in problems]


# --- what is read --------------------------------------------------------------------------------------------------

# Texts that readers like to take for something else.
TRICKY = ["NA", "1", "007", "1e3", "2024-01-01", "True", "null", "", " ", "nan", 'say "no"', "naïve ok", " blanks "]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_texts_stay_as_they_are(tmp_path: Path, suffix: str) -> None:
    rows = [{"text": text, "label": ("neg", "pos")[number % 2]} for number, text in enumerate(TRICKY)]
    table = read_one(write(tmp_path / f"a{suffix}", rows), Columns(("text",), "label", ("neg", "pos"), True))
    assert table.column("text").to_pylist() == TRICKY
    assert table.schema == pa.schema([("id", pa.int64()), ("text", pa.string()), ("label", pa.int64())])
    assert table.column("id").to_pylist() == list(range(len(TRICKY)))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("labels", [["pos", "neg", "pos"], [1, 0, 1]])
def test_names_and_ids_give_the_same_labels(tmp_path: Path, suffix: str, labels: list[Any]) -> None:
    assert labels_of(write(tmp_path / f"a{suffix}", rows_with(labels))) == [1, 0, 1]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_scores_are_numbers(tmp_path: Path, suffix: str) -> None:
    table = read_one(write(tmp_path / f"a{suffix}", rows_with([0.5, 3.0, 5.0])), SCORES)
    assert table.schema.field("label").type == pa.float64()
    assert table.column("label").to_pylist() == pytest.approx([0.5, 3.0, 5.0])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pairs_and_columns_of_other_names(tmp_path: Path, suffix: str) -> None:
    rows = [{"extra": 7, "b": f"second {n}", "gold": "pos", "a": f"first {n}"} for n in range(3)]
    table = read_one(write(tmp_path / f"a{suffix}", rows), Columns(("a", "b"), "gold", ("neg", "pos")))
    assert table.column_names == ["id", "text", "text_pair", "label"]
    assert table.column("text").to_pylist() == ["first 0", "first 1", "first 2"]
    assert table.column("text_pair").to_pylist() == ["second 0", "second 1", "second 2"]


def test_class_names_stored_in_parquet_count_before_ids(tmp_path: Path) -> None:
    features = {"label": {"names": ["pos", "neg"], "_type": "ClassLabel"}}
    table = pa.Table.from_pylist(rows_with([0, 0, 1]))
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "a.parquet")
    assert labels_of(tmp_path / "a.parquet") == [1, 1, 0]
    other = Columns(("text",), "label", ("negative", "positive"))
    assert problems_of(tmp_path / "a.parquet", other)[0] == (
        "row 1: label 'pos' is none of the labels 'negative', 'positive'"
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_class_names_that_are_numbers_are_names(tmp_path: Path, suffix: str) -> None:
    stars = Columns(("text",), "label", ("1", "2", "3"))
    assert labels_of(write(tmp_path / f"a{suffix}", rows_with([1, 2, 3, 1])), stars) == [0, 1, 2, 0]


def test_quoted_fields_may_hold_commas_and_line_breaks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\n"one, two\nthree ""four""",pos\n\nfive,neg\n')
    table = read_one(tmp_path / "a.csv", CLASSES)
    assert table.column("text").to_pylist() == ['one, two\nthree "four"', "five"]


TEXTS_OF_TSV = {
    "open": ('"open quote\tpos\nnext row\tneg\n', ['"open quote', "next row"]),
    "closed later": ('"open\tpos\nplain\tneg\nclosed"\tpos\n', ['"open', "plain", 'closed"']),
    "some titles": ('"The Hours"\tpos\na film\tneg\n', ['"The Hours"', "a film"]),
    "a title and a word": ('"The ""Hours"""\tpos\n"so" they say\tneg\n', ['"The ""Hours"""', '"so" they say']),
    "commas elsewhere": ('"Well, no"\tpos\nlong, dull\tneg\n', ['"Well, no"', "long, dull"]),
    "inside": ('say "no"\tpos\n5" disk\tneg\n', ['say "no"', '5" disk']),
}


@pytest.mark.parametrize(("content", "texts"), TEXTS_OF_TSV.values(), ids=TEXTS_OF_TSV)
def test_quotation_marks_in_tsv_are_text(tmp_path: Path, content: str, texts: list[str]) -> None:
    (tmp_path / "a.tsv").write_text(f"text\tlabel\n{content}")
    labelled = read_labelled({"train": [tmp_path / "a.tsv"]}, CLASSES)
    assert labelled.tables["train"].column("text").to_pylist() == texts
    assert [remark.partition(";")[0] for remark in labelled.remarks] == ["a.tsv: quotation marks are read as text"]


QUOTED_TSV = {
    "doubled": ('text\tlabel\n"say ""hi"""\tpos\nplain\tneg\n', ['say "hi"', "plain"]),
    "all fields": ('"text"\t"label"\n"one"\t"pos"\n"two"\t"neg"\n', ["one", "two"]),
    "all texts": ('text\tlabel\r\n"one"\tpos\r\n"two"\tneg\r\n', ["one", "two"]),
    "line break": ('text\tlabel\n"two\nlines"\tpos\nplain\tneg\n', ["two\nlines", "plain"]),
    "breaks that look like rows": ('"text"\t"label"\n"a\tb\n"\t"pos"\n"two"\t"neg"\n', ["a\tb\n", "two"]),
    "tab": ('text\tlabel\n"a\ttab"\tpos\nplain\tneg\n', ["a\ttab", "plain"]),
    "only commas": ('text\tlabel\n"Well, no"\tpos\nplain\tneg\n', ["Well, no", "plain"]),
    "nothing": ('text\tlabel\n""\tpos\nplain\tneg\n', ["", "plain"]),
}


@pytest.mark.parametrize(("content", "texts"), QUOTED_TSV.values(), ids=QUOTED_TSV)
def test_quoted_tsv_is_noticed(tmp_path: Path, content: str, texts: list[str]) -> None:
    (tmp_path / "a.tsv").write_bytes(content.encode())
    labelled = read_labelled({"train": [tmp_path / "a.tsv"]}, Columns(("text",), "label", ("neg", "pos"), True))
    assert labelled.tables["train"].column("text").to_pylist() == texts
    assert re.search(r" quoted fields? read without the quotation marks$", labelled.remarks[0])


def test_a_header_that_is_quoted_by_itself_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('"text"\t"label"\n"so" they say\tpos\n')
    assert problems_of(tmp_path / "a.tsv") == [
        "no column 'text', 'label'; it has '\"text\"', '\"label\"' "
        "(quotation marks are read as text; those in line 2 do not quote a field)"
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    for name, between in (("a.csv", ","), ("a.tsv", "\t")):
        lines = [between.join(fields) + end for fields in (("text", "label"), ("one", "pos"), ("two", "neg"))]
        (tmp_path / name).write_bytes("".join(lines).encode())
        assert read_one(tmp_path / name, CLASSES).column("text").to_pylist() == ["one", "two"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_break_within_a_line_is_no_line_end(tmp_path: Path, name: str) -> None:
    between = "," if name == "a.csv" else "\t"
    (tmp_path / name).write_bytes("text,label\n\rone,pos\ntwo,neg\n".replace(",", between).encode())
    (problem,) = problems_of(tmp_path / name)
    assert problem.startswith("line 2 cannot be read (new-line character seen in unquoted field")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", rows_with(["pos", "neg"]))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert labels_of(path) == [1, 0]


# --- files as people have them -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.CSV", "a.Tsv", "a.PARQUET", "a.JSONL", "a.ndjson", "a.json"])
def test_names_of_files(tmp_path: Path, name: str) -> None:
    kind = ".jsonl" if name.endswith("json") else Path(name).suffix.lower()
    write(tmp_path / f"b{kind}", rows_with(["pos", "neg"])).rename(tmp_path / name)
    assert labels_of(tmp_path / name) == [1, 0]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".ndjson"])
def test_compressed_text(tmp_path: Path, suffix: str) -> None:
    plain = write(tmp_path / f"a{suffix.replace('ndjson', 'jsonl')}", rows_with(["pos", "neg"]))
    packed = tmp_path / f"a{suffix}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_one(packed, CLASSES).equals(read_one(plain, CLASSES))
    packed.write_bytes(packed.read_bytes()[:-12])
    assert "cannot be read as" in problems_of(packed)[0]
    packed.write_bytes(plain.read_bytes())
    assert problems_of(packed)[0].startswith("cannot be read (Not a gzipped file")
    packed.write_bytes(gzip.compress(b"text,label\nok,pos\nna\xefve,neg\n"))
    assert problems_of(packed) == ["line 3 is not UTF-8; convert the file to UTF-8"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_in_place_of_lines(tmp_path: Path, indent: int | None) -> None:
    rows = rows_with(["pos", "neg", "pos"])
    (tmp_path / "a.jsonl").write_text("\n" + json.dumps(rows, indent=indent))
    assert labels_of(tmp_path / "a.jsonl") == [1, 0, 1]
    (tmp_path / "a.jsonl").write_text(json.dumps([*rows, "more"]))
    assert problems_of(tmp_path / "a.jsonl") == ["row 1 is not a JSON object; write one object a line"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_with_composed_and_decomposed_letters(tmp_path: Path, suffix: str) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for there, asked in ((composed, decomposed), (decomposed, composed)):
        rows = [{there: f"{decomposed} {number}", "label": number % 2} for number in range(3)]
        table = read_one(write(tmp_path / f"a{suffix}", rows), Columns((asked,), "label", ("neg", "pos")))
        assert table["text"].to_pylist() == [row[there] for row in rows], "texts stay as they are"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pointers_of_git_lfs(tmp_path: Path, suffix: str) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    (tmp_path / f"a{suffix}").write_text(pointer)
    (problem,) = problems_of(tmp_path / f"a{suffix}")
    assert problem == f"is a pointer of Git LFS, not {suffix[1:]}; get the file itself with: git lfs pull"


# --- names and ids -------------------------------------------------------------------------------------------------

STARS = Columns(("text",), "label", ("1", "2", "3", "4", "5"))


def read_both(folder: Path, train: Sequence[Any], validation: Sequence[Any], columns: Columns) -> Any:
    """Two splits with these labels, read together; the validation split as JSON lines, which have types."""
    return read_labelled(
        {
            "train": [write(folder / "train.csv", rows_with(train))],
            "validation": [write(folder / "validation.jsonl", rows_with(validation))],
        },
        columns,
    )


def refused(folder: Path, train: Sequence[Any], validation: Sequence[Any], columns: Columns = CLASSES) -> list[str]:
    with pytest.raises(StudyErrors) as caught:
        read_both(folder, train, validation, columns)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("train", "validation", "columns", "form"),
    [
        (["neg", "pos"], ["pos", "neg"], CLASSES, "names"),
        (["0", "1"], [1, 0], CLASSES, "ids"),
        (["1", "5"], [2, 3], STARS, "names"),
        (["1", "2"], [2, 1], STARS, "names"),
        (["0.5", "1"], [2, 1.5], SCORES, "numbers"),
    ],
)
def test_what_labels_are_is_decided_for_all_splits(
    tmp_path: Path, train: list[Any], validation: list[Any], columns: Columns, form: str
) -> None:
    assert read_both(tmp_path, train, validation, columns).labels_are == form


def test_ids_are_refused_where_the_names_are_numbers(tmp_path: Path) -> None:
    end = "is none of the labels '1', '2', '3', '4', '5'; where these are numbers, no label is an id: "
    assert refused(tmp_path, ["0", "1", "4"], [4, 0], STARS) == [
        f"train.csv: row 1: label '0' {end}correct the row or the labels",
        f"validation.jsonl: row 2: label 0 {end}correct the row or the labels",
    ]
    # A name is none of them either where it is written in another way.
    assert refused(tmp_path, ["1", "04"], [1, 4], STARS)[0].startswith("train.csv: row 2: label '04' is none of the")


def test_names_and_ids_do_not_mix(tmp_path: Path) -> None:
    assert refused(tmp_path, ["pos", "neg", "1"], ["pos"]) == [
        "train.csv: row 3: label '1' is an id, but 'pos' in row 1 of train.csv is a name; "
        "write names or ids in all rows"
    ]
    assert refused(tmp_path, ["1", "0", "1"], [1, "pos"]) == [
        "validation.jsonl: row 2: label 'pos' is a name, but '1' in row 1 of train.csv is an id; "
        "write names or ids in all rows"
    ]
    assert refused(tmp_path, ["1", "0", "1"], ["pos"]) == [
        "validation.jsonl: row 1: label 'pos' is a name, but '1' in row 1 of train.csv is an id; "
        "write names or ids in all rows"
    ]


@pytest.mark.parametrize("label", ["01", "1.0", "+1", "1,0"])
def test_what_only_looks_like_an_id_is_none(tmp_path: Path, label: str) -> None:
    assert refused(tmp_path, ["1", label, "0"], [1]) == [
        f"train.csv: row 2: label {label!r} is no id; write a whole number from 0 to 1, without leading zeros"
    ]


def test_blanks_around_labels_do_not_count_and_are_reported(tmp_path: Path) -> None:
    labelled = read_both(tmp_path, ["1 ", "2", "\t4", "5"], ["4\u00a0", 5], STARS)
    assert labelled.tables["train"].column("label").to_pylist() == [0, 1, 3, 4]
    assert labelled.tables["validation"].column("label").to_pylist() == [3, 4]
    assert labelled.labels_are == "names"
    assert labelled.remarks == [
        "train.csv: 2 labels read without blanks around, the first in row 1: '1 '",
        "validation.jsonl: 1 label read without blanks around, the first in row 1: '4\\xa0'",
    ]
    assert read_both(tmp_path, [" 1", "0"], [1], CLASSES).tables["train"].column("label").to_pylist() == [1, 0]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_whole_numbers_stored_as_floats_are_the_same(tmp_path: Path, suffix: str) -> None:
    """As pandas keeps them in a column where some were missing."""
    assert labels_of(write(tmp_path / f"a{suffix}", rows_with([1.0, 0.0]))) == [1, 0]
    stars = write(tmp_path / f"b{suffix}", rows_with([2.0, 5.0]))
    assert labels_of(stars, STARS) == [1, 4]
    assert problems_of(stars) == [
        f"row {row}: label {number} is out of range; 2 labels have the ids 0 to 1" for row, number in ((1, 2), (2, 5))
    ]


def test_a_label_of_blanks_is_missing(tmp_path: Path) -> None:
    assert refused(tmp_path, ["pos", " "], ["neg"]) == ["train.csv: row 2: label is missing; fill it or remove the row"]


def test_booleans_are_classes_called_so(tmp_path: Path) -> None:
    truths = Columns(("text",), "label", ("false", "true"))
    assert labels_of(write(tmp_path / "a.jsonl", rows_with([True, False])), truths) == [1, 0]
    assert labels_of(write(tmp_path / "a.parquet", rows_with([True, False])), truths) == [1, 0]
    python = Columns(("text",), "label", ("True", "False"))
    assert read_both(tmp_path, ["True", "False"], [False, True], python).labels_are == "names"
    other = Columns(("text",), "label", ("true", "True"))
    assert "True is neither" in problems_of(write(tmp_path / "a.jsonl", rows_with([True])), other)[0]


def test_composed_and_decomposed_letters_are_the_same(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    drinks = Columns(("text",), "label", ("tea", composed))
    assert labels_of(write(tmp_path / "a.csv", rows_with(["tea", decomposed])), drinks) == [0, 1]
    again = Columns(("text",), "label", ("tea", decomposed))
    assert labels_of(write(tmp_path / "a.csv", rows_with(["tea", composed])), again) == [0, 1]


def test_names_stored_in_one_file_go_with_names_or_ids_in_the_other(tmp_path: Path) -> None:
    def stored(names: list[str]) -> Path:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = pa.Table.from_pylist(rows_with([0, 0, 1]))
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        pq.write_table(table, tmp_path / "train.parquet")
        return tmp_path / "train.parquet"

    def read(names: list[str], validation: list[Any]) -> list[Any]:
        files = {"train": [stored(names)], "validation": [write(tmp_path / "v.csv", rows_with(validation))]}
        return read_labelled(files, CLASSES).tables["train"].column("label").to_pylist()

    assert read(["neg", "pos"], ["pos", "neg"]) == [0, 0, 1]
    assert read(["neg", "pos"], [1, 0]) == [0, 0, 1]
    assert read(["pos", "neg"], ["pos", "neg"]) == [1, 1, 0]
    with pytest.raises(StudyErrors, match=r"v\.csv: row 1: label '1' is an id, but 0 in row 1 of .*parquet is a name"):
        read(["pos", "neg"], [1, 0])


@pytest.mark.parametrize("text", ["1_000", "\u0661", "0x1", "1e400"])
def test_numbers_are_written_plainly(tmp_path: Path, text: str) -> None:
    found = problems_of(write(tmp_path / "a.csv", rows_with([text])), SCORES)
    assert found == [f"row 1: label {text!r} is not a finite number; a regression or a rating needs one"]


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("good", "label 'good' is none of the labels 'neg', 'pos'"),
        ("Pos", "label 'Pos' is none of the labels 'neg', 'pos'"),
        (2, "label 2 is out of range; 2 labels have the ids 0 to 1"),
        (-1, "label -1 marks a hidden label; use a split whose labels are known"),
        (-2, "label -2 is out of range; 2 labels have the ids 0 to 1"),
    ],
)
def test_labels_that_are_no_class(tmp_path: Path, suffix: str, label: Any, problem: str) -> None:
    known = "pos" if isinstance(label, str) else 1
    assert problems_of(write(tmp_path / f"a{suffix}", rows_with([known, known, label]))) == [f"row 3: {problem}"]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize("label", [0.5, True])
def test_numbers_that_are_not_whole_are_no_class(tmp_path: Path, suffix: str, label: Any) -> None:
    found = problems_of(write(tmp_path / f"a{suffix}", rows_with([label])))
    assert found == [f"row 1: label {label!r} is neither the name of a class nor its id, a whole number"]


def test_numbers_that_are_not_whole_are_no_class_in_text_either(tmp_path: Path) -> None:
    found = problems_of(write(tmp_path / "a.csv", rows_with(["1.0"])))
    assert found == ["row 1: label '1.0' is none of the labels 'neg', 'pos'"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_scores_that_are_no_number(tmp_path: Path, suffix: str) -> None:
    found = problems_of(write(tmp_path / f"a{suffix}", rows_with(["3.0", "much", "inf"])), SCORES)
    assert found == [
        "row 2: label 'much' is not a finite number; a regression or a rating needs one",
        "row 3: label 'inf' is not a finite number; a regression or a rating needs one",
    ]


@pytest.mark.parametrize("columns", [CLASSES, SCORES])
def test_missing_labels(tmp_path: Path, columns: Columns) -> None:
    missing = ["row 2: label is missing; fill it or remove the row"]
    for suffix in (".parquet", ".jsonl"):
        assert problems_of(write(tmp_path / f"a{suffix}", rows_with([1, None])), columns) == missing
    assert problems_of(write(tmp_path / "a.csv", rows_with([1, ""])), columns) == missing
    floats = pa.table({"text": ["a", "b"], "label": pa.array([1.0, float("nan")])})
    pq.write_table(floats, tmp_path / "nan.parquet")
    assert missing[0] in problems_of(tmp_path / "nan.parquet", columns)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_texts(tmp_path: Path, suffix: str) -> None:
    rows = rows_with([0, 1, 0])
    rows[0]["text"], rows[2]["text"] = "", " \u00a0"
    assert problems_of(write(tmp_path / f"a{suffix}", rows)) == [
        "row 1: text is empty; fill it or remove the row",
        "row 3: text is empty; fill it or remove the row",
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_texts_without_a_visible_character(tmp_path: Path, suffix: str) -> None:
    rows = rows_with([0, 1, 0])
    rows[1]["text"] = "\u200b \ufeff\x01"
    assert problems_of(write(tmp_path / f"a{suffix}", rows)) == [
        "row 2: text holds only characters that cannot be seen, as '\\u200b \\ufeff\\x01'; fill or remove it"
    ]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_texts_that_are_not_text(tmp_path: Path, suffix: str) -> None:
    assert problems_of(write(tmp_path / f"a{suffix}", [{"text": 5, "label": 0}])) == ["row 1: text is 5, not text"]
    rows = [{"text": "a", "label": 0}, {"text": None, "label": 0}]
    assert problems_of(write(tmp_path / f"b{suffix}", rows)) == ["row 2: text is missing"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_columns_are_reported_with_those_there_are(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", [{"sentence": "a", "gold": "pos"}])
    assert problems_of(path) == ["no column 'text', 'label'; it has 'sentence', 'gold'"]


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    found = problems_of(write(tmp_path / "a.csv", rows_with(["bad"] * (MAX_REPORTED_ROWS + 7))))
    assert len(found) == MAX_REPORTED_ROWS + 1
    assert found[MAX_REPORTED_ROWS - 1].startswith(f"row {MAX_REPORTED_ROWS}: ")
    assert found[-1] == "7 more problems like these"


def test_dates_after_the_last_year_of_python(tmp_path: Path) -> None:
    days = pa.array([2_932_897], pa.date32())  # 1 January of the year 10000
    pq.write_table(pa.table({"text": days, "label": ["pos"]}), tmp_path / "a.parquet")
    (problem,) = problems_of(tmp_path / "a.parquet")
    assert "a column holds dates instead of texts" in problem


def test_rows_with_another_number_of_fields(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\none, two,pos\nthree,neg\nfour\n")
    first, second = problems_of(tmp_path / "a.csv")
    assert first == "row 1 has 3 fields, the header 2; put texts with commas or quotation marks in quotation marks"
    assert second.startswith("row 3 has 1 fields, the header 2; ")


def test_broken_quoting(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\none,pos\n"two,neg\nthree,pos\n')
    (problem,) = problems_of(tmp_path / "a.csv")
    assert re.match(r"line \d+ cannot be read .*quotation marks", problem)


def test_lines_that_are_not_json_objects(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 0}\n{"text": "b",\n["c", 0]\n')
    first, second = problems_of(tmp_path / "a.jsonl")
    assert first.startswith("row 2 is not JSON (")
    assert second == "row 3 is not a JSON object; write one object a line"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_other_encodings(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", rows_with([0] * 3000))
    lines = path.read_bytes().split(b"\n")
    lines[2000] = lines[2000].replace(b"text number", b"na\xefve number")
    path.write_bytes(b"\n".join(lines))
    assert problems_of(path) == ["line 2001 is not UTF-8; convert the file to UTF-8"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.touch()
    (problem,) = problems_of(path)
    assert "cannot be read as parquet" in problem if suffix == ".parquet" else problem == "the file is empty"
    if suffix in (".csv", ".tsv"):
        path.write_text("text,label\n".replace(",", "," if suffix == ".csv" else "\t"))
        assert problems_of(path) == ["no rows; a task needs examples"]


def test_files_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.csv", rows_with([0, 1]))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    # By hand, because files are open to root whatever their permissions.
    monkeypatch.setattr(Path, "open", refuse)
    assert problems_of(path) == ["cannot be read (Permission denied); check the file"]
    monkeypatch.undo()
    (tmp_path / "b.csv").mkdir()
    assert problems_of(tmp_path / "b.csv") == [
        "is a folder; name the file of rows in it, or several with a pattern such as train-*.parquet"
    ]
    assert "cannot be read" in problems_of(tmp_path / f"{'x' * 300}.csv")[0]


def test_files_that_are_not_what_they_seem(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("text,label\na,pos\n")
    assert "cannot be read as parquet" in problems_of(tmp_path / "a.parquet")[0]
    (tmp_path / "a.xlsx").touch()
    assert problems_of(tmp_path / "a.xlsx") == [
        "unknown kind of file; use .parquet, .csv, .tsv, .jsonl, .conll, .conllu"
    ]
    assert problems_of(tmp_path / "absent.csv") == ["file not found"]

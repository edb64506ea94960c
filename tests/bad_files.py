"""Files and options of which `make study` makes no study, each with the words that its message must hold.

A case is a folder with these files, and options of a request. The words are those of the culprit and of the remedy.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

# Words of which texts are made: as many texts as there are rows, all different.
PLACES = ["house", "river", "street", "garden", "school", "market", "bridge", "harbour", "tower", "field"]
DEEDS = ["opens", "closes", "waits", "burns", "shines", "grows", "falls", "moves", "sings", "sleeps"]


def text(row: int) -> str:
    """A text of its own for each row."""
    return f"the {PLACES[row % 10]} {DEEDS[row // 10 % 10]} on day {row // 100} of spring"


def table(rows: int = 40, separator: str = ",", **columns: Callable[[int], Any]) -> str:
    """CSV of columns, each by a function of the row's number."""
    lines = [separator.join(columns)]
    lines += [separator.join(str(value(row)) for value in columns.values()) for row in range(rows)]
    return "\n".join(lines) + "\n"


def tagged(tags: Callable[[int], list[str]]) -> str:
    """JSON lines of three words and their tags, by a function of the row's number."""
    return "".join(json.dumps({"words": text(row).split()[1:4], "tags": tags(row)}) + "\n" for row in range(40))


def mood(row: int) -> str:
    return ("bad", "good")[row % 2]


def row_number(row: int) -> int:
    return row


SOUND = table(text=text, mood=mood)
UNSEEN = [{6: "\u200b", 8: "half \ud83d"}.get(row, f"a good day number {row} in the north") for row in range(40)]


@dataclass(frozen=True)
class Proposal:
    """Files by their names, options of the request, and words of the message."""

    name: str
    files: Mapping[str, Any]
    message_parts: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


def train(content: Any) -> dict[str, Any]:
    return {"my.csv": content}


def cell(row: int, value: Any, usual: Callable[[int], Any]) -> Callable[[int], Any]:
    """A column with another value in one row."""
    return lambda each: value if each == row else usual(each)


PROPOSED = [
    Proposal("no such file", {}, ("my.csv: file not found",)),
    Proposal("folder instead of a file", {"my.csv/a.csv": "a,b\n"}, ("my.csv: is a folder", "train-*.parquet")),
    Proposal("empty file", train(""), ("my.csv: the file is empty",)),
    Proposal("line of names only", train("text,mood\n"), ("my.csv: no rows",)),
    Proposal(
        "spreadsheet",
        {"my.xlsx": "text"},
        ("my.xlsx: unknown kind of file; use .parquet, .csv",),
        {"files": {"train": "my.xlsx"}},
    ),
    Proposal("one column", train(table(text=text)), ("my.csv: has one column, 'text'", "needs texts and labels")),
    Proposal(
        "semicolons",
        train(table(separator=";", text=text, mood=mood)),
        ("one column, 'text;mood'", "holds ';'", "separate columns by commas"),
    ),
    Proposal(
        "no line of names",
        train(SOUND.partition("\n")[2]),
        ("'bad' is also a value further down", "name them yourself, all 2, with COLUMNS=column1,column2"),
    ),
    Proposal("names that are numbers", train("0,1\n" + SOUND.partition("\n")[2]), ("'0' is a number", "COLUMNS=")),
    Proposal(
        "no text",
        train(table(word=lambda row: PLACES[row % 10], mood=mood)),
        ("no column looks like text; name one or two with TEXT=", "'word': 10 different values"),
    ),
    Proposal(
        "two columns of text",
        train(table(title=text, body=text, mood=mood)),
        ("2 columns hold text", "TEXT=title, TEXT=body or TEXT=title,body for both"),
    ),
    Proposal(
        "labels that are all different",
        train(table(text=text, label=lambda row: f"name{row}")),
        ("no column looks like the label", "'label': another value in each row"),
    ),
    Proposal(
        "labels that are all different, asked for",
        train(table(text=text, mood=lambda row: f"name{row}")),
        ("no label of the column 'mood' is there twice", "choose another with LABEL="),
        {"label": ("mood",)},
    ),
    Proposal(
        "one class",
        train(table(text=text, mood=lambda row: "good")),
        ("no column looks like the label ('mood' has one value only)", "LABEL="),
    ),
    Proposal(
        "one class, asked for",
        train(table(text=text, mood=lambda row: "good")),
        ("the column 'mood' has one value only, 'good'",),
        {"label": ("mood",)},
    ),
    Proposal(
        "ids and dates only next to the text",
        train(table(id=row_number, day=lambda row: f"2024-01-{1 + row % 28:02}", text=text)),
        ("no column looks like the label", "'day': dates", "'id': another value in each row"),
    ),
    Proposal(
        "two columns that can be the label",
        train(table(text=text, mood=mood, place=lambda row: "here" if row % 3 else "there")),
        ("2 columns can be the label", "LABEL=mood (classification: 2 values: bad, good)", "LABEL=place"),
    ),
    Proposal(
        "few whole numbers",
        train(table(text=text, stars=lambda row: 1 + row % 5)),
        (
            "the label 'stars' suits",
            "for regression: whole numbers from 1 to 5",
            "KIND=classification or KIND=regression",
        ),
    ),
    Proposal(
        "two columns of 0 and 1",
        train(table(text=text, rude=lambda row: row % 2, loud=lambda row: row % 3 // 2)),
        (
            "3 columns can be the label",
            "LABEL=rude,loud (multi-label: 2 columns of 0 and 1",
            "LABEL=rude (classification",
        ),
    ),
    Proposal(
        "columns of 0 alone",
        train(table(text=text, rude=lambda row: row % 2, loud=lambda row: row % 3 // 2, calm=lambda row: 0)),
        ("calm: the same in all rows", "name the other columns with LABEL="),
    ),
    Proposal(
        "texts of queries, which may be ranked",
        train(table(240, query=lambda row: text(row // 6), passage=text, label=lambda row: row % 2)),
        (
            "the label 'label' suits",
            "for ranking: a relevance from 0 on, and 6.0 rows of each query",
            "or KIND=ranking",
        ),
    ),
    Proposal(
        "similarities for a model without vectors",
        train(SOUND),
        ("KIND=embedding: is for a model of sentence-transformers, and tiny is none", "no modules.json", "with MODEL="),
        {"kind": "embedding"},
    ),
    Proposal(
        "a tag too few",
        {"my.jsonl": tagged(lambda row: ["O", "B-x"] if row == 6 else ["O", "O", "B-x"])},
        ("my.jsonl: row 7: 3 words in words, but 2 tags in tags; give one tag for each word",),
        {"files": {"train": "my.jsonl"}},
    ),
    Proposal(
        "tags of which some have no prefix",
        {"my.jsonl": tagged(lambda row: ["O", "B-x", "place"])},
        ("the column 'tags': 'place' has no prefix such as B-", "correct the tags"),
        {"files": {"train": "my.jsonl"}},
    ),
    Proposal(
        "rows without a label",
        train(table(text=text, mood=cell(16, "", mood))),
        ("1 row of 40 cannot be used", "row 17 of my.csv, where 'mood' is missing", "INCOMPLETE=leave-out"),
    ),
    Proposal(
        "rows without a text",
        train(table(text=cell(4, " ", text), mood=mood)),
        ("row 5 of my.csv, where 'text' is missing", "fill or remove such rows"),
    ),
    Proposal(
        "a rating that is no number",
        train(table(12_000, text=text, rating=cell(11_000, "n/a", lambda row: row / 7))),
        ("my.csv: row 11001: rating 'n/a' is not a finite number",),
    ),
    Proposal(
        "classes that differ in capital letters",
        train(table(text=text, mood=cell(4, "Bad", mood))),
        ("the classes 'bad' (19 rows) and 'Bad' (1 rows) differ in capital letters only", "LABELS="),
    ),
    Proposal("too few rows", train(table(19, text=text, mood=mood)), ("my.csv: has 19 rows, too few to divide",)),
    Proposal(
        "too few texts",
        train(table(400, text=lambda row: text(row % 19), mood=mood)),
        ("my.csv: has 19 different texts", "at least 20 are needed"),
        {"text": ("text",)},
    ),
    Proposal(
        "broken rows",
        train(SOUND + "a,b,c\n"),
        ("my.csv: row 41 has 3 fields, the header 2",),
    ),
    Proposal("not UTF-8", train(SOUND.encode() + b"caf\xe9 au lait,good\n"), ("line 42 is not UTF-8; convert",)),
    Proposal(
        "a text that cannot be seen, and half a character",
        {"my.jsonl": "".join(json.dumps({"text": UNSEEN[row], "mood": mood(row)}) + "\n" for row in range(40))},
        (
            "my.jsonl: row 7: text holds only characters that cannot be seen",
            "row 9: text holds half of a surrogate pair, which is no character; correct the text",
        ),
        {"files": {"train": "my.jsonl"}, "text": ("text",), "label": ("mood",), "kind": "classification"},
    ),
    Proposal(
        "numbers for texts",
        {"my.parquet": pa.table({"text": list(range(40)), "mood": ["bad", "good"] * 20})},
        ("row 1: text is 0, not text",),
        {"files": {"train": "my.parquet"}, "text": ("text",)},
    ),
    Proposal("unknown column", train(SOUND), ("LABEL: my.csv has no column 'mod'", "'mood'"), {"label": ("mod",)}),
    Proposal("unknown text", train(SOUND), ("TEXT: my.csv has no column 'txt'",), {"text": ("txt",)}),
    Proposal("unknown kind", train(SOUND), ("KIND=clusters is none of classification",), {"kind": "clusters"}),
    Proposal(
        "kind whose tasks are no rows",
        train(SOUND),
        ("KIND=retrieval: its tasks are several files (source: collection)", "docs/retrieval.md"),
        {"kind": "retrieval"},
    ),
    Proposal(
        "a rating asked for", train(SOUND), ("no column looks like the label of a regression",), {"kind": "regression"}
    ),
    Proposal(
        "text that is the label",
        train(SOUND),
        ("LABEL=mood: is a column of TEXT, too",),
        {"text": ("text", "mood"), "label": ("mood",)},
    ),
    Proposal(
        "three columns of text",
        train(SOUND),
        ("TEXT=a,b,c: name one column, or two different ones",),
        {"text": ("a", "b", "c")},
    ),
    Proposal(
        "classes that are not there",
        train(SOUND),
        ("LABELS: no row has ugly", "2 values: bad, good"),
        {"labels": ("bad", "good", "ugly")},
    ),
    Proposal("a class that is left out", train(SOUND), ("LABELS lacks good",), {"labels": ("bad",)}),
    Proposal(
        "classes of ratings",
        train(table(text=text, rating=lambda row: row / 7)),
        ("LABELS does not suit regression: it is for", "leave it out, or say KIND=classification"),
        {"labels": ("low", "high")},
    ),
    Proposal(
        "validation with a class of its own",
        train(SOUND) | {"dev.csv": table(text=text, mood=cell(3, "ugly", mood))},
        ("the study was not written", "the validation split has 'ugly', which the train split lacks"),
        {"files": {"train": "my.csv", "validation": "dev.csv"}},
    ),
    Proposal(
        "validation without the column",
        train(SOUND) | {"dev.csv": table(text=text, feeling=mood)},
        ("dev.csv: no column 'mood'; it has 'text', 'feeling'",),
        {"files": {"train": "my.csv", "validation": "dev.csv"}},
    ),
    Proposal(
        "the same file twice",
        train(SOUND),
        ("train_file and validation_file are the same file",),
        {"files": {"train": "my.csv", "validation": "my.csv"}},
    ),
    Proposal("shares of more than all", train(SOUND), ("SHARES=80,20,20", "sum to 100"), {"shares": (80, 20, 20)}),
    Proposal(
        "shares of files that are given",
        train(SOUND),
        ("SHARES=80,10,10: is for a file that is divided; with VALIDATION, leave it out",),
        {"files": {"train": "my.csv", "validation": "dev.csv"}, "shares": (80, 10, 10)},
    ),
    Proposal(
        "seed for files that are given",
        train(SOUND),
        ("SEED=1: is for a file that is divided; with VALIDATION, leave it out",),
        {"files": {"train": "my.csv", "validation": "dev.csv"}, "seed": 1},
    ),
    Proposal("negative seed", train(SOUND), ("SEED=-1: write a whole number of at least 0",), {"seed": -1}),
    Proposal("name that is none", train(SOUND), ("NAME=my study: write letters",), {"name": "my study"}),
    Proposal(
        "output that is no study", train(SOUND), ("OUTPUT=my.txt: a study's file ends in .yaml",), {"output": "my.txt"}
    ),
    Proposal(
        "rows to leave out of files that are given",
        train(SOUND),
        ("INCOMPLETE=leave-out: is for a file that is divided",),
        {"files": {"train": "my.csv", "validation": "dev.csv"}, "leaves_out": True},
    ),
    Proposal(
        "a study that is there",
        train(SOUND) | {"studies/my.yaml": "study: my\n"},
        ("my.yaml: is there already, and nothing is overwritten", "OUTPUT=", "NAME="),
    ),
    Proposal("data that is there", train(SOUND) | {"data/my/a.csv": ""}, ("data/my: is there already", "NAME=")),
    Proposal("results that are there", train(SOUND) | {"results/my/a": ""}, ("results/my: is there already", "NAME=")),
    Proposal(
        "no such model folder",
        train(SOUND),
        ("MODEL=./bert: there is no such folder", "owner/name"),
        {"model": "./bert"},
    ),
    Proposal(
        "a folder without a model",
        train(SOUND) | {"bert/notes.txt": "none"},
        ("MODEL=bert: there is no config.json", "save_pretrained wrote"),
        {"model": "bert"},
    ),
    Proposal(
        "a branch instead of a commit",
        train(SOUND),
        ("MODEL=someone/bert@main: revision 'main' is not a commit hash",),
        {"model": "someone/bert@main"},
    ),
]

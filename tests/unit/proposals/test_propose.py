"""Studies that are proposed for files: what they hold, that they are sound, and how rows are divided."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import tagged_words
import tiny_embedding
from bad_files import SOUND, cell, mood, row_number, table, text
from hub_server import HubServer
from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import sha256_of
from shallower.core.layout import SPLITS, TEST
from shallower.proposals import propose, sizes
from shallower.proposals.models import propose_model
from shallower.proposals.registry import PROPOSALS
from shallower.proposals.request import SHARES, Request
from shallower.study.file import read_study
from shallower.study.resolve import resolve_study
from shallower.task_kinds.registry import TASK_KINDS


def study_at(path="studies/my.yaml"):
    """A study that was written; it must be sound as it is."""
    resolve_study(content := read_study(path))
    return content


def rows_of(split, name="my"):
    return [json.loads(line) for line in Path(f"data/{name}/{split}.jsonl").read_text().splitlines()]


def test_one_file_becomes_a_study_of_three_splits(proposed):
    said = "\n".join(proposed({"my.csv": table(200, id=row_number, text=text, mood=mood)}))
    study = study_at()
    assert study["study"] == "my"
    assert study["models"][0]["name"] == "tiny"
    (task,) = study["tasks"]
    assert task == {
        "name": "my",
        "source": "files",
        "train_file": "data/my/train.jsonl",
        "validation_file": "data/my/validation.jsonl",
        "test_file": "data/my/test.jsonl",
        "text": ["text"],
        "label": "mood",
        "target": "classification",
        "labels": ["bad", "good"],
        "positive_class": "good",
        "metrics": ["accuracy", "f1"],
    }
    assert study["strategies"] == [{"name": "top", "amounts": [1, 2]}]
    assert (study["seeds"], study["budget"]) == ([1, 2], {"score_kept": 90})
    assert study["train"] == {"epochs": 2, "batch_size": 16, "learning_rate": 1e-3, "max_length": 32}
    counts = {split: Counter(row["mood"] for row in rows_of(split)) for split in ("train", "validation", "test")}
    assert counts["train"] == {"bad": 80, "good": 80}
    assert counts["validation"] == counts["test"] == {"bad": 10, "good": 10}
    assert {row["text"] for split in counts for row in rows_of(split)} == {text(row) for row in range(200)}
    record = json.loads(Path("data/my/division.json").read_text())
    assert (record["made_from"], record["seed"]) == ({"my.csv": sha256_of("my.csv")}, 1)
    # Each decision is said with its reason, on screen and in the study.
    for words in ("the only column of text", "all that can be the label", "LABEL=", "TEXT=", "SEED="):
        assert words in said
        assert words.casefold() in " ".join(Path("studies/my.yaml").read_text().replace("# ", " ").split()).casefold()
    assert "make run STUDY=studies/my.yaml" in said
    assert max(map(len, Path("studies/my.yaml").read_text().splitlines())) <= 120


def test_shares_that_are_asked_for_are_kept_to(proposed, monkeypatch):
    monkeypatch.setattr(propose, "MOST_HELD_OUT", 15)
    said = "\n".join(proposed({"my.csv": table(200, id=row_number, text=text, mood=mood)}))
    assert "80 : 10 : 10, no more than 15 texts to validate or test on (SHARES=)" in said
    assert len(Path("data/my/test.jsonl").read_text().splitlines()) == 15
    asked = proposed({"my.csv": table(200, id=row_number, text=text, mood=mood)}, name="asked", shares=(50, 25, 25))
    assert "50 : 25 : 25 (SHARES=)" in "\n".join(asked)
    assert len(Path("data/asked/test.jsonl").read_text().splitlines()) == 50
    # Also where they are the usual ones.
    proposed({"my.csv": table(200, id=row_number, text=text, mood=mood)}, name="usual", shares=SHARES)
    assert len(Path("data/usual/test.jsonl").read_text().splitlines()) == 20


def test_a_file_that_is_sorted_by_its_label(proposed, monkeypatch):
    """The first rows have one label only."""
    monkeypatch.setattr(propose, "FIRST_ROWS", 40)
    proposed({"my.csv": table(200, text=text, mood=lambda row: "good" if row < 110 else "bad")})
    assert study_at()["tasks"][0]["labels"] == ["bad", "good"]


def test_ids_of_classes_get_their_names(proposed):
    labels = ("no", "yes", "maybe: later")
    said = proposed({"my.csv": table(90, text=text, label=lambda row: row % 3)}, labels=labels, name="named")
    assert "numbered as classes are: 0, 1, 2 (other: KIND=regression)" in "\n".join(said)
    assert study_at("studies/named.yaml")["tasks"][0]["labels"] == list(labels)
    assert rows_of("train", "named")[0]["label"] in {"0", "1", "2"}


def with_names(labels: list[int]) -> dict[str, pa.Table]:
    """A file with texts and the ids of two classes, which it names."""
    info = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}
    values = pa.table({"text": [text(row) for row in range(len(labels))], "label": labels})
    return {"my.parquet": values.replace_schema_metadata({"huggingface": json.dumps(info)})}


def test_names_in_a_parquet_file_are_taken(proposed):
    proposed(with_names([row % 2 for row in range(60)]), files={"train": "my.parquet"})
    (task,) = study_at()["tasks"]
    assert (task["labels"], task["positive_class"]) == (["neg", "pos"], "pos")
    assert {row["label"] for row in rows_of("train")} == {"neg", "pos"}


def test_hidden_labels_are_no_class(proposed):
    labels = [row % 3 - 1 for row in range(90)]
    with pytest.raises(UserError, match=r"30 rows of 90 cannot be used: .*'label' is -1, which marks a hidden label"):
        proposed(with_names(labels), files={"train": "my.parquet"}, kind="classification")
    proposed(with_names(labels), files={"train": "my.parquet"}, kind="classification", leaves_out=True)
    assert study_at()["tasks"][0]["labels"] == ["neg", "pos"]
    assert sum(len(rows_of(split)) for split in ("train", "validation", "test")) == 60
    with pytest.raises(StudyErrors, match="2 is the id of no class that the file names"):
        proposed(with_names([*range(3)] * 30), files={"train": "my.parquet"}, kind="classification", name="other")


def test_pairs_with_ratings(proposed):
    said = "\n".join(proposed({"my.csv": PAIRS}))
    assert "KIND=embedding with a MODEL of sentence-transformers" in said
    (task,) = study_at()["tasks"]
    assert (task["text"], task["target"], task["metrics"]) == (
        ["sentence1", "sentence2"],
        "regression",
        ["pearson", "spearmanr"],
    )
    # Each tenth of the range of ratings gives each split its share.
    tenths = Counter(int(2 * float(row["score"])) for row in rows_of("validation"))
    assert set(tenths.values()) == {1}
    assert len(tenths) == 10


SETS = (["joy"], [], ["anger", "fear"], ["joy", "fear"])


@pytest.mark.parametrize("form", ["lists", "separated"])
def test_lists_of_classes(form, proposed):
    def emotions(row):
        found = SETS[row % 4]
        return found if form == "lists" else "|".join(found) or "[]"

    content = [{"text": text(row), "emotions": emotions(row)} for row in range(200)]
    proposed(
        {"my.json": json.dumps(content)}, files={"train": "my.json"}, kind=None if form == "lists" else "multi-label"
    )
    (task,) = study_at()["tasks"]
    assert (task["target"], task["label"]) == ("multi-label", "emotions")
    assert (task["labels"], task["metrics"]) == (["anger", "fear", "joy"], ["micro_f1", "macro_f1"])
    assert rows_of("test")[0]["emotions"] in map(emotions, range(4))
    # The rarest class of each row is what rows are divided by: anger, none, or joy.
    assert Counter(map(str, (row["emotions"] for row in rows_of("validation")))) == {
        str(emotions(row)): 5 for row in range(4)
    }


def test_columns_of_0_and_1_are_one_label_together(proposed):
    content = table(
        200, text=text, rude=lambda row: row % 2, loud=lambda row: row % 3 // 2, rare=lambda row: row % 7 // 6
    )
    said = "\n".join(proposed({"my.csv": content}))
    (task,) = study_at()["tasks"]
    assert (task["target"], task["label_columns"]) == ("multi-label", ["rude", "loud", "rare"])
    assert "label" not in task
    assert "LABEL=rude or LABEL=loud or LABEL=rare" in said
    proposed({"my.csv": content}, label=("rude",), name="one")
    assert study_at("studies/one.yaml")["tasks"][0]["target"] == "classification"


@pytest.mark.parametrize(("name", "kind"), [("label", "ranking"), ("relevance", None)])
def test_texts_of_a_query_stay_together(name, kind, proposed):
    label = {name: lambda row: int(row % 6 == 2)}
    content = table(240, query=lambda row: text(row // 6), passage=text, **label)
    said = "\n".join(proposed({"my.csv": content}, kind=kind))
    (task,) = study_at()["tasks"]
    assert (task["text"], task["target"]) == (["query", "passage"], "ranking")
    assert task["metrics"] == ["ndcg_at_10", "mrr_at_10"]
    queries = {split: Counter(row["query"] for row in rows_of(split)) for split in ("train", "validation", "test")}
    assert {split: len(found) for split, found in queries.items()} == {"train": 32, "validation": 4, "test": 4}
    assert {count for found in queries.values() for count in found.values()} == {6}
    assert "no split has a query of another" in said


def test_a_study_asks_for_no_more_rows_than_can_be_scored(proposed, monkeypatch):
    """Half of the queries have no relevant text."""
    monkeypatch.setattr(sizes, "VALIDATION_EXAMPLES", 100)
    relevant = {"relevance": lambda row: int(row % 6 == 2 and row // 6 % 2)}
    proposed({"my.csv": table(2400, query=lambda row: text(row // 6), passage=text, **relevant)}, shares=(90, 5, 5))
    assert "validation_examples" not in study_at()["tasks"][0]
    assert len(rows_of("validation")) > 100


def test_classes_with_characters_that_yaml_does_not_know(proposed):
    names = ["women\x92s clothing", "kitchen \ufeff&\x1f more"]
    proposed({"my.csv": table(100, text=text, shop=lambda row: names[row % 2])}, label=("shop",))
    assert study_at()["tasks"][0]["labels"] == sorted(names)
    assert r"women\x92s clothing: 50" in Path("studies/my.yaml").read_text()


SENTENCES = tagged_words.make_sentences(120, seed=1)
TAGGED = [{"words": words, "ner": tags} for words, tags in SENTENCES]
CONLL = "\n".join("".join(f"{word}\t{tag}\n" for word, tag in zip(*each, strict=True)) for each in SENTENCES)


def csv_of(rows, write):
    """A CSV file of lists, each as a function writes it."""
    fields = ['"' + write(value).replace('"', '""') + '"' for row in rows for value in row.values()]
    lines = [",".join(pair) for pair in zip(fields[::2], fields[1::2], strict=True)]
    return "\n".join([",".join(rows[0]), *lines]) + "\n"


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("my.jsonl", "".join(json.dumps(row) + "\n" for row in TAGGED), ("words", "ner")),
        ("my.parquet", pa.Table.from_pylist(TAGGED), ("words", "ner")),
        ("my.csv", csv_of(TAGGED, json.dumps), ("words", "ner")),
        ("my.csv", csv_of(TAGGED, lambda value: str(np.array(value))), ("words", "ner")),
        ("my.conll", CONLL, ("word", "tag")),
    ],
)
def test_tagged_words(name, content, columns, proposed):
    said = "\n".join(proposed({name: content}, files={"train": name}))
    (task,) = study_at()["tasks"]
    assert (task["target"], task["text"], task["label"]) == ("tokens", [columns[0]], columns[1])
    assert task["labels"] == ["O", "B-bad", "I-bad", "B-good", "I-good"]
    assert task["metrics"] == ["entity_f1", "token_accuracy"]
    assert "a tag for each word, of 5: O, B-bad, I-bad, B-good, I-good" in said
    assert "no split has a sentence of another" in said
    found = [tuple(row[column] for column in columns) for split in (*SPLITS, TEST) for row in rows_of(split)]
    assert sorted(found) == sorted(SENTENCES)


def test_one_of_several_columns_of_tags_is_asked_for(proposed):
    """Parts of speech mark no entities; files that are given have the names that the study gives to their columns."""
    lines = [line + f"\t{'NOUN' if 'good' in line else 'X'}" if line else "" for line in CONLL.splitlines()]
    files = {"my.conll": "\n".join(lines), "dev.conll": "\n".join(lines)}
    options = {"files": {"train": "my.conll", "validation": "dev.conll"}}
    with pytest.raises(UserError, match=r"2 columns can be the label; choose one: LABEL=column 2 .*LABEL=column 3"):
        proposed(files, **options)
    proposed(files, label=("column 3",), **options)
    (task,) = study_at()["tasks"]
    assert (task["columns"], task["text"], task["label"]) == (
        ["column 1", "column 2", "column 3"],
        ["column 1"],
        "column 3",
    )
    assert (task["labels"], task["metrics"]) == (["NOUN", "X"], ["token_accuracy"])


PAIRS = table(100, sentence1=text, sentence2=lambda row: text(row + 1), score=lambda row: row % 50 / 10)


def test_pairs_for_a_model_that_gives_vectors(proposed, tmp_path):
    tiny_embedding.make_embedding_model(tmp_path / "vectors")
    said = "\n".join(proposed({"my.csv": PAIRS}, model="vectors"))
    study = study_at()
    (task,) = study["tasks"]
    assert (task["target"], task["similarity_range"], task["metrics"]) == (
        "embedding",
        [0, 5],
        ["spearmanr", "pearson"],
    )
    assert "numbers from 0 to 4.9, which say how similar two texts are" in said
    assert "KIND=regression" in said
    # Each text is read by itself; what kinds cannot do yet is left out.
    assert study["train"]["max_length"] == 32
    assert ("deliver" in study) == ("deliver" not in TASK_KINDS["embedding"].unsupported)
    proposed({"my.csv": PAIRS}, model="vectors", kind="regression", name="other")
    assert study_at("studies/other.yaml")["tasks"][0]["target"] == "regression"


def test_files_that_are_given_are_used_as_they_are(proposed):
    test = table(40, text=lambda row: text(row + 30), mood=mood)
    said = "\n".join(
        proposed(
            {"my.csv": SOUND, "dev.csv": table(20, text=lambda row: text(row + 500), mood=mood), "test.csv": test},
            files={"train": "my.csv", "validation": "dev.csv", "test": "test.csv"},
        )
    )
    (task,) = study_at()["tasks"]
    assert [task[f"{split}_file"] for split in ("train", "validation", "test")] == ["my.csv", "dev.csv", "test.csv"]
    assert not Path("data").exists()
    assert "Warning: 10 rows of test (25.0 %) have texts that train has, too" in said
    assert "no rows of validation (0.0 %) have texts that train has" in said


def test_texts_of_a_given_test_file_are_left_out_of_the_others(proposed):
    said = "\n".join(
        proposed(
            {
                "my.csv": table(100, text=text, mood=mood),
                "test.csv": table(10, text=lambda row: text(row).upper(), mood=mood),
            },
            files={"train": "my.csv", "test": "test.csv"},
        )
    )
    assert "10 rows are left out, whose texts test.csv has, too" in said
    assert (len(rows_of("train")), len(rows_of("validation"))) == (81, 9)
    assert study_at()["tasks"][0]["test_file"] == "test.csv"


def test_incomplete_rows_are_left_out_where_that_is_asked_for(proposed):
    content = table(100, text=cell(3, "", text), mood=cell(7, "", mood))
    said = "\n".join(proposed({"my.csv": content}, leaves_out=True))
    assert "2 rows left out" in said
    assert sum(len(rows_of(split)) for split in ("train", "validation", "test")) == 98


def test_ids_in_a_column_where_some_are_missing_are_whole_numbers(proposed):
    """Which are floats then."""
    rows = [{"text": text(row), "label": None if row == 7 else float(row % 2)} for row in range(100)]
    content = {"my.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}
    proposed(content, files={"train": "my.jsonl"}, leaves_out=True)
    assert study_at()["tasks"][0]["labels"] == ["0", "1"]


def test_rows_without_a_line_of_names(proposed):
    rows = table(100, text=text, mood=mood).partition("\n")[2]
    proposed(
        {"my.csv": rows, "test.csv": rows},
        columns=("words", "feeling"),
        files={"train": "my.csv", "validation": "test.csv"},
    )
    (task,) = study_at()["tasks"]
    assert (task["columns"], task["text"], task["label"]) == (["words", "feeling"], ["words"], "feeling")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("my.csv", "\ufeff" + SOUND),
        ("my.tsv", "\n".join('"' + line.replace(",", '"\t"') + '"' for line in SOUND.splitlines())),
        ("my.jsonl", "".join(json.dumps({"text": text(row), "mood": mood(row)}) + "\n" for row in range(40))),
        ("my.json", json.dumps([{"text": text(row), "mood": mood(row), "note": None} for row in range(40)])),
        ("my-train.csv", SOUND),
        ("my/train.csv", SOUND),
    ],
)
def test_forms_of_files_and_what_the_study_is_called(name, content, proposed):
    proposed({name: content}, files={"train": name})
    (task,) = study_at()["tasks"]
    assert (task["text"], task["label"], task["labels"]) == (["text"], "mood", ["bad", "good"])


def test_class_names_that_yaml_reads_otherwise(proposed):
    proposed({"my.csv": table(60, text=text, mood=lambda row: ("no", "yes", "1e3", "null", "it: # 'is'")[row % 5])})
    assert study_at()["tasks"][0]["labels"] == ["1e3", "it: # 'is'", "no", "null", "yes"]


def test_unbalanced_classes_are_scored_by_f1_of_the_rarer_one(proposed):
    proposed({"my.csv": table(200, text=text, kind=lambda row: "ham" if row % 10 else "spam")})
    (task,) = study_at()["tasks"]
    assert (task["metrics"], task["positive_class"]) == (["f1", "accuracy"], "spam")


def test_only_a_part_of_much_data_is_used(proposed):
    proposed({"my.csv": table(20_000, text=text, mood=mood)})
    (task,) = study_at()["tasks"]
    assert {key: task[key] for key in task if key.endswith("_examples")} == {
        "train_examples": 2000,
        "validation_examples": 1000,
    }


def test_every_proposal_is_of_a_kind_of_task():
    assert {*PROPOSALS} <= {*TASK_KINDS}


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def template(workplace):
    workplace({})
    return read_study("config.yaml")


def test_a_model_folder(template, tiny_bert):
    model = propose_model(f"{tiny_bert}/", template, "config.yaml")
    assert model.entry == {"name": "bert", "source": "local", "directory": str(tiny_bert)}
    assert (model.num_layers, model.amounts, model.most_tokens, model.is_template) == (4, [1, 2], 128, False)
    assert propose_model("tiny", template, "config.yaml").is_template


def test_a_model_of_the_hub_is_pinned(template, tiny_bert, monkeypatch, tmp_path):
    with HubServer({("model", "someone/bert"): tiny_bert}) as hub:
        hub.connect(monkeypatch, tmp_path / "cache")
        model = propose_model("someone/bert", template, "config.yaml")
        revision = hub.revision("model", "someone/bert")
        assert model.entry == {"name": "bert", "source": "hub", "repository": "someone/bert", "revision": revision}
        assert (model.num_layers, model.is_template) == (4, False)
        assert propose_model(f"someone/bert@{revision}", template, "config.yaml").entry == model.entry
        with pytest.raises(UserError, match="someone/other does not exist"):
            propose_model("someone/other", template, "config.yaml")


def test_decimal_numbers_are_ratings(proposed):
    texts = [f"a day of rain number {row} in the north" for row in range(200)]
    ratings = [Decimal(row) / 8 for row in range(200)]
    proposed({"my.parquet": pa.table({"text": texts, "rating": ratings})}, files={"train": "my.parquet"})
    task = study_at()["tasks"][0]
    assert task["target"] == "regression"
    rows = [json.loads(line) for line in Path(task["train_file"]).read_text(encoding="utf-8").splitlines()]
    assert {row["rating"] for row in rows} < set(map(float, ratings))


def test_a_request_names_its_files():
    request = Request({"train": "corpora/reviews/train.csv.gz"})
    assert (request.study_name, str(request.study_file)) == ("reviews", "studies/reviews.yaml")
    assert Request({"train": "my tweets (2024).csv"}).study_name == "my-tweets-2024"


def test_rows_that_look_like_different_kinds_are_asked_about(proposed, monkeypatch):
    """0 and 1 first, ratings of all sizes after them."""
    monkeypatch.setattr(propose, "FIRST_ROWS", 40)
    rating = {"my.csv": table(200, text=text, rating=lambda row: row % 2 if row < 110 else row / 7)}
    with pytest.raises(UserError, match=r"'rating' looks like the label of a .*; say which with KIND="):
        proposed(rating)
    proposed(rating, kind="regression")
    assert study_at()["tasks"][0]["target"] == "regression"

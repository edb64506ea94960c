"""Test collections: how queries, documents and judgements are read, and what is refused, with row and remedy."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collection_files import cranfield, make_collection
from shallower.core.errors import StudyErrors, UserError
from shallower.core.files import read_json
from shallower.sources.repeats import in_others
from shallower.sources.retrieval import read_collection, shared_queries
from shallower.sources.tasks import check_task, fetch_task, fetch_test, local_data


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


QUERIES = jsonl([{"_id": "q1", "text": "a dog"}, {"_id": "q2", "text": "rain"}, {"_id": "q3", "text": "none"}])
CORPUS = jsonl(
    [{"_id": "d1", "text": "the dog"}, {"_id": 7, "title": "Snow", "text": ""}, {"_id": "d3", "text": "sun"}]
)
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td3\t2\nq2\t7\t1\nq3\td1\t0\n"


def files(folder: Path, queries: str = QUERIES, corpus: str = CORPUS, qrels: str = QRELS) -> dict[str, list[Path]]:
    found = {}
    for name, text in {"queries.jsonl": queries, "corpus.jsonl": corpus, "qrels.tsv": qrels}.items():
        (folder / name).write_text(text, encoding="utf-8")
        found[name.partition(".")[0]] = [folder / name]
    return found


def test_a_collection_as_beir_has_it_becomes_one_table(tmp_path):
    table, remarks = read_collection(files(tmp_path))
    assert table["name"].to_pylist() == ["q1", "q2", "d1", "7", "d3"]
    assert table["text"].to_pylist() == ["a dog", "rain", "the dog", "Snow", "sun"]
    assert table["id"].to_pylist() == [0, 1, 2, 3, 4]
    # The best document first.
    assert table["documents"].to_pylist() == [[4, 2], [3], [], [], []]
    assert table["label"].to_pylist() == [[2.0, 1.0], [1.0], [], [], []]
    assert remarks == [
        "queries.jsonl: 1 query left out, of which no document is relevant: 'q3'",
        "qrels.tsv: 1 judgement of a grade of 0 left out",
    ]


def test_documents_that_are_queries_are_told(tmp_path):
    corpus = jsonl([{"_id": name, "text": f"text of {name}"} for name in ("q1", "d1", "7", "d3")])
    _, remarks = read_collection(files(tmp_path, corpus=corpus))
    expected = "corpus.jsonl: 1 query has the id of a document, which is ranked like any other; BEIR leaves it out"
    assert expected in remarks


def test_a_title_of_a_later_row_counts_and_columns_have_other_names(tmp_path):
    corpus = jsonl([{"id": "d1", "text": "the dog"}, {"id": "7", "text": "is white", "title": "Snow"}])
    found = files(tmp_path, corpus=corpus)
    (tmp_path / "qrels.csv").write_text("relevance,doc_id,query_id\n1,d1,q1\n1,7,q2\n", encoding="utf-8")
    table, _ = read_collection(found | {"qrels": [tmp_path / "qrels.csv"]})
    assert table["text"].to_pylist()[2:] == ["the dog", "Snow is white"]
    pq.write_table(pa.table({"id": [1, 2], "text": ["a dog", "rain"]}), tmp_path / "queries.parquet")
    (tmp_path / "trec.tsv").write_text("1\t0\td1\t1\n2\t0\t7\t3\n", encoding="utf-8")
    table, _ = read_collection(found | {"queries": [tmp_path / "queries.parquet"], "qrels": [tmp_path / "trec.tsv"]})
    assert table["documents"].to_pylist()[:2] == [[2], [3]]
    assert table["label"].to_pylist()[:2] == [[1.0], [3.0]]


@pytest.mark.parametrize(
    ("changed", "messages"),
    [
        (
            {"queries": jsonl([{"_id": "q1", "text": " "}, {"_id": "q2"}])},
            ["row 1: text is empty", "row 2: text is missing"],
        ),
        (
            {"queries": jsonl([{"_id": "q1", "text": "a"}, {"_id": "q1", "text": "b"}])},
            ["row 2: _id is 'q1', which row 1"],
        ),
        (
            {"corpus": jsonl([{"_id": None, "text": "a"}, {"_id": 1.5, "text": "b"}])},
            ["row 1: _id is missing", "row 2"],
        ),
        ({"corpus": jsonl([{"_id": "d1", "title": 3, "text": "b"}])}, ["row 1: text is 3, not text"]),
        ({"corpus": jsonl([{"key": "d1", "text": "b"}])}, ["no column of the id; it has 'key', 'text'", "rename"]),
        (
            {"qrels": "query-id\tcorpus-id\tscore\nq9\td1\t1\nq1\td9\t1\nq1\td1\tx\nq2\td1\t-1\n"},
            [
                "row 1: query-id is 'q9', which no row of",
                "row 2: corpus-id is 'd9'",
                "row 3: score is 'x'",
                "row 4: score",
            ],
        ),
        (
            {"qrels": "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td1\t2\n"},
            ["row 2: query-id 'q1' and corpus-id 'd1' are judged in row 1, too; keep one of them"],
        ),
        ({"qrels": "query-id\tcorpus-id\nq1\td1\n"}, ["no column of the grade; it has 'query-id', 'corpus-id'"]),
        (
            {"qrels": "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td1\t0\n"},
            ["1 query has a document of a grade above 0"],
        ),
    ],
)
def test_what_is_wrong_is_told_with_row_and_remedy(tmp_path, changed, messages):
    with pytest.raises(UserError) as error:
        read_collection(files(tmp_path, **changed))
    text = "\n".join(error.value.problems if isinstance(error.value, StudyErrors) else [str(error.value)])
    assert all(message in text for message in messages), text


def test_a_task_of_some_queries_without_training_texts(tmp_path):
    definition = make_collection(tmp_path / "data")
    assert check_task(definition) == []
    fetch_task(definition | {"validation_examples": 4}, tmp_path / "task")
    task = read_json(tmp_path / "task/task.json")
    assert (task["target"], task["has_pair"], task["rows"]) == ("retrieval", False, {"train": 0, "validation": 24})
    whole, _ = read_collection({part: [Path(definition[f"{part}_file"])] for part in ("queries", "corpus", "qrels")})
    part = pq.read_table(tmp_path / "task/validation.parquet")
    names = {
        table: {row["name"]: row for row in found.to_pylist()} for table, found in (("all", whole), ("part", part))
    }
    queries = [name for name in names["part"] if name.startswith("q")]
    assert len(queries) == 4
    for name in queries:
        in_all = {row["id"]: key for key, row in names["all"].items()}
        in_part = {row["id"]: key for key, row in names["part"].items()}
        expected = [in_all[document] for document in names["all"][name]["documents"]]
        assert [in_part[document] for document in names["part"][name]["documents"]] == expected
    with pytest.raises(UserError, match="has 6 queries that can be scored, validation_examples asks for 7"):
        fetch_task(definition | {"validation_examples": 7}, tmp_path / "more")


def test_test_queries_have_judgements_of_their_own_and_the_same_documents(tmp_path):
    definition = make_collection(tmp_path / "data")
    lines = (tmp_path / "data/qrels.tsv").read_text(encoding="utf-8").splitlines()
    for name, numbers in (("qrels", "0123"), ("test", "45")):
        rows = [line for line in lines[1:] if line[1] in numbers]
        (tmp_path / f"data/{name}.tsv").write_text("\n".join([lines[0], *rows]) + "\n", encoding="utf-8")
    tested = definition | {"test_qrels_file": str(tmp_path / "data/test.tsv")}
    found = local_data(tested)
    assert found.rows == {"train": 0, "validation": 24, "test": 22}
    # Documents are in both, which are no repeats.
    repeats = {"train": 0, "validation_in_train": 0, "test_in_train": 0, "test_in_validation": 0}
    assert found.repeats == repeats | {"compared": {"validation": 4, "test": 2}}
    fetch_test(tested, tmp_path / "test")
    test = pq.read_table(tmp_path / "test/test.parquet")
    assert test["name"].to_pylist()[:3] == ["q4", "q5", "d0"]
    assert read_json(tmp_path / "test/manifest.json")["originals"]["test_qrels"]["file"] == "test.tsv"
    assert check_task(tested | {"test_examples": 3}) == [
        f"{definition['queries_file']}: has 2 queries that can be scored, test_examples asks for 3; ask for fewer"
    ]
    own = tmp_path / "data/own.jsonl"
    own.write_bytes(Path(definition["queries_file"]).read_bytes())
    (problem,) = check_task(tested | {"test_queries_file": str(own), "test_examples": 3})
    assert problem.startswith(f"{own}: has 2 queries")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("lost.tsv", None, "file not found"),
        ("wide.tsv", QRELS.encode("utf-16"), "UTF-16"),
        ("packed.tsv.gz", QRELS.encode(), "Not a gzipped file"),
    ],
)
def test_judgements_that_cannot_be_read_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{re.escape(str(path))}: .*{message}"):
        read_collection(files(tmp_path) | {"qrels": [path]})


def test_training_texts_that_are_queries_are_counted_either_way(tmp_path):
    validation, _ = read_collection(files(tmp_path))
    pairs = pa.table({"id": [0, 1, 2], "text": ["a dog", "sun", "x"], "text_pair": ["y", "rain", "sun"]})
    tables = {"validation": validation, "calibration": pairs}
    assert in_others(tables, "calibration") == {"calibration_in_validation": 2}
    assert in_others(tables, "validation") == {"validation_in_calibration": 2}


def test_queries_of_two_files_are_told_apart_by_their_texts(tmp_path):
    """Both may count from 1."""
    validation, _ = read_collection(files(tmp_path))
    others = QUERIES.replace("a dog", "a cat")
    test, _ = read_collection(files(tmp_path, queries=others))
    assert "the query 'q1' and 1 other query is judged" in (shared_queries(validation, test, of_one_file=True) or "")
    assert "the query 'rain' is judged" in (shared_queries(validation, test, of_one_file=False) or "")
    test, _ = read_collection(files(tmp_path, queries=others.replace("rain", "storm")))
    assert shared_queries(validation, test, of_one_file=False) is None


def test_cranfield_is_read_whole(tmp_path):
    definition = cranfield(tmp_path / "data")
    assert check_task(definition) == []
    fetch_task(definition, tmp_path / "task")
    table = pq.read_table(tmp_path / "task/validation.parquet")
    sizes = table["documents"].combine_chunks().value_lengths().to_numpy()
    assert 180 < (sizes > 0).sum() <= 225
    assert 1300 < (sizes == 0).sum() <= 1400
    assert set(table["label"].combine_chunks().flatten().to_pylist()) <= {1.0, 2.0, 3.0, 4.0}

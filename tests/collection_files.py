"""A tiny test collection: queries that ask for good or bad words, documents that have them; and a real one's files."""

import csv
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tiny_words import BAD_WORDS, COMMON_WORDS, GOOD_WORDS

# The folder of further sets, among them SICK and Cranfield's collection.
VARIABLE = "SHALLOWER_EXTRA"


def make_collection(directory: str | Path, queries: int = 6, documents: int = 20) -> dict[str, Any]:
    """Write queries.jsonl, corpus.jsonl and qrels.tsv as BEIR has them; return the definition of their task."""
    folder, draw = Path(directory), random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    corpus = []
    for number in range(documents):
        words = draw.choices(GOOD_WORDS if number % 2 else BAD_WORDS, k=3) + draw.choices(COMMON_WORDS, k=4)
        title = {"title": draw.choice(COMMON_WORDS)} if number % 3 else {}
        corpus.append({"_id": f"d{number}", **title, "text": " ".join(words), "metadata": {}})
    asked = [
        {"_id": f"q{number}", "text": " ".join(draw.choices(GOOD_WORDS if number % 2 else BAD_WORDS, k=3))}
        for number in range(queries)
    ]
    for name, rows in (("queries", asked), ("corpus", corpus)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    judged = [
        (f"q{query}", f"d{document}", 1 + document % 3)
        for query in range(queries)
        for document in draw.sample(range(query % 2, documents, 2), k=4)
    ]
    with (folder / "qrels.tsv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([["query-id", "corpus-id", "score"], *judged])
    return {
        "name": "tiny",
        "source": "collection",
        "target": "retrieval",
        "queries_file": str(folder / "queries.jsonl"),
        "corpus_file": str(folder / "corpus.jsonl"),
        "qrels_file": str(folder / "qrels.tsv"),
        "metrics": ["ndcg_at_10", "mrr_at_10", "recall_at_10", "recall_at_100"],
    }


def extra_folder() -> Path:
    """The folder with a sub-folder of parquet files for each set; skips the test where none is named."""
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip(f"set {VARIABLE} to a folder with sick/ and cranfield/ to run this test")
    return Path(named)


def cranfield(directory: Path) -> dict[str, Any]:
    """Write Cranfield's collection as the files of a task, and return its definition; skips the test without data.

    Its codes are 1 for the best documents to 4 for the least useful, and -1, whose meaning is unclear: left out.
    """
    import pyarrow.parquet as pq

    folder = extra_folder() / "cranfield"
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in ("corpus", "queries", "qrels")}
    corpus = [row for row in tables["corpus"].to_pylist() if (row["title"] or row["text"] or "").strip()]
    rows = {"queries": tables["queries"].to_pylist(), "corpus": corpus}
    definition = {"name": "cranfield", "source": "collection", "target": "retrieval", "metrics": ["ndcg_at_10"]}
    directory.mkdir(parents=True, exist_ok=True)
    for name, found in rows.items():
        texts = [{key: each[key] for key in ("id", "title", "text") if key in each} for each in found]
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts), encoding="utf-8")
    known = {str(row["id"]) for row in corpus}
    query, document, code = tables["qrels"].column_names
    judged = [
        (row[query], row[document], 5 - row[code])
        for row in tables["qrels"].to_pylist()
        if row[code] > 0 and str(row[document]) in known
    ]
    with (directory / "qrels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["query_id", "document_id", "grade"], *dict.fromkeys(judged)])
    names = {"queries": "queries.jsonl", "corpus": "corpus.jsonl", "qrels": "qrels.csv"}
    return definition | {f"{part}_file": str(directory / name) for part, name in names.items()}

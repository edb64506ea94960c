"""Test collections: queries, documents, and judgements of which document answers which query (qrels).

Queries and documents are rows of an id and a text, in any of the formats of `shallower.sources.file_formats`: columns
`_id` or `id`, `text` and perhaps `title`, as BEIR has them. Judgements are rows of a query's id, a document's id and a
grade: BEIR's columns query-id, corpus-id and score, or query_id, document_id (doc_id) and relevance (grade), or a file
of trec_eval's four columns with tabs and without a header. A document with a title is read as the title, a blank and
the text.

They become one table, the queries first, with the columns `id` int64 (the row, from 0), `text`, `name` (the id in the
file), `documents` list<int64> and `label` list<float64>: of a query the rows of its relevant documents and their
grades, the highest first; of a document empty lists.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shallower.core.errors import StudyErrors, UserError
from shallower.core.wording import counted
from shallower.sources.file_formats import Content, first_line, kind_of, read_beginning, read_file, refuse_rows
from shallower.sources.labelled_files import compared_text, text_problems
from shallower.sources.queries import LEAST_QUERIES
from shallower.sources.slices import SLICE_SEED
from shallower.task_kinds.base import is_missing, listed, shown
from shallower.task_kinds.regression import number

# The files of a collection, by the keys of a study; a further word says which is meant in messages.
QUERIES, CORPUS, QRELS = "queries", "corpus", "qrels"
PARTS = (QUERIES, CORPUS, QRELS)
# Names of columns that are known, the first that a file has counts.
IDS, TEXT, TITLE = ("_id", "id"), "text", "title"
QUERY_IDS = ("query-id", "query_id", "query")
DOCUMENT_IDS = ("corpus-id", "document_id", "doc_id", "corpus_id", "document", "docno")
GRADES = ("score", "relevance", "grade", "rel")
TREC = ("query_id", "iteration", "document_id", "relevance")


@dataclass(frozen=True)
class Texts:
    """The rows of a file: their ids, which are all different, and their texts."""

    path: Path
    ids: list[str]
    texts: list[str]


def read_collection(files: Mapping[str, Sequence[Path]]) -> tuple[pa.Table, list[str]]:
    """The table of a collection, and what was decided on how to read its files.

    Queries without a relevant document are left out, as no order of documents is right for them, and so are judgements
    of a grade of 0. Raises StudyErrors with the first bad rows of each file, and UserError where fewer than
    `LEAST_QUERIES` are left.
    """
    problems: list[str] = []
    found: dict[str, Texts] = {}
    for part in (QUERIES, CORPUS):
        try:
            found[part] = _texts([*files[part]])
        except UserError as error:
            problems += error.problems
    if problems:
        raise StudyErrors(problems)
    queries, corpus = found[QUERIES], found[CORPUS]
    judged, unjudged = _judgements([*files[QRELS]], queries, corpus)
    scored = [row for row in range(len(queries.ids)) if judged.get(row)]
    if len(scored) < LEAST_QUERIES:
        raise UserError(
            f"{files[QRELS][0]}: {counted(len(scored), 'query has', 'queries have')} a document of a grade above 0, "
            f"and at least {LEAST_QUERIES} are needed to score with; add judgements"
        )
    remarks = []
    if without := [queries.ids[row] for row in range(len(queries.ids)) if not judged.get(row)]:
        remarks.append(
            f"{queries.path.name}: {counted(len(without), 'query', 'queries')} left out, of which no document is "
            f"relevant: {listed(without)}"
        )
    documents = {*corpus.ids}
    if own := sum(queries.ids[row] in documents for row in scored):
        remarks.append(
            f"{corpus.path.name}: {counted(own, 'query has', 'queries have')} the id of a document, which is ranked "
            "like any other; BEIR leaves it out"
        )
    if unjudged:
        remarks.append(f"{files[QRELS][0].name}: {counted(unjudged, 'judgement')} of a grade of 0 left out")
    return _table(queries, corpus, judged, scored), remarks


def read_nothing() -> pa.Table:
    """The table of labelled texts of a task that has none."""
    return pa.table(
        {"id": pa.array([], pa.int64()), "text": pa.array([], pa.string()), "label": pa.array([], pa.float64())}
    )


def num_queries_of(table: pa.Table) -> int:
    """How many queries the table of a collection begins with."""
    return int((table["documents"].combine_chunks().value_lengths().to_numpy() > 0).sum())


def shared_queries(validation: pa.Table, test: pa.Table, of_one_file: bool) -> str | None:
    """What is wrong where test queries are validation queries, by which models are chosen; follows the file's name.

    Queries of one file are told apart by their ids, those of two files, which may count alike, by their texts.
    """
    columns = [table["name" if of_one_file else "text"] for table in (validation, test)]
    names = [
        column.slice(0, num_queries_of(table)).to_pylist()
        for column, table in zip(columns, (validation, test), strict=True)
    ]
    if not of_one_file:
        names = [list(map(compared_text, each)) for each in names]
    known = {*names[0]}
    if common := [name for name in names[1] if name in known]:
        more = f" and {counted(len(common) - 1, 'other query', 'other queries')}" if len(common) > 1 else ""
        return f"the query {common[0]!r}{more} is judged in qrels_file, too; test on other queries"
    return None


def some_queries(table: pa.Table, size: int, place: Path, key: str = "validation_examples") -> pa.Table:
    """The table of a collection with all its documents and so many of its queries, drawn with a fixed seed.

    Raises UserError, naming the file `place` and the `key` that asks for them, where there are fewer.
    """
    num_queries = num_queries_of(table)
    if size > num_queries:
        raise UserError(f"{place}: has {num_queries} queries that can be scored, {key} asks for {size}; ask for fewer")
    chosen = np.sort(np.random.default_rng(SLICE_SEED).permutation(num_queries)[:size])
    rows = np.concatenate([chosen, np.arange(num_queries, len(table))])
    kept = table.take(pa.array(rows))
    # Rows are counted again, and those of documents are all as many less.
    moved = [[document - (num_queries - size) for document in found] for found in kept["documents"].to_pylist()]
    kept = kept.set_column(0, "id", pa.array(range(len(kept)), pa.int64()))
    place_of = kept.column_names.index("documents")
    return kept.set_column(place_of, "documents", pa.array(moved, pa.list_(pa.int64())))


def _table(queries: Texts, corpus: Texts, judged: Mapping[int, Mapping[int, float]], scored: Sequence[int]) -> pa.Table:
    documents, grades = [], []
    for row in scored:
        ordered = sorted(judged[row].items(), key=lambda entry: (-entry[1], entry[0]))
        documents.append([len(scored) + document for document, _ in ordered])
        grades.append([grade for _, grade in ordered])
    nothing: list[list[float]] = [[] for _ in corpus.ids]
    return pa.table(
        {
            "id": pa.array(range(len(scored) + len(corpus.ids)), pa.int64()),
            "text": pa.array([*(queries.texts[row] for row in scored), *corpus.texts], pa.string()),
            "name": pa.array([*(queries.ids[row] for row in scored), *corpus.ids], pa.string()),
            "documents": pa.array([*documents, *nothing], pa.list_(pa.int64())),
            "label": pa.array([*grades, *nothing], pa.list_(pa.float64())),
        }
    )


def _texts(paths: Sequence[Path]) -> Texts:
    """The ids and texts of a file or several. Raises StudyErrors with the first bad rows."""
    ids: list[str] = []
    texts: list[str] = []
    places: dict[str, str] = {}
    for path in paths:
        id_column = _column(path, read_beginning(path, None, 1).names, IDS, "id")
        read = read_file(path, [id_column, TEXT], None)
        if TITLE in read.names:  # of any row
            read = read_file(path, [id_column, TITLE, TEXT], None)
        content = read.values
        problems = list(_id_problems(path, id_column, content[id_column], places))
        bodies, titles = content[TEXT], content.get(TITLE, [None] * len(content[TEXT]))
        joined = [_joined(title, text) for title, text in zip(titles, bodies, strict=True)]
        problems += text_problems(TEXT, joined)
        refuse_rows(path, problems)
        ids += map(_id, content[id_column])
        texts += joined
    return Texts(paths[0], ids, texts)


def _joined(title: Any, text: Any) -> Any:
    """Title and text as one, where there is both; what is neither text nor missing is returned, to be refused."""
    parts = [part for part in (title, text) if not is_missing(part)]
    if not all(isinstance(part, str) for part in parts):
        return next(part for part in parts if not isinstance(part, str))
    return " ".join(parts) if parts else text


def _id(value: Any) -> str:
    return value.strip() if isinstance(value, str) else str(value)


def _id_problems(path: Path, name: str, values: Sequence[Any], places: dict[str, str]) -> Iterator[str]:
    """What is wrong with the ids of a file; `places` are those of the ids before, and get these."""
    for row, value in enumerate(values, start=1):
        if is_missing(value) or isinstance(value, bool | float | list | dict):
            what = "is missing" if is_missing(value) else f"is {shown(value)}, neither text nor a whole number"
            yield f"row {row}: {name} {what}; give each row an id of its own"
        elif (key := _id(value)) in places:
            yield f"row {row}: {name} is {shown(key)}, which {places[key]} has, too; give each row an id of its own"
        else:
            places[key] = f"row {row} of {path.name}"


def _column(path: Path, names: Sequence[str], known: Sequence[str], what: str) -> str:
    """The column of a file that is called by one of the known names."""
    if (found := next((name for name in known if name in names), None)) is None:
        raise UserError(
            f"{path}: no column of the {what}; it has {listed(names)}: rename that of the {what} to {known[0]!r}"
        )
    return found


def _judgements(paths: Sequence[Path], queries: Texts, corpus: Texts) -> tuple[dict[int, dict[int, float]], int]:
    """Grades above 0 by the rows of query and document, and how many others there are.

    Raises StudyErrors with the first rows of unknown ids, of a pair that was judged before, and of what is no grade.
    """
    rows = {id_: row for row, id_ in enumerate(queries.ids)}
    documents = {id_: row for row, id_ in enumerate(corpus.ids)}
    judged: dict[int, dict[int, float]] = {}
    seen: dict[tuple[int, int], int] = {}
    unjudged = 0
    for path in paths:
        content, (query_column, document_column, grade_column) = _qrels(path)
        columns = (content.values[name] for name in (query_column, document_column, grade_column))
        problems = []
        for place, (query, document, grade) in enumerate(zip(*columns, strict=True), start=1):
            try:
                row = _known(rows, query, query_column, queries)
                of_document = _known(documents, document, document_column, corpus)
                value = _grade(grade, grade_column)
                if (row, of_document) in seen:
                    raise ValueError(
                        f"{query_column} {_id(query)!r} and {document_column} {_id(document)!r} are judged in row "
                        f"{seen[row, of_document]}, too; keep one of them"
                    )
            except ValueError as error:
                problems.append(f"row {place}: {error}")
                continue
            seen[row, of_document] = place
            if value > 0:
                judged.setdefault(row, {})[of_document] = value
            else:
                unjudged += 1
        refuse_rows(path, problems)
    return judged, unjudged


def _qrels(path: Path) -> tuple[Content, tuple[str, str, str]]:
    """The rows of a file of judgements, and its columns of query, document and grade."""
    header = list(TREC) if kind_of(path) == ".tsv" and _is_trec(path) else None
    names = header or read_beginning(path, None, 1).names
    used = (
        _column(path, names, QUERY_IDS, "query's id"),
        _column(path, names, DOCUMENT_IDS, "document's id"),
        _column(path, names, GRADES, "grade"),
    )
    return read_file(path, used, header), used


def _is_trec(path: Path) -> bool:
    """Whether a TSV file has trec_eval's four columns and no line of names."""
    fields = first_line(path).split("\t")
    return len(fields) == len(TREC) and fields[3].strip().lstrip("-").isdigit()


def _known(rows: Mapping[str, int], value: Any, column: str, texts: Texts) -> int:
    """The row of an id. Raises ValueError with what is wrong."""
    if is_missing(value):
        raise ValueError(f"{column} is missing; fill it or remove the row")
    if (key := _id(value)) not in rows:
        raise ValueError(f"{column} is {shown(key)}, which no row of {texts.path} has; correct it or remove the row")
    return rows[key]


def _grade(value: Any, column: str) -> float:
    try:
        found = number(value)
    except ValueError:
        found = -1.0
    if found < 0:
        raise ValueError(
            f"{column} is {shown(value)}, no grade; write 0 for a document that does not answer the query, else 1 or "
            "more"
        )
    return found

"""Scores of retrieval: by hand, as rankings of all documents have them, and by pytrec_eval where that is installed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from collection_files import cranfield
from shallower.engine.prediction import DEPTH, search
from shallower.engine.tokens import TokenSet, each_text_by_itself
from shallower.evaluation.metrics import chance_score, metric_for, metric_names, score
from shallower.evaluation.predictions import read_predictions, write_predictions
from shallower.evaluation.records import comparison_record, metrics_record
from shallower.evaluation.reference import reference_scores
from shallower.evaluation.retrieval import Found
from shallower.sources.retrieval import read_collection
from shallower.task_kinds.registry import task_kind

NAMES = ["ndcg_at_10", "mrr_at_10", "recall_at_10", "recall_at_100"]
METRICS = {name: metric_for(name, "retrieval") for name in NAMES}
SETTINGS = {"metrics": NAMES, "confidence": 0.95, "bootstrap_samples": 50}


def collection(queries: int = 30, documents: int = 300, seed: int = 0) -> TokenSet:
    """A token set without tokens; a query has up to 40 relevant documents, of three grades."""
    draw = np.random.default_rng(seed)
    judged = [
        (query, queries + document)
        for query in range(queries)
        for document in draw.choice(documents, draw.integers(1, min(40, documents)), replace=False)
    ]
    return TokenSet(
        input_ids=np.empty(0, np.int32),
        token_type_ids=None,
        offsets=np.zeros(queries + documents + 1, np.int64),
        labels=np.full(queries + documents, np.nan, np.float32),
        ids=np.arange(queries + documents),
        max_length=8,
        padding_side="right",
        pad_token_id=0,
        pad_token_type_id=0,
        cls_token_id=1,
        truncated=0,
        queries=queries,
        judged=np.array(judged),
        grades=draw.integers(1, 4, len(judged)).astype(np.float32),
    )


def vectors(tokens: TokenSet, seed: int = 1) -> np.ndarray:
    """Vectors by which relevant documents are somewhat nearer to their queries than others."""
    found = np.random.default_rng(seed).normal(size=(len(tokens.ids), 16))
    for (query, document), grade in zip(tokens.judged, tokens.grades, strict=True):
        found[document] += 0.15 * grade * found[query]
    return found.astype(np.float32)


def test_metrics_of_the_kind():
    assert metric_names("retrieval") == NAMES
    assert metric_names("ranking") == NAMES[:2]
    assert all(metric.kind == "retrieval" for metric in METRICS.values())


def test_cases_by_hand():
    labels = np.array([[3.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    # The first query finds its second-best document at rank 2, its best at rank 12; the second one nothing.
    answers = np.zeros((2, 20))
    answers[0, 1], answers[0, 11] = 1.0, 3.0
    best = 3 + 1 / np.log2(3)
    assert score(METRICS["ndcg_at_10"], labels, answers) == pytest.approx((1 / np.log2(3)) / best / 2)
    assert score(METRICS["mrr_at_10"], labels, answers) == pytest.approx(0.5 / 2)
    assert score(METRICS["recall_at_10"], labels, answers) == pytest.approx(0.5 / 2)
    assert score(METRICS["recall_at_100"], labels, answers) == pytest.approx(1.0 / 2)
    assert [chance_score(metric, labels) for metric in METRICS.values()] == [None] * 4
    assert not task_kind("retrieval").is_collapsed(labels, answers)
    assert task_kind("retrieval").is_collapsed(labels, np.zeros((2, 20)))


def all_cosines(tokens: TokenSet, found: np.ndarray) -> np.ndarray:
    unit = found.astype(np.float64) / np.linalg.norm(found.astype(np.float64), axis=1, keepdims=True)
    return unit[: tokens.queries] @ unit[tokens.queries :].T


def test_what_is_found_is_the_top_of_all_documents_and_scores_are_those_of_a_ranking_of_all():
    """By the metrics of rankings, which take a row for each query and document, and by the evaluate package."""
    tokens = collection()
    found = vectors(tokens)
    ids, labels, logits, groups, documents = search(tokens, found)
    assert groups is None
    cosines = all_cosines(tokens, found)
    np.testing.assert_array_equal(documents.documents - tokens.queries, np.argsort(-cosines, axis=1)[:, :DEPTH])
    np.testing.assert_allclose(documents.cosines, -np.sort(-cosines, axis=1)[:, :DEPTH], atol=1e-6)
    relevance = np.zeros_like(cosines)
    relevance[tokens.judged[:, 0], tokens.judged[:, 1] - tokens.queries] = tokens.grades
    answers, of_query = task_kind("retrieval").answers(logits), np.repeat(ids, cosines.shape[1])
    for name in NAMES[:2]:
        expected = score(metric_for(name, "ranking"), relevance.ravel(), cosines.ravel(), of_query)
        assert 0.1 < expected < 0.95
        assert score(METRICS[name], labels, answers) == pytest.approx(expected, abs=1e-12)
    for depth in (10, 100):
        top = np.argsort(-cosines, axis=1)[:, :depth]
        shares = (np.take_along_axis(relevance, top, 1) > 0).sum(1) / (relevance > 0).sum(1)
        assert score(METRICS[f"recall_at_{depth}"], labels, answers) == pytest.approx(shares.mean())
    reference = reference_scores("retrieval", labels, answers, NAMES)
    assert reference == pytest.approx({name: score(metric, labels, answers) for name, metric in METRICS.items()})


def of_cranfield(folder: Path) -> TokenSet:
    """The judgements of Cranfield's collection, where its files are named."""
    definition = cranfield(folder)
    table, _ = read_collection({part: [Path(definition[f"{part}_file"])] for part in ("queries", "corpus", "qrels")})
    rows, more = each_text_by_itself(table)
    named = {"ids": rows["id"].to_numpy(), "offsets": np.zeros(len(rows) + 1, np.int64)}
    return replace(collection(2, 50), labels=np.full(len(rows), np.nan, np.float32), **named, **more)


@pytest.mark.parametrize("made_of", ["random judgements", "cranfield"])
def test_trec_eval_scores_the_same(tmp_path, made_of):
    pytrec_eval = pytest.importorskip("pytrec_eval", reason="not a package of this project")
    tokens = of_cranfield(tmp_path) if made_of == "cranfield" else collection(seed=4)
    found = vectors(tokens)
    _, labels, logits, _, documents = search(tokens, found)
    qrels: dict[str, dict[str, int]] = {}
    for (query, document), grade in zip(tokens.judged.tolist(), tokens.grades.tolist(), strict=True):
        qrels.setdefault(f"q{query}", {})[f"d{document}"] = int(grade)
    # Cosines in full precision, since trec_eval breaks ties by names.
    run = {
        f"q{query}": {f"d{document}": 1.0 - rank / 1000 for rank, document in enumerate(row)}
        for query, row in enumerate(documents.documents.tolist())
    }
    names = {"ndcg_cut_10": "ndcg_at_10", "recall_10": "recall_at_10", "recall_100": "recall_at_100"}
    by_query = pytrec_eval.RelevanceEvaluator(qrels, {*names}).evaluate(run)
    for theirs, ours in names.items():
        expected = np.mean([scores[theirs] for scores in by_query.values()])
        assert score(METRICS[ours], labels, logits.astype(np.float64)) == pytest.approx(expected, abs=1e-6)
    first_ten = {query: dict(sorted(found.items(), key=lambda each: -each[1])[:10]) for query, found in run.items()}
    ranks = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(first_ten)
    expected = np.mean([scores["recip_rank"] for scores in ranks.values()])
    assert score(METRICS["mrr_at_10"], labels, logits.astype(np.float64)) == pytest.approx(expected, abs=1e-6)


def test_equal_documents_come_in_their_order_and_small_collections_are_found_whole():
    tokens = collection(queries=3, documents=5)
    found = np.ones((8, 4), np.float32)
    _, labels, logits, _, documents = search(tokens, found)
    assert documents.documents.tolist() == [[3, 4, 5, 6, 7]] * 3
    assert logits.shape == (3, 5)
    assert score(METRICS["recall_at_100"], labels, logits) == 1.0


def test_predictions_are_written_and_read_and_intervals_resample_queries(tmp_path):
    tokens = collection()
    runs = [search(tokens, vectors(tokens, seed)) for seed in (1, 2)]
    for number, run in enumerate(runs):
        write_predictions(tmp_path / f"{number}.parquet", *run)
    tables = [read_predictions(tmp_path / f"{number}.parquet", "retrieval") for number in (0, 1)]
    assert isinstance(tables[0].found, Found)
    np.testing.assert_array_equal(tables[0].found.documents, runs[0][4].documents)
    np.testing.assert_array_equal(tables[0].computed, runs[0][4].cosines)
    np.testing.assert_array_equal(tables[0].labels, tables[1].labels)
    answers = [task_kind("retrieval").answers(table.logits) for table in tables]
    record, resamples = metrics_record("retrieval", tables[0].labels, answers[0], SETTINGS)
    assert (record["num_examples"], record["primary"], len(resamples)) == (30, "ndcg_at_10", 50)
    interval = record["metrics"]["ndcg_at_10"]
    assert interval["low"] < interval["value"] < interval["high"]
    comparison = comparison_record(
        "retrieval", tables[0].labels, np.stack([answers[1]]), np.stack([answers[0]]), [1], SETTINGS
    )
    of_both = [score(METRICS["ndcg_at_10"], tables[0].labels, found) for found in answers]
    assert comparison["kept_percent"] == pytest.approx(100 * of_both[1] / of_both[0])

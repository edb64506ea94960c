"""nDCG@10 and MRR@10, against scikit-learn, all orders of what is tied, and cases by hand."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from shallower.evaluation.bootstrap import score_bootstrap
from shallower.evaluation.metrics import METRICS, chance_score, metric_names, score
from shallower.evaluation.rankings import ndcg, reciprocal_rank
from shallower.evaluation.records import metrics_record
from shallower.evaluation.reference import reference_scores
from shallower.evaluation.significance import bootstrap_p
from shallower.task_kinds.registry import task_kind

NDCG, MRR = METRICS["ndcg_at_10"], METRICS["mrr_at_10"]
RANDOM = np.random.default_rng(0)


def query(texts: int, ties: bool, graded: bool) -> tuple[np.ndarray, np.ndarray]:
    labels = RANDOM.integers(4, size=texts) / 3 if graded else (RANDOM.random(texts) < 0.3).astype(float)
    return labels, RANDOM.integers(4, size=texts).astype(float) if ties else RANDOM.normal(size=texts)


def array(*values: float) -> np.ndarray:
    return np.array(values, float)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("graded", [False, True])
def test_scores_are_those_of_scikit_learn_and_scipy(ties, graded):
    queries = [query(texts, ties, graded) for texts in RANDOM.integers(2, 40, size=30)]
    for labels, answers in queries:
        assert ndcg(labels, answers) == pytest.approx(ndcg_score([labels], [answers], k=10), abs=1e-12)
    labels, answers = (np.concatenate(parts) for parts in zip(*queries, strict=True))
    groups = np.repeat(np.arange(30) * 100, [len(labels) for labels, _ in queries])
    mixed = RANDOM.permutation(len(labels))
    labels, answers, groups = labels[mixed], answers[mixed], groups[mixed]
    found = reference_scores("ranking", labels, answers, ["ndcg_at_10", "mrr_at_10"], groups=groups)
    for name, value in found.items():
        assert score(METRICS[name], labels, answers, groups) == pytest.approx(value, abs=1e-12)


def test_by_hand():
    # Gains 1 and 0.5 on ranks 2 and 3; the best order has them on ranks 1 and 2.
    labels, answers = array(0, 1, 0.5), array(3, 2, 1)
    best = 1 + 0.5 / np.log2(3)
    assert ndcg(labels, answers) == pytest.approx((1 / np.log2(3) + 0.5 / np.log2(4)) / best)
    assert reciprocal_rank(labels, answers) == 0.5
    # Rank 10 counts, rank 11 does not.
    for place, rank in ((9, 0.1), (10, 0)):
        labels = (np.arange(12) == place).astype(float)
        assert reciprocal_rank(labels, -np.arange(12.0)) == rank
        assert ndcg(labels, -np.arange(12.0)) == pytest.approx(1 / np.log2(11) if rank else 0)
    assert ndcg(array(0, 0), array(1, 2)) == reciprocal_rank(array(0, 0), array(1, 2)) == 0


@pytest.mark.parametrize("scorer", [ndcg, reciprocal_rank])
def test_ties_score_the_mean_over_their_orders(scorer):
    labels, answers = array(1, 0, 0, 0.5, 1, 0), array(5, 5, 5, 5, 7, 1) * -1
    tied = np.flatnonzero(answers == -5)
    values = []
    for order in permutations(range(4)):
        broken = answers.copy()
        broken[tied] += 0.1 * np.array(order)
        values.append(scorer(labels, broken))
    assert scorer(labels, answers) == pytest.approx(np.mean(values))


def test_no_order_of_rows_counts():
    labels, answers = query(25, ties=True, graded=True)
    mixed = RANDOM.permutation(25)
    for scorer in (ndcg, reciprocal_rank):
        assert scorer(labels[mixed], answers[mixed]) == pytest.approx(scorer(labels, answers))


def test_the_chance_level_is_that_of_a_random_order():
    labels, groups = np.tile([1, *[0] * 19], 3).astype(float), np.repeat([0, 1, 2], 20)
    expected = {NDCG: sum(1 / np.log2(rank + 1) for rank in range(1, 11)) / 20, MRR: sum(1 / np.arange(1, 11)) / 20}
    for metric, value in expected.items():
        assert chance_score(metric, labels, groups) == pytest.approx(value)
        drawn = [score(metric, labels, RANDOM.random(60), groups) for _ in range(1000)]
        assert np.mean(drawn) == pytest.approx(value, abs=5 * np.std(drawn) / 1000**0.5)


def test_a_model_that_ranks_better_by_query_is_found_better():
    """The paired test is one of queries: the resampled scores of both models are of the same queries."""
    groups, labels = np.repeat(np.arange(60), 10), np.tile([1, 1, *[0] * 8], 60).astype(float)
    noise = RANDOM.normal(size=600)
    resamples = [score_bootstrap(NDCG, labels, labels * skill + noise, 0.95, 500, groups) for skill in (2, 1.2, 1.19)]
    better, worse, as_bad = (found.resamples for found in resamples)
    values = [score(NDCG, labels, labels * skill + noise, groups) for skill in (2, 1.2, 1.19)]
    assert bootstrap_p(values[0] - values[1], better - worse) < 0.001
    assert bootstrap_p(values[1] - values[2], worse - as_bad) > 0.01
    per_query = np.array([ndcg(labels[:10], (labels * 2 + noise)[start : start + 10]) for start in range(0, 600, 10)])
    assert np.std(better) == pytest.approx(np.std(per_query) / 60**0.5, rel=0.15)


def test_a_collapsed_model_is_one_that_does_not_tell_the_texts_of_a_query_apart():
    kind = task_kind("ranking")
    groups, labels = np.repeat(np.arange(4), 5), np.tile([1.0, 0, 0, 0, 0], 4)
    by_query = np.repeat([3.0, -1, 2, 7], 5)
    assert kind.is_collapsed(labels, by_query, groups)
    assert kind.is_collapsed(labels, by_query + 1e-4 * RANDOM.normal(size=20), groups)
    assert not kind.is_collapsed(labels, by_query + 0.1 * labels, groups)
    record, _ = metrics_record(
        "ranking",
        labels,
        by_query,
        {"metrics": ["mrr_at_10"], "confidence": 0.95, "bootstrap_samples": 20},
        groups=groups,
    )
    assert record["collapsed"]
    assert (record["num_examples"], record["num_groups"]) == (20, 4)
    assert record["metrics"]["mrr_at_10"]["value"] == pytest.approx(record["metrics"]["mrr_at_10"]["chance"])


def test_metrics_of_rankings_suit_no_other_kind():
    assert metric_names("ranking") == ["ndcg_at_10", "mrr_at_10"]
    assert not {"ndcg_at_10", "mrr_at_10"} & {*metric_names("classification"), *metric_names("regression")}

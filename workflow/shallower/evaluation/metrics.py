"""The metrics, computed on arrays so that thousands of resamples cost little.

`METRICS` is the only list of them. Each function is checked against scikit-learn or scipy: by the tests, and for every
run of a study by `shallower.evaluation.reference`. Both libraries are imported where they are used, since the study's
checks need the names alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shallower.core.errors import UserError
from shallower.core.wording import unsuited
from shallower.evaluation import rankings, retrieval
from shallower.evaluation.class_sets import best_for_micro_f1, macro_f1_of_sets, micro_f1, of_sets, subset_accuracy
from shallower.evaluation.entities import entity_counts, f1_of_counts, right_counts, seqeval_f1, share_of_counts
from shallower.evaluation.groups import num_units, rows_of
from shallower.task_kinds.registry import TASK_KINDS, task_kind
from shallower.task_kinds.tag_schemes import IOB2, Tagging

# Index of the class that metrics of one class are of, unless a study names another: as GLUE has it.
POSITIVE = 1


# What a metric is of that is not of all classes alike: the index of the positive class, or tags that mark entities.
Subject = int | Tagging


@dataclass(frozen=True)
class Metric:
    """A score in [-1, 1], higher is better.

    Attributes:
        name: what a study and results.csv call it.
        title: what people call it.
        kind: the name of the kind of task that it is for.
        function: scores [...] on resamples of labels and predictions, by the rows [..., n] that each resample takes; or
            how the score of groups of rows is made.
        reference: the score of labels and predictions by scikit-learn or scipy; of groups of rows, whose numbers [n]
            are the third argument.
        most_classes: the largest number of classes that it is defined for; None for any.
        of_class: the same metric for the class of an index, where it is of one class only, the positive one; of
            entities, the same metric for the tags that mark them.
        constant: the best answer, in the form of one label, for all examples alike, by their labels; None for that of
            the kind of task.
        further_kinds: the names of other kinds of task that it is for, too.
        of_lists: the same metric where the answer to a query is one row, the list of what was found; None where there
            is none.
    """

    name: str
    title: str
    kind: str
    function: "Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]] | GroupScore"
    reference: Callable[..., float]
    most_classes: int | None = None
    of_class: "Callable[[Subject], Metric] | None" = None
    constant: Callable[[NDArray[Any]], Any] | None = None
    further_kinds: tuple[str, ...] = ()
    of_lists: "Metric | None" = None


class GroupScore(NamedTuple):
    """A score of groups of rows, such as a query's texts or a sentence's words.

    Attributes:
        statistics: of labels and predictions [n] and the rows of each group: numbers [groups, k], all that the score
            needs of a group.
        score: scores [...] of the statistics [..., groups, k] of the groups that each resample takes.
    """

    statistics: Callable[[NDArray[Any], NDArray[Any], Sequence[NDArray[np.intp]]], NDArray[np.float64]]
    score: Callable[[NDArray[np.float64]], NDArray[Any]]


class Counts(NamedTuple):
    """How often each class is label, prediction and both, in resamples.

    Attributes:
        classes: indices [classes] of the classes that occur among the labels or predictions, in ascending order.
        hits: numbers [..., classes] of examples that are of a class and predicted so.
        labels: numbers [..., classes] of examples of a class.
        predictions: numbers [..., classes] of examples that are predicted to be of a class.
    """

    classes: NDArray[Any]
    hits: NDArray[Any]
    labels: NDArray[Any]
    predictions: NDArray[Any]


def of_counts(
    score: Callable[[Counts], NDArray[Any]],
) -> Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """A metric's function from a score [...] of counts."""
    return lambda labels, predictions, rows: score(_counts(labels, predictions, rows))


def of_pairs(
    score: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
) -> Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """A metric's function from a score of labels and predictions [..., n] along the last axis."""
    return lambda labels, predictions, rows: score(labels[rows], predictions[rows])


def _counts(labels: NDArray[Any], predictions: NDArray[Any], rows: NDArray[Any]) -> Counts:
    """Counts of resamples, by the rows [..., n] that each takes.

    Not from confusion matrices, which a thousand classes make a thousand times as large as what is counted: of the
    pairs of label and prediction only those that occur are counted, and there are no more of them than examples.
    """
    classes, found = np.unique(np.stack([labels, predictions]), return_inverse=True)
    indices = found.reshape(2, -1)
    pairs, pair_of_row = np.unique(indices[0] * len(classes) + indices[1], return_inverse=True)
    of_label, of_prediction = np.divmod(pairs, len(classes))
    drawn = pair_of_row[rows].reshape(-1, rows.shape[-1])
    # Each resample counts in cells of its own, so that one pass counts them all.
    drawn += len(pairs) * np.arange(len(drawn))[:, None]
    counts = np.bincount(drawn.ravel(), minlength=len(pairs) * len(drawn)).reshape(*rows.shape[:-1], len(pairs))
    is_hit = of_label == of_prediction
    return Counts(
        classes,
        _summed(counts[..., is_hit], of_label[is_hit], len(classes)),
        _summed(counts, of_label, len(classes)),
        _summed(counts, of_prediction, len(classes)),
    )


def _summed(counts: NDArray[Any], of_class: NDArray[Any], num_classes: int) -> NDArray[Any]:
    """Sums [..., classes] of the columns [..., columns] that belong to the same class [columns]."""
    sums = np.zeros((*counts.shape[:-1], num_classes), counts.dtype)
    order = np.argsort(of_class, kind="stable")
    present, starts = np.unique(of_class[order], return_index=True)
    if len(present):
        sums[..., present] = np.add.reduceat(counts[..., order], starts, axis=-1)
    return sums


def _accuracy(counts: Counts) -> NDArray[Any]:
    return counts.hits.sum(-1) / counts.labels.sum(-1)


def _f1_by_class(counts: Counts) -> tuple[NDArray[Any], NDArray[Any]]:
    """F1 of each class [..., classes], 0 where a class does not occur, and whether it occurs at all."""
    occurrences = counts.labels + counts.predictions
    return 2 * counts.hits / np.maximum(occurrences, 1), occurrences > 0


def _f1(counts: Counts, positive: int) -> NDArray[Any]:
    if counts.classes[-1] > 1:
        raise UserError("metric f1 is for two classes, one of which is the positive one; use macro_f1 here")
    return _f1_by_class(counts)[0][..., counts.classes == positive].sum(-1)


def _macro_f1(counts: Counts) -> NDArray[Any]:
    scores, occurs = _f1_by_class(counts)
    return scores.sum(-1) / occurs.sum(-1)


def _macro_f1_of_any(labels: NDArray[Any], predictions: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """Of examples with one class each [n], or with any number of them [n, classes]."""
    of_any = of_counts(_macro_f1) if labels.ndim == 1 else of_sets(macro_f1_of_sets)
    return of_any(labels, predictions, rows)


def _best_for_macro_f1(labels: NDArray[Any]) -> NDArray[Any]:
    """The most frequent class; of classes that exclude no other, all."""
    return np.array(np.bincount(labels).argmax()) if labels.ndim == 1 else np.ones(labels.shape[1], labels.dtype)


def _matthews_correlation(counts: Counts) -> NDArray[Any]:
    """For any number of classes: Gorodkin, "Comparing two K-category assignments", 2004."""
    true, predicted = counts.labels.astype(np.float64), counts.predictions.astype(np.float64)
    total = true.sum(-1)
    covariance = counts.hits.sum(-1) * total - (true * predicted).sum(-1)
    variances = (total**2 - (true**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
    return np.divide(covariance, np.sqrt(variances), out=np.zeros_like(covariance), where=variances > 0)


def _is_constant(values: NDArray[Any]) -> NDArray[Any]:
    """Whether values [..., n] are all the same, but for rounding, along the last axis."""
    return np.ptp(values, axis=-1) <= 1e-9 * np.abs(values).max(axis=-1)


def _pearson(labels: NDArray[Any], predictions: NDArray[Any]) -> NDArray[Any]:
    from scipy import stats

    constant = _is_constant(labels) | _is_constant(predictions)
    # A constant has no correlation: 0 by convention. Varied values replace it, to avoid scipy's warning.
    varied = np.arange(labels.shape[-1], dtype=np.float64)
    labels = np.where(constant[..., None], varied, labels)
    predictions = np.where(constant[..., None], varied, predictions)
    return np.where(constant, 0.0, stats.pearsonr(labels, predictions, axis=-1).statistic)


def _spearman(labels: NDArray[Any], predictions: NDArray[Any]) -> NDArray[Any]:
    from scipy import stats

    return _pearson(stats.rankdata(labels, axis=-1), stats.rankdata(predictions, axis=-1))


def _sklearn(name: str, **settings: object) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """A function of `sklearn.metrics`."""

    def reference(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(labels, predictions, **settings))

    return reference


def _scipy(name: str) -> Callable[[NDArray[Any], NDArray[Any]], float]:
    """A correlation of `scipy.stats`; 0.0, not NaN, where a side is constant and a correlation does not exist."""

    def reference(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
        from scipy import stats

        if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
            return 0.0
        return float(getattr(stats, name)(labels, predictions).statistic)

    return reference


def _f1_of(subject: Subject) -> Metric:
    positive = subject if isinstance(subject, int) else POSITIVE
    return Metric(
        name="f1",
        title="F1",
        kind="classification",
        function=of_counts(partial(_f1, positive=positive)),
        reference=_sklearn("f1_score", zero_division=0, pos_label=positive),
        most_classes=2,
        constant=lambda labels: positive,
        of_class=_f1_of,
    )


def _entity_f1_of(subject: Subject) -> Metric:
    """F1 of entities; without tags it can be named, not computed."""
    tagging = subject if isinstance(subject, Tagging) else Tagging((), IOB2)
    return Metric(
        name="entity_f1",
        title="entity F1",
        kind="tokens",
        function=GroupScore(partial(entity_counts, tagging), f1_of_counts),
        reference=partial(seqeval_f1, tagging),
        of_class=_entity_f1_of,
    )


def _of_lists(name: str, title: str, score: retrieval.QueryScore, reference: Callable[..., float]) -> Metric:
    """A metric of lists of documents that were found, a list for each query."""
    return Metric(name, title, "retrieval", retrieval.mean_of(score), reference)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", "classification", of_counts(_accuracy), _sklearn("accuracy_score")),
        _f1_of(POSITIVE),
        Metric(
            name="macro_f1",
            title="macro F1",
            kind="classification",
            function=_macro_f1_of_any,
            reference=_sklearn("f1_score", average="macro", zero_division=0),
            further_kinds=("multi-label",),
            constant=_best_for_macro_f1,
        ),
        Metric(
            name="matthews_correlation",
            title="Matthews correlation",
            kind="classification",
            function=of_counts(_matthews_correlation),
            reference=_sklearn("matthews_corrcoef"),
        ),
        Metric(
            name="micro_f1",
            title="micro F1",
            kind="multi-label",
            function=of_sets(micro_f1),
            reference=_sklearn("f1_score", average="micro", zero_division=0),
            constant=best_for_micro_f1,
        ),
        Metric(
            name="subset_accuracy",
            title="subset accuracy",
            kind="multi-label",
            function=of_sets(subset_accuracy),
            reference=_sklearn("accuracy_score"),
        ),
        _entity_f1_of(POSITIVE),
        Metric(
            name="token_accuracy",
            title="token accuracy",
            kind="tokens",
            function=GroupScore(right_counts, share_of_counts),
            reference=lambda labels, answers, groups: _sklearn("accuracy_score")(labels, answers),
        ),
        Metric("pearson", "Pearson correlation", "regression", of_pairs(_pearson), _scipy("pearsonr")),
        Metric("spearmanr", "Spearman correlation", "regression", of_pairs(_spearman), _scipy("spearmanr")),
        Metric(
            name="ndcg_at_10",
            title="nDCG@10",
            kind="ranking",
            function=GroupScore(rankings.of_each(rankings.ndcg), rankings.mean_of_queries),
            reference=rankings.reference_ndcg,
            further_kinds=("retrieval",),
            of_lists=_of_lists("ndcg_at_10", "nDCG@10", retrieval.ndcg, retrieval.reference_ndcg),
        ),
        Metric(
            name="mrr_at_10",
            title="MRR@10",
            kind="ranking",
            function=GroupScore(rankings.of_each(rankings.reciprocal_rank), rankings.mean_of_queries),
            reference=rankings.reference_mrr,
            further_kinds=("retrieval",),
            of_lists=_of_lists("mrr_at_10", "MRR@10", retrieval.reciprocal_rank, retrieval.reference_mrr),
        ),
        *(
            _of_lists(
                f"recall_at_{depth}", f"recall@{depth}", retrieval.recall(depth), retrieval.reference_recall(depth)
            )
            for depth in (10, 100)
        ),
    )
}


def metric_names(target: str) -> list[str]:
    """Names of the metrics that suit a kind of task."""
    suiting = {*TASK_KINDS[target].scored_as}
    return [metric.name for metric in METRICS.values() if suiting & {metric.kind, *metric.further_kinds}]


def metric_title(name: str, positive_class: object = None) -> str:
    """A metric's name as one would say it, with the class that it is of, where tables hold one."""
    title = METRICS[name].title if name in METRICS else name.replace("_", " ")
    return f"{title} of {positive_class}" if isinstance(positive_class, str) and positive_class else title


def answer_threshold(target: str, settings: Mapping[str, Any]) -> float | Sequence[float] | None:
    """Probability above which a class counts as answered, or one for each; None for kinds without one.

    `settings` are those of scoring.
    """
    return task_kind(target, settings).threshold


def metric_of_class(name: str, subject: Subject = POSITIVE) -> Metric:
    """The metric of that name; if it is of one class or of entities, then of that class or of these tags."""
    metric = METRICS[name]
    return metric.of_class(subject) if metric.of_class else metric


def with_tagging(settings: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an evaluation and, of a task whose tags mark entities (by its task.json), how these are read."""
    if not task.get("scheme"):
        return dict(settings)
    strict = settings.get("strict_entities", False)
    return {**settings, "tagging": {"tags": task["labels"], "scheme": task["scheme"], "strict": strict}}


def subject_of(settings: Mapping[str, Any]) -> Subject:
    """What the metrics of one class, or of entities, are of, by settings (`with_tagging`) or by a metrics.json."""
    if "tagging" in settings:
        tagging = settings["tagging"]
        return Tagging(tuple(tagging["tags"]), tagging["scheme"], tagging["strict"])
    scores = settings["metrics"].values() if isinstance(settings["metrics"], Mapping) else ()
    stored = (score["positive_index"] for score in scores if "positive_index" in score)
    return next(stored, settings.get("positive_class", POSITIVE))


def metric_for(name: str, target: str, subject: Subject = POSITIVE) -> Metric:
    """The metric of that name, of the class or the tags `subject` if it is of one class or of entities.

    Raises UserError when there is none, or not for this kind of task.
    """
    if name not in METRICS:
        raise UserError(f"unknown metric {name!r}; there are {', '.join(METRICS)}")
    if name not in (usable := metric_names(target)):
        raise UserError(unsuited(f"the metric {name}", target, f"use one of {', '.join(usable)}"))
    metric, scored_as = metric_of_class(name, subject), TASK_KINDS[target].scored_as
    return metric.of_lists if metric.of_lists is not None and metric.of_lists.kind in scored_as else metric


def resampled_scores(
    metric: Metric,
    labels: NDArray[Any],
    predictions: NDArray[Any],
    units: NDArray[Any],
    groups: NDArray[np.int64] | None = None,
) -> NDArray[Any]:
    """Scores [...] on resamples of labels and predictions [n], each given by the units [..., u] that it takes.

    Units are those of `shallower.evaluation.groups`: rows, or all rows of a group in `groups` [n].
    """
    if isinstance(metric.function, GroupScore):
        if groups is None:
            raise ValueError(f"{metric.name} is a score of groups of rows; which rows belong together is not known")
        return metric.function.score(metric.function.statistics(labels, predictions, rows_of(groups))[units])
    if groups is None:
        return metric.function(labels, predictions, units)
    rows, function = rows_of(groups), metric.function
    # One after another, since resamples of groups differ in their numbers of rows.
    each = [function(labels, predictions, np.concatenate([rows[unit] for unit in drawn])) for drawn in _flat(units)]
    return np.array(each, np.float64).reshape(units.shape[:-1])


def _flat(units: NDArray[Any]) -> NDArray[Any]:
    """Units [resamples, u] of all resamples [..., u]."""
    return units.reshape(-1, units.shape[-1])


def score(
    metric: Metric, labels: NDArray[Any], predictions: NDArray[Any], groups: NDArray[np.int64] | None = None
) -> float:
    """The score of predictions [n, ...] against labels [n, ...]; 0.0 for a correlation that does not exist."""
    return float(resampled_scores(metric, labels, predictions, np.arange(num_units(labels, groups)), groups))


def chance_score(metric: Metric, labels: NDArray[Any], groups: NDArray[np.int64] | None = None) -> float | None:
    """The score of the best answer that is the same for every example; None where the kind of task has none."""
    constant = (metric.constant or task_kind(metric.kind).constant_answer)(labels)
    if constant is None:
        return None
    answers = np.full_like(labels, constant)
    return score(metric, labels, answers, groups)

"""Entities by hand-worked cases, and F1 of sums of counts by seqeval's own f1_score."""

import itertools

import numpy as np
import pytest
from seqeval import scheme as seqeval_schemes
from seqeval.metrics import classification_report, f1_score

from shallower.evaluation.bootstrap import score_bootstrap
from shallower.evaluation.entities import entity_finder, readable_tags
from shallower.evaluation.metrics import metric_for, score
from shallower.evaluation.records import metrics_record
from shallower.task_kinds.tag_schemes import Tagging, scheme_of

LETTERS = {"IOB1": "BI", "IOB2": "BI", "IOBES": "BIES", "BILOU": "BILU"}


def tags_of(scheme):
    return ("O", *(f"{letter}-{kind}" for kind in ("PER", "LOC") for letter in LETTERS[scheme]))


# Each is a sentence and its entities (type, first and last word), leniently and strictly.
CASES = [
    ("IOB2", "B-PER I-PER O B-LOC", {("PER", 0, 1), ("LOC", 3, 3)}, {("PER", 0, 1), ("LOC", 3, 3)}),
    ("IOB2", "O I-PER I-PER O", {("PER", 1, 2)}, set()),
    ("IOB2", "B-PER I-LOC", {("PER", 0, 0), ("LOC", 1, 1)}, {("PER", 0, 0)}),
    ("IOB2", "B-PER B-PER", {("PER", 0, 0), ("PER", 1, 1)}, {("PER", 0, 0), ("PER", 1, 1)}),
    ("IOB1", "I-PER I-PER B-PER O", {("PER", 0, 1), ("PER", 2, 2)}, {("PER", 0, 1), ("PER", 2, 2)}),
    ("IOBES", "B-PER E-PER S-LOC O", {("PER", 0, 1), ("LOC", 2, 2)}, {("PER", 0, 1), ("LOC", 2, 2)}),
    ("IOBES", "B-PER I-PER O", {("PER", 0, 1)}, set()),
    ("BILOU", "B-PER I-PER L-PER U-PER", {("PER", 0, 2), ("PER", 3, 3)}, {("PER", 0, 2), ("PER", 3, 3)}),
    ("BILOU", "U-PER U-PER O", {("PER", 0, 0), ("PER", 1, 1)}, {("PER", 0, 0), ("PER", 1, 1)}),
    ("BILOU", "O L-PER", {("PER", 1, 1)}, set()),
]


@pytest.mark.parametrize(("scheme", "sentence", "lenient", "strict"), CASES)
def test_entities_by_hand(scheme, sentence, lenient, strict):
    tags = tags_of(scheme)
    ids = [tags.index(tag) for tag in sentence.split()]
    assert entity_finder(Tagging(tags, scheme))(ids) == lenient
    assert entity_finder(Tagging(tags, scheme, strict=True))(ids) == strict


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("scheme", LETTERS)
def test_f1_is_seqevals_on_resamples_too(scheme, strict):
    tagging = Tagging(tags_of(scheme), scheme, strict)
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), random.integers(1, 9, 40))
    labels = random.integers(0, len(tagging.tags), len(groups))
    answers = np.where(random.random(len(groups)) < 0.7, labels, random.integers(0, len(tagging.tags), len(groups)))
    metric = metric_for("entity_f1", "tokens", tagging)

    def by_seqeval(sentences):
        sides = []
        for side in (labels, answers):
            names = [[tagging.tags[index] for index in side[groups == sentence]] for sentence in sentences]
            if scheme == "BILOU" and not strict:
                letters = {"L": "E", "U": "S"}
                names = [[letters.get(tag[0], tag[0]) + tag[1:] for tag in each] for each in names]
            sides.append(names)
        settings = {"mode": "strict", "scheme": getattr(seqeval_schemes, scheme)} if strict else {}
        return f1_score(*sides, zero_division=0, **settings)

    assert score(metric, labels, answers, groups) == pytest.approx(by_seqeval(range(40)))
    assert metric.reference(labels, answers, groups) == pytest.approx(by_seqeval(range(40)))
    drawn = []
    bootstrap = score_bootstrap(metric, labels, answers, 0.95, 20, groups)
    from scipy import stats

    stats.bootstrap(
        (np.arange(40),),
        lambda units, axis: (drawn.append(units), units.mean(axis=-1))[1],
        n_resamples=20,
        batch=20,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    resamples = next(units for units in drawn if units.shape == (20, 40))
    np.testing.assert_allclose(bootstrap.resamples, [by_seqeval(sentences) for sentences in resamples])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("scheme", LETTERS)
def test_scores_of_each_type_are_those_of_seqevals_report(scheme, strict):
    tagging = Tagging((*tags_of(scheme), "B-never"), scheme, strict)
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), random.integers(1, 9, 40))
    labels = random.integers(0, len(tagging.tags) - 1, len(groups))
    answers = np.where(random.random(len(groups)) < 0.7, labels, random.integers(0, len(tagging.tags) - 1, len(groups)))
    settings = {"metrics": ["entity_f1"], "confidence": 0.9, "bootstrap_samples": 20}
    settings["tagging"] = {"tags": tagging.tags, "scheme": scheme, "strict": strict}
    record, _ = metrics_record("tokens", labels, answers, settings, tagging.tags, groups)
    tags = readable_tags(tagging)
    sides = [[[tags[index] for index in side[groups == one]] for one in range(40)] for side in (labels, answers)]
    how = {"mode": "strict", "scheme": getattr(seqeval_schemes, scheme)} if strict else {}
    report = classification_report(*sides, output_dict=True, zero_division=0, **how)
    assert [found["name"] for found in record["classes"]] == ["PER", "LOC", "never"]
    for found in record["classes"][:2]:
        expected = report[found["name"]]
        assert [found[key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(
            [expected[key] for key in ("precision", "recall", "f1-score", "support")]
        )
    assert (record["classes"][2]["support"], record["classes"][2]["predicted"]) == (0, 0)
    for name in ("micro", "macro"):
        expected = report[f"{name} avg"]
        assert [*record["averages"][name].values()] == pytest.approx(
            [expected[key] for key in ("precision", "recall", "f1-score")]
        )
    assert record["averages"]["micro"]["f1"] == pytest.approx(record["metrics"]["entity_f1"]["value"])


def test_the_scheme_is_decided_over_all_tags():
    for scheme in ("IOB2", "IOBES", "BILOU"):
        assert scheme_of(tags_of(scheme)) == scheme
    tags = tags_of("IOB1")
    assert scheme_of(tags, [[tags.index(tag) for tag in ("O", "I-PER")]]) == "IOB1"
    assert scheme_of(tags, [[tags.index(tag) for tag in ("B-PER", "I-PER", "I-PER")]]) == "IOB2"
    assert scheme_of(["NOUN", "VERB"]) is None
    assert scheme_of(["O", "B-x"]) == "IOB2"


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["O", "B-x", "Q-x"], "the prefix Q- is of none of the schemes"),
        (["O", "B-x", "E-x", "L-x"], "the prefixes B, E, L are of different schemes"),
        (["O", "B-x", "y"], "'y' has no prefix such as B-"),
    ],
)
def test_tags_of_no_scheme_are_refused(tags, message):
    with pytest.raises(ValueError, match=message):
        scheme_of(tags)


def test_all_pairs_of_short_sentences_are_counted_as_seqeval_does():
    tags = tags_of("IOB2")
    find = entity_finder(Tagging(tags, "IOB2"))
    for one, other in itertools.product(itertools.product(range(3), repeat=3), repeat=2):
        true, found = find(one), find(other)
        expected = f1_score([[tags[index] for index in one]], [[tags[index] for index in other]], zero_division=0)
        assert (2 * len(true & found) / max(1, len(true) + len(found))) == pytest.approx(expected)

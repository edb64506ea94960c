"""Names of a checkpoint's outputs against those of a task."""

import pytest

from shallower.models.heads import matching_rows, output_names


@pytest.mark.parametrize(
    "theirs, ours, rows",
    [
        (["bad", "good"], ["bad", "good"], (0, 1)),
        (["bad", "good"], ["good", "bad"], (1, 0)),
        (["CONTRADICTION", "NEUTRAL", "ENTAILMENT"], ["entailment", "neutral", "contradiction"], (2, 1, 0)),
        (["not_entailment", "Entailment"], ["entailment", "not entailment"], (1, 0)),
        (["cafe\u0301", "tea"], ["tea", "caf\u00e9"], (1, 0)),
        (["-1", "1"], ["1", "-1"], (1, 0)),
        (["-1", "1"], ["0", "1"], None),
        (["a", "A"], ["A", "a"], (1, 0)),
        (["a", "A"], ["a", "B"], None),
        (["a", "a"], ["a", "a"], None),
        (["a", "A"], ["a", "a "], None),
        (["bad", "good"], ["bad", "good", "odd"], None),
        (["LABEL_0", "LABEL_1"], ["bad", "good"], None),
        ([], ["a", "b"], None),
    ],
)
def test_rows_by_name(theirs, ours, rows):
    assert matching_rows(theirs, ours) == rows


@pytest.mark.parametrize(
    "config, names",
    [
        ({"id2label": {"1": "b", "0": "a"}}, ["a", "b"]),
        ({"id2label": {0: "a", 1: "b"}}, ["a", "b"]),
        ({"id2label": {"0": 1, "1": 2}}, ["1", "2"]),
        ({"id2label": {"a": "0", "b": "1"}}, ["LABEL_0", "LABEL_1"]),
        ({"num_labels": 3}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ({"id2label": None}, ["LABEL_0", "LABEL_1"]),
        ({"id2label": ["a", "b"], "num_labels": 10**30}, ["LABEL_0", "LABEL_1"]),
    ],
)
def test_names_of_outputs(config, names):
    assert output_names(config) == names

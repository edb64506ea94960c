"""Choices from a table of scores of subsets, against tables worked out by hand."""

import pytest

from shallower.core.errors import UserError
from shallower.models.stack import Stack
from shallower.surgery.strategies import drop_order
from shallower.surgery.subset_choice import SubsetTable, best_of_size, from_the_top, greedy_order

# Four layers; lower losses and higher scores are better.
LOSS = {
    "0 1 2 3": 0.10, "0 1 2": 0.40, "0 1 3": 0.30, "0 2 3": 0.20, "1 2 3": 0.50,
    "0 1": 0.35, "0 2": 0.60, "0 3": 0.55, "1 2": 0.70, "1 3": 0.30, "2 3": 0.65,
    "0": 0.80, "1": 0.80, "2": 0.90, "3": 0.95,
}  # fmt: skip
SCORE = {
    "0 1 2 3": 0.90, "0 1 2": 0.70, "0 1 3": 0.80, "0 2 3": 0.80, "1 2 3": 0.60,
    "0 1": 0.65, "0 2": 0.50, "0 3": 0.50, "1 2": 0.40, "1 3": 0.75, "2 3": 0.40,
    "0": 0.50, "1": 0.40, "2": 0.45, "3": 0.55,
}  # fmt: skip


def scores(is_complete=True, **measures):
    """The content of a scores file of these measures, one of which must be of all its subsets."""
    (labels, *_) = [list(values) for values in measures.values()]
    columns = {name: [values[label] for label in labels] for name, values in measures.items()}
    return {"method": "subsets", "num_layers": 4, "is_complete": is_complete, "kept_layers": labels, **columns}


@pytest.mark.parametrize(("amount", "dropped"), [(1, [1]), (2, [2, 0]), (3, [3, 2, 1])])
def test_the_best_subset_of_each_size_is_kept_and_of_equals_that_with_the_lower_layers(amount, dropped):
    # 0 2 3; 1 3, which is no part of 0 2 3; of layers 0 and 1 the lower.
    assert drop_order("subset-readout", Stack(4), amount, scores(readout_loss=LOSS)) == dropped
    assert (
        drop_order("subset-loss", Stack(4), amount, scores(readout_loss=dict.fromkeys(LOSS, 1.0), loss=LOSS)) == dropped
    )


@pytest.mark.parametrize(("amount", "order"), [(1, [2]), (2, [2, 0]), (3, [2, 0, 1])])
def test_greedy_drops_the_layer_without_which_the_score_is_best_and_of_equals_the_upper(amount, order):
    # Without 2 and without 1 it is .80 both: the upper goes. Of 0 1 3: 1 3 with .75. Of 1 3: 3 with .55.
    assert drop_order("greedy-score", Stack(4), amount, scores(readout_loss=LOSS, score=SCORE)) == order


@pytest.mark.parametrize(("amount", "order"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3])])
def test_ablation_goes_by_each_layer_alone(amount, order):
    # LOSS without 1 is lowest; then others by their own rows, whatever is gone already.
    assert drop_order("ablation", Stack(4), amount, scores(readout_loss=LOSS, loss=LOSS)) == order


def test_protected_layers_stay():
    table = scores(readout_loss=LOSS, score=SCORE)
    assert drop_order("subset-readout", Stack(4).protecting([0]), 2, table) == [3, 2]
    assert drop_order("subset-readout", Stack(4).protecting([3]), 3, table) == [2, 1, 0]
    # .80 without 1; of 0 2 3 the rests 0 2 and 0 3 score the same, but 2 stays.
    assert drop_order("greedy-score", Stack(4).protecting([2]), 2, table) == [1, 3]
    assert drop_order("ablation", Stack(4).protecting([1]), 2, scores(readout_loss=LOSS, loss=LOSS)) == [2, 3]


def test_what_cannot_be_protected_is_refused():
    table = scores(readout_loss=LOSS, score=SCORE)
    for protected, amount, words in (([0, 1], 3, "drop at most 2"), ([4], 1, "there is no layer 4 to protect")):
        with pytest.raises(UserError, match=words):
            drop_order("subset-readout", Stack(4).protecting(protected), amount, table)
    parsed = SubsetTable.parse(table, Stack(4).protecting([0, 1]))
    with pytest.raises(UserError, match=r"no subset of 1 layers with layers \[0, 1\] was scored"):
        best_of_size(parsed, "readout_loss", 1)
    with pytest.raises(UserError, match="protect fewer layers"):
        greedy_order(parsed, "score", 3)


def test_shared_layers_have_depths_only_and_lose_the_upper_ones():
    depths = {"0": 0.4, "0 1": 0.3, "0 1 2": 0.2, "0 1 2 3": 0.1}
    assert drop_order("subset-readout", Stack(4), 2, scores(readout_loss=depths)) == [3, 2]
    assert drop_order("greedy-score", Stack(4), 2, scores(readout_loss=depths, score=depths)) == [3, 2]
    assert drop_order("ablation", Stack(4), 2, scores(readout_loss=depths, loss=depths)) == [3, 2]


def test_greedy_needs_all_subsets():
    table = scores(is_complete=False, readout_loss=LOSS, score=SCORE)
    with pytest.raises(UserError, match=r"not all subsets .* to 15$"):
        drop_order("greedy-score", Stack(4), 1, table)
    with pytest.raises(UserError, match="not all subsets"):
        drop_order("ablation", Stack(4), 1, table)
    assert drop_order("subset-readout", Stack(4), 1, table) == [1]


def test_a_model_without_a_head_has_no_loss():
    with pytest.raises(UserError, match=r"no 'loss', .*origin finetuned"):
        drop_order("subset-loss", Stack(4), 1, scores(readout_loss=LOSS))


def test_scores_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="subsets of 4 layers are scored, the model has 6"):
        drop_order("subset-readout", Stack(6), 1, scores(readout_loss=LOSS))
    with pytest.raises(UserError, match="these are 'contribution' scores"):
        drop_order("subset-readout", Stack(4), 1, {"method": "contribution", "scores": [1, 2, 3, 4]})
    with pytest.raises(UserError, match="needs the layers' scores"):
        drop_order("subset-readout", Stack(4), 1)


def test_what_is_not_kept_goes_from_the_top_down():
    assert from_the_top(6, (0, 3, 4)) == [5, 2, 1]

"""The rule that recommends a model within a budget, on cases worked out by hand."""

import math

import pytest

from shallower.reporting.recommend import Candidate, excess, missed_limits, recommend


def candidate(name, layers, score, kept=None, low=None, megabytes=None, latency_ms=None):
    """A model whose score is that of 0.8 for the full one; 7 MB and 1 ms a layer, unless it says otherwise."""
    origin, strategy = ("baseline", "none") if name == "full" else ("finetuned", name)
    kept = 125 * score if kept is None else kept
    return Candidate(
        origin,
        strategy,
        "0" if name == "full" else str(6 - layers),
        layers,
        score,
        kept,
        kept if low is None else low,
        kept,
        7.0 * layers if megabytes is None else megabytes,
        1.0 * layers if latency_ms is None else latency_ms,
    )


FULL = candidate("full", 6, 0.8)
TOP_1 = candidate("top", 5, 0.796, low=98.6)
TOP_2 = candidate("top", 4, 0.79, low=97.9)
PICKED_2 = candidate("subset-readout", 4, 0.788, low=98.0)
TOP_3 = candidate("top", 3, 0.78, low=95.0)
ALL = [FULL, TOP_1, TOP_2, PICKED_2, TOP_3]


@pytest.mark.parametrize(
    ("budget", "chosen", "within_budget"),
    [
        # 98.0 holds, 97.9 does not, though its mean, 98.75, is higher than the other's, 98.5.
        ({"score_kept": 98}, PICKED_2, 3),
        ({"score_kept": 98.01}, TOP_1, 2),
        # Equally deep: the one with the higher score, though its interval begins lower.
        ({"score_kept": 97}, TOP_2, 4),
        ({"score_kept": 95}, TOP_3, 5),
        ({"score_kept": 100}, FULL, 1),
        # Limits of size alone: the highest score within them, not the fewest layers.
        ({"layers": 4}, TOP_2, 3),
        ({"layers": 6}, FULL, 5),
        ({"megabytes": 28}, TOP_2, 3),
        ({"megabytes": 27.99}, TOP_3, 1),
        ({"latency_ms": 5.5, "batch_size": 1}, TOP_1, 4),
        # Several limits: each must hold.
        ({"score_kept": 98, "layers": 4}, PICKED_2, 1),
        ({"score_kept": 97, "megabytes": 40, "latency_ms": 5}, TOP_2, 3),
    ],
)
def test_which_model_is_recommended(budget, chosen, within_budget):
    found = recommend(ALL, budget)
    assert found.chosen == chosen
    assert (found.num_within, found.num_candidates) == (within_budget, 5)


def test_the_first_of_equal_models_is_recommended():
    one, other = candidate("top", 4, 0.79), candidate("bottom", 4, 0.79)
    for budget in ({"score_kept": 98}, {"layers": 4}):
        assert recommend([FULL, one, other], budget).chosen == one
        assert recommend([other, FULL, one], budget).chosen == other
    # Of equal scores the shallower one, also where the score has no limit.
    assert recommend([one, candidate("even", 3, 0.79)], {"megabytes": 50}).chosen.strategy == "even"


def test_what_comes_closest_where_none_holds():
    # Full: 6 layers of 4, 50 % over. top-1: 25 % over. top-2: 97.9 of 98.5. subset-readout: 98.0 of 98.5. top-3: 95.
    found = recommend(ALL, {"score_kept": 98.5, "layers": 4})
    assert (found.chosen, found.closest, found.num_within) == (None, PICKED_2, 0)
    assert missed_limits(PICKED_2, {"score_kept": 98.5, "layers": 4}) == ["score_kept"]
    assert missed_limits(FULL, {"score_kept": 98.5, "layers": 4}) == ["layers"]
    # By size alone all of the shallowest ones are as close; of these the best.
    worse = candidate("bottom", 3, 0.7)
    assert recommend([FULL, worse, TOP_3], {"megabytes": 5}).closest == TOP_3


def test_what_comes_closest_where_only_the_full_model_holds():
    found = recommend(ALL, {"score_kept": 99})
    assert (found.chosen, found.closest) == (FULL, TOP_1)
    assert recommend(ALL, {"score_kept": 98}).closest is None
    assert recommend([FULL], {"score_kept": 99}).closest is None


def test_a_share_of_the_score_that_does_not_exist_never_holds():
    unknown = [candidate(name, layers, 0.1, kept=math.nan) for name, layers in (("full", 6), ("top", 4))]
    found = recommend(unknown, {"score_kept": 1})
    assert (found.chosen, found.closest) == (None, None)
    assert recommend(unknown, {"layers": 4}).chosen == unknown[1]


def test_a_negative_score_keeps_nothing():
    negative = candidate("top", 2, -0.08, kept=-10.0, low=-30.0)
    assert recommend([FULL, negative], {"score_kept": 0.1}).chosen == FULL
    assert excess(negative, "score_kept", 50) == pytest.approx(1.6)  # 80 points of 50
    # Where only its size counts it is taken like any other.
    assert recommend([FULL, negative], {"layers": 2}).chosen == negative


def test_a_time_that_was_not_measured_holds_no_limit():
    untimed = candidate("top", 4, 0.79, latency_ms=math.nan)
    found = recommend([untimed], {"latency_ms": 1000})
    assert (found.chosen, found.closest) == (None, None)
    assert recommend([untimed], {"layers": 4}).chosen == untimed


def test_the_last_bit_of_a_float_does_not_decide():
    assert recommend([candidate("top", 4, 0.7, low=98 - 1e-13)], {"score_kept": 98}).chosen is not None
    assert recommend([candidate("top", 4, 0.7, low=98 - 1e-6)], {"score_kept": 98}).chosen is None


def test_an_unknown_limit_is_a_bug():
    with pytest.raises(ValueError, match="no limit 'heat'"):
        excess(FULL, "heat", 1.0)

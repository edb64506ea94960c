"""Which runs are tried in every form."""

from shallower.core.runs import Run
from shallower.delivery.candidates import Candidate, choose_candidates, read_candidates, write_candidates


def entry(arm, seed, kept, score, is_collapsed=False):
    return Candidate(Run("study", "bert", "sst2", *arm, seed), 4, tuple(kept), f"sha of {arm}"), score, is_collapsed


FULL = ("baseline", "none", "0")
TOP_1, TOP_2, BOTTOM_2 = (("finetuned", *name) for name in (("top", "1"), ("top", "2"), ("bottom", "2")))


def names(candidates):
    return [f"{candidate.run.arm} {candidate.run.seed}" for candidate in candidates]


def test_each_depth_has_its_best_arm_by_the_mean_over_seeds():
    scored = [
        entry(TOP_2, 1, (0, 1), 0.9),
        entry(TOP_2, 2, (0, 1), 0.5),
        entry(BOTTOM_2, 1, (2, 3), 0.8),
        entry(BOTTOM_2, 2, (2, 3), 0.8),
        entry(TOP_1, 1, (0, 1, 2), 0.4),
        entry(FULL, 1, range(4), 0.3),
        entry(FULL, 2, range(4), 0.2),
    ]
    assert names(choose_candidates(scored)) == [
        *("baseline 1", "baseline 2"),
        "finetuned/top-1 1",
        *("finetuned/bottom-2 1", "finetuned/bottom-2 2"),
    ]


def test_an_arm_with_a_collapsed_run_is_left_out_whatever_its_score():
    scored = [entry(FULL, 1, range(4), 0.5, is_collapsed=True), entry(TOP_2, 1, (0, 1), 0.9, is_collapsed=True)]
    scored += [entry(BOTTOM_2, 1, (2, 3), 0.1)]
    assert names(choose_candidates(scored)) == ["baseline 1", "finetuned/bottom-2 1"]


def test_an_arm_is_as_deep_as_its_deepest_seed():
    threshold = ("finetuned", "contribution", "0.1")
    scored = [entry(threshold, 1, (0,), 0.9), entry(threshold, 2, (0, 1, 2), 0.9), entry(TOP_1, 1, (0, 1, 2), 0.8)]
    assert names(choose_candidates(scored)) == [f"finetuned/contribution-0.1 {seed}" for seed in (1, 2)]


def test_candidates_are_read_as_they_were_written(tmp_path):
    runs = choose_candidates([entry(FULL, 1, range(4), 0.5), entry(TOP_1, 3, (0, 1, 3), 0.5)])
    write_candidates(tmp_path / "candidates.json", runs)
    assert read_candidates(tmp_path / "candidates.json") == runs

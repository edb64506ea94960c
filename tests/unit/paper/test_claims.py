"""The paper's claims, each with inputs for every verdict that it can get, worked out by hand.

Scores are of metrics without predictions, so that all tests are bootstraps: an arm whose resamples spread by s points,
against one that does not vary, is a difference with the standard error s.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from shallower.evaluation.estimates import Scores
from shallower.paper.claims import MARGIN
from shallower.paper.evidence import Evidence, Records, baseline, pruned
from shallower.paper.hypotheses import HYPOTHESES
from shallower.paper.observations_page import observations_page
from shallower.paper.verdicts import judge

PAPERS = {"sst2": "SST-2", "mnli": "MNLI", "qnli": "QNLI", "qqp": "QQP", "stsb": "STS-B", "rte": "RTE", "mrpc": "MRPC"}
STATES = pd.DataFrame(columns=["study", "model", "task", "seed", "quantity", "depth", "metric", "value", "chance"])
# 400 standard normal values, the same for all arms.
NOISE = norm.ppf((np.arange(400) + 0.5) / 400)
FULL = ("baseline", "none", 0)


class Arm(NamedTuple):
    """An arm and its score in points; `spread` is the standard error. Layers are kept as strategies by position do."""

    model: str
    task: str
    what: tuple[str, str, int]
    score: float
    spread: float = 0.0
    kept: str = ""
    num_layers: int = 12
    parameters: float | None = None
    collapsed: bool = False


def top(num_dropped: int, origin: str = "pretrained") -> tuple[str, str, int]:
    return origin, "top", num_dropped


def scores_of(arms: list[Arm]) -> Scores:
    rows, resamples = [], {}
    for model, task, (origin, strategy, num_dropped), score, spread, kept, num_layers, parameters, collapsed in arms:
        directory = f"{model}/{task}/{origin}/{strategy}-{num_dropped}"
        rows.append(
            {
                "study": "made",
                "model": model,
                "task": task,
                "origin": origin,
                "strategy": strategy,
                "amount": str(num_dropped),
                "num_layers": num_layers,
                "num_dropped": num_dropped,
                "kept_layers": kept or f"{strategy} {num_dropped}",
                "seed": 1,
                "metric": "pearson",
                "primary": True,
                "value": score / 100,
                "chance": 0.5,
                "collapsed": collapsed,
                "parameters": parameters or 40 + 5 * (num_layers - num_dropped),
                "directory": directory,
            }
        )
        resamples[directory] = (score + spread * NOISE) / 100
    return Scores(pd.DataFrame(rows), resamples)


def judged(
    arms: list[Arm],
    models: Mapping[str, str | None],
    protected: Sequence[Sequence[str]] = (),
    scored_elsewhere: Sequence[Sequence[str]] = (),
    **records: Any,
) -> pd.DataFrame:
    settings: dict[str, Any] = {"confidence": 0.95, "models": models, "tasks": PAPERS}
    settings |= {"protected_arms": protected, "scored_elsewhere": scored_elsewhere}
    return judge(Evidence(scores_of(arms), STATES, settings, Records(**records)))


def of(frame: pd.DataFrame, hypothesis: str, role: str | None = None) -> pd.DataFrame:
    return frame[(frame["hypothesis"] == hypothesis) & ((frame["role"] == role) | (role is None))]


def verdict(frame: pd.DataFrame, hypothesis: str) -> tuple[str, str]:
    """Verdict and reason of a hypothesis that has one."""
    (found,) = of(frame, hypothesis)[["verdict", "reason"]].drop_duplicates().itertuples(index=False, name=None)
    return found


def test_every_hypothesis_has_a_name_of_its_own_and_says_what_it_needs():
    names = [hypothesis.name for hypothesis in HYPOTHESES]
    assert len(set(names)) == len(names)
    # A study with a full model and nothing else can test nothing, and says why.
    frame = judged([Arm("mini", "sst2", FULL, 90)], {"mini": None})
    assert set(frame["verdict"]) == {"not tested"}
    assert set(frame["hypothesis"]) == set(names)
    assert not frame["reason"].isin(["", "nothing to compare"]).any()


# --- half of the layers can go ---


@pytest.mark.parametrize(
    ("score", "effect", "expected"),
    # 98.2 % of 80 is 78.56; less the margin 77.56.
    [(79.0, 1.44, "supported"), (77.6, 0.04, "undecided"), (76.0, -1.56, "not supported")],
)
def test_score_kept(score, effect, expected):
    frame = judged([Arm("mini", "qnli", FULL, 80), Arm("mini", "qnli", top(6), score, 0.3)], {"mini": None})
    found, reason = verdict(frame, "score-kept")
    assert found == expected
    decisive = of(frame, "score-kept", "decides")
    assert decisive["effect"].tolist() == pytest.approx([effect])
    # 40 + 5 * 6 of 40 + 5 * 12 parameters.
    assert f"keeps {score / 0.8:.1f} % of the score (mean of 1) with 70 % of the parameters" in reason
    # 1.96 + 0.84 standard errors of 0.3.
    assert ("would find an effect of 0.8 points in 80 % of studies" in reason) == (expected == "undecided")


def test_a_task_that_the_full_model_has_not_learned_shows_no_small_loss():
    arms = [
        *(Arm("mini", "rte", FULL, 50.4, 0.3), Arm("mini", "rte", top(6), 50.4)),
        *(Arm("mini", "qnli", FULL, 80, 0.3), Arm("mini", "qnli", top(6), 60)),
    ]
    frame = judged(arms, {"mini": None})
    found, reason = verdict(frame, "score-kept")
    assert found == "not supported"
    assert set(of(frame, "score-kept")["task"]) == {"qnli"}
    assert "not clearly better than a constant answer: RTE" in reason
    alone = judged(arms[:2], {"mini": None})
    assert verdict(alone, "score-kept")[0] == "not tested"


@pytest.mark.parametrize(
    ("score", "expected"), [(84.5, "supported"), (84.0, "undecided"), (83.0, "not supported"), (88.0, "supported")]
)
def test_distilled_models_are_met_to_within_the_margin(score, expected):
    arms = [
        *(Arm("bert", "mnli", FULL, 88), Arm("bert", "mnli", top(6), score, 0.1)),
        Arm("distilled", "mnli", FULL, 85, num_layers=6),
    ]
    frame = judged(arms, {"bert": "BERT", "distilled": "DistilBERT"})
    rows = of(frame, "distilled")
    by_model = rows.drop_duplicates("model").set_index("model")
    assert by_model.loc["bert and distilled", "verdict"] == expected
    decisive = of(frame, "distilled", "decides")
    assert decisive["effect"].tolist() == pytest.approx([score - 85 + MARGIN])
    assert by_model.loc["RoBERTa and DistilRoBERTa", "verdict"] == "not tested"
    assert "stands for RoBERTa and DistilRoBERTa" in by_model.loc["RoBERTa and DistilRoBERTa", "reason"]


def test_distilled_models_of_another_depth_are_not_compared():
    arms = [Arm("bert", "mnli", FULL, 88), Arm("bert", "mnli", top(6), 84), Arm("d", "mnli", FULL, 85, num_layers=4)]
    row = of(judged(arms, {"bert": "BERT", "d": "DistilBERT"}), "distilled").iloc[0]
    assert (row["verdict"], row["reason"]) == ("not tested", "d has 4 layers, not half those of bert")


# --- strategies differ ---


@pytest.mark.parametrize(("score", "expected"), [(81.0, "supported"), (80.1, "undecided"), (79.0, "not supported")])
def test_odd_alternate_is_compared_with_top_at_the_smallest_cut(score, expected):
    arms = [
        Arm("mini", "sst2", FULL, 90),
        Arm("mini", "sst2", top(2), 80),
        Arm("mini", "sst2", ("pretrained", "odd-alternate", 2), score, 0.2),
        # Deeper cuts and other strategies do not decide.
        Arm("mini", "sst2", ("pretrained", "bottom", 2), 89),
        Arm("mini", "sst2", top(4), 60),
        Arm("mini", "sst2", ("pretrained", "odd-alternate", 4), 70),
    ]
    frame = judged(arms, {"mini": None})
    assert verdict(frame, "odd-alternate")[0] == expected
    assert of(frame, "odd-alternate", "decides")["comparison"].tolist() == ["odd-alternate minus top"]
    assert set(of(frame, "odd-alternate")["num_dropped"]) == {2}


@pytest.mark.parametrize(("bottom", "expected"), [(70.0, "undecided"), (80.1, "undecided"), (82.0, "not supported")])
def test_rivals_that_were_not_run_can_not_be_beaten(bottom, expected):
    arms = [
        Arm("mini", "sst2", FULL, 90),
        Arm("mini", "sst2", top(6), 85),
        Arm("mini", "sst2", ("pretrained", "parameter-variance", 6), 80, 0.2),
        Arm("mini", "sst2", ("pretrained", "symmetric", 6), 75),
        Arm("mini", "sst2", ("pretrained", "bottom", 6), bottom),
    ]
    frame = judged(arms, {"mini": None})
    found, reason = verdict(frame, "variance-second")
    assert found == expected
    assert "not run with 6 layers dropped: even-alternate, odd-alternate and parameter-aggregation" in reason
    assert len(of(frame, "variance-second", "decides")) == 2
    rest = ("even-alternate", "odd-alternate", "parameter-aggregation")
    frame = judged([*arms, *(Arm("mini", "sst2", ("pretrained", name, 6), 70) for name in rest)], {"mini": None})
    assert verdict(frame, "variance-second")[0] == {70.0: "supported"}.get(bottom, expected)
    assert len(of(frame, "variance-second", "decides")) == 5


def test_variance_and_aggregation_that_drop_the_same_layers_say_nothing():
    def both(cut: int, variance: float, aggregation: float, kept: tuple[str, str]) -> list[Arm]:
        return [
            Arm("mini", "sst2", ("pretrained", "parameter-variance", cut), variance, 0.2, kept[0]),
            Arm("mini", "sst2", ("pretrained", "parameter-aggregation", cut), aggregation, 0.0, kept[1]),
        ]

    same, other = ("0 1", "0 1"), ("0 1", "0 2")
    full = Arm("mini", "sst2", FULL, 90)
    assert verdict(judged([full, *both(2, 85, 84, other)], {"mini": None}), "variance-aggregation")[0] == "undecided"
    arms = [full, *both(2, 85, 84, other), *both(4, 85, 84, other), *both(6, 80, 80, same)]
    frame = judged(arms, {"mini": None})
    found, reason = verdict(frame, "variance-aggregation")
    assert found == "supported"
    assert reason.endswith(
        "6 layers: dropping the same layers as parameter-variance, so left out: parameter-aggregation"
    )
    worse = judged([full, *both(2, 85, 84, other), *both(6, 80, 82, other)], {"mini": None})
    assert verdict(worse, "variance-aggregation")[0] == "not supported"
    close = judged([full, *both(2, 85, 84.9, other)], {"mini": None})
    assert verdict(close, "variance-aggregation")[0] == "undecided"
    alone = judged([full, *both(6, 80, 80, same)], {"mini": None})
    assert verdict(alone, "variance-aggregation")[0] == "not tested"


# --- some tasks are robust ---


@pytest.mark.parametrize(
    ("pruned", "spread", "expected"),
    # Within one point with its interval; found different; too uncertain for either.
    [(69.9, 0.3, "supported"), (65.0, 1.0, "not supported"), (75.0, 1.0, "not supported"), (68.0, 3.0, "undecided")],
)
def test_changes_on_small_tasks(pruned, spread, expected):
    arms = [
        *(Arm("mini", "rte", FULL, 70), Arm("mini", "rte", top(6), pruned, spread)),
        *(Arm("mini", "qnli", FULL, 90), Arm("mini", "qnli", top(6), 80, 1.0)),
    ]
    frame = judged(arms, {"mini": None})
    found, reason = verdict(frame, "small-tasks")
    assert found == {"supported": "undecided"}.get(expected, expected)  # since MRPC was not run
    assert "on other tasks, 1 of 1 significant" in reason
    assert "not learned, on MRPC" in reason
    power = re.findall(r"would find an effect of (\S+) points", reason)
    assert [float(points) for points in power] == ([pytest.approx(8.4, abs=0.1)] if expected == "undecided" else [])
    rte = of(frame, "small-tasks", "decides").squeeze()
    tested = of(frame, "small-tasks", "tested").squeeze()
    # The loss on QNLI decides nothing, but Holm's correction is for both.
    assert rte["p"] == pytest.approx(2 * norm.sf(abs(70 - pruned) / spread), rel=0.05)
    assert rte["p_holm"] == pytest.approx(rte["p"] * (2 if rte["p"] < tested["p"] else 1), rel=1e-6)
    assert tested["outcome"] == ""


def test_both_small_tasks_must_be_run():
    arms = [
        arm for task in ("rte", "mrpc") for arm in (Arm("mini", task, FULL, 70), Arm("mini", task, top(6), 69.9, 0.3))
    ]
    assert verdict(judged(arms, {"mini": None}), "small-tasks")[0] == "supported"
    assert verdict(judged(arms[:2], {"mini": None}), "small-tasks")[0] == "undecided"


# --- when to drop ---


@pytest.mark.parametrize(
    ("score", "expected"),
    [(80.2, "supported"), (80.9, "undecided"), (82.0, "not supported"), (78.0, "not supported")],
)
def test_dropping_after_finetuning_must_be_as_good_in_both_directions(score, expected):
    arms = [
        Arm("mini", "stsb", FULL, 90),
        Arm("mini", "stsb", top(6), 80),
        Arm("mini", "stsb", top(6, "finetuned"), score, 0.1),
        # Frozen ones are only shown; RTE is no task of Table 7.
        Arm("mini", "stsb", top(6, "finetuned-frozen"), 60),
        *(Arm("mini", "rte", what, value) for what, value in ((FULL, 90), (top(6), 80), (top(6, "finetuned"), 60))),
    ]
    frame = judged(arms, {"mini": None})
    assert verdict(frame, "after-finetuning")[0] == expected
    effects = of(frame, "after-finetuning", "decides")["effect"].tolist()
    assert effects == pytest.approx([score - 80 + MARGIN, 80 - score + MARGIN])
    assert set(of(frame, "after-finetuning")["task"]) == {"stsb"}


@pytest.mark.parametrize(
    ("score", "expected"),
    [(80.0, "supported"), (70.0, "supported"), (81.0, "undecided"), (83.0, "not supported")],
)
def test_gradual_dropping_must_gain_less_than_the_margin(score, expected):
    arms = [
        Arm("mini", "sst2", FULL, 90),
        Arm("mini", "sst2", top(3), 80),
        Arm("mini", "sst2", top(3, "gradual"), score, 0.2),
        Arm("mini", "sst2", top(4, "gradual"), 99),  # at once it was not run
    ]
    frame = judged(arms, {"mini": None})
    assert verdict(frame, "gradual")[0] == expected
    assert of(frame, "gradual", "decides")["comparison"].tolist() == ["top 3 at once minus gradually, plus 1 point"]


@pytest.mark.parametrize(
    ("score", "expected"),
    [(80.0, "supported"), (70.0, "supported"), (81.0, "undecided"), (83.0, "not supported")],
)
def test_more_epochs_must_gain_less_than_the_margin(score, expected):
    arms = [
        Arm("mini", "sst2", FULL, 90),
        Arm("mini", "sst2", top(3), 80),
        Arm("mini", "sst2", top(3, "pretrained-longer"), score, 0.2),
        Arm("mini", "sst2", top(4, "pretrained-longer"), 99),  # for the study's epochs it was not run
    ]
    frame = judged(arms, {"mini": None})
    assert verdict(frame, "epochs")[0] == expected
    comparison = "top 3 after the study's epochs minus after twice as many, plus 1 point"
    assert of(frame, "epochs", "decides")["comparison"].tolist() == [comparison]


def test_verdicts_name_collapsed_runs_among_those_compared():
    arms = [
        Arm("mini", "sst2", FULL, 90),
        Arm("mini", "sst2", top(3), 80),
        Arm("mini", "sst2", top(3, "gradual"), 50, 0.2, collapsed=True),
        Arm("mini", "sst2", ("pretrained", "bottom", 3), 50, 0.2, collapsed=True),
    ]
    frame = judged(arms, {"mini": None})
    assert "collapsed runs are among those compared: gradual top-3 on sst2;" in verdict(frame, "gradual")[1]
    assert "compared: pretrained bottom-3 on sst2;" in verdict(frame, "bottom-worst")[1]
    assert "collapsed" not in verdict(judged(arms[:3], {"mini": None}), "score-kept")[1]


# --- numbers ---


@pytest.mark.parametrize(
    ("score", "spread", "expected"),
    # The paper's loss is 0.97, so that 79.03 is met, 77.7 is 1.33 off and 75 more than the margin off.
    [(79.0, 0.2, "supported"), (78.2, 0.2, "undecided"), (75.0, 0.2, "not supported"), (79.0, 1.0, "undecided")],
)
def test_loss_without_middle_layers(score, spread, expected):
    symmetric = ("pretrained", "symmetric", 2)
    arms = [
        arm for task in PAPERS for arm in (Arm("bert", task, FULL, 80), Arm("bert", task, symmetric, score, spread))
    ]
    frame = judged(arms, {"bert": "BERT"})
    assert verdict(frame, "symmetric-loss")[0] == expected
    effects = of(frame, "symmetric-loss", "decides")["effect"].tolist()
    assert effects == pytest.approx([80 - score - 0.97 + 1, 0.97 - 80 + score + 1])
    incomplete = judged(arms[:-1], {"bert": "BERT"})
    found, reason = verdict(incomplete, "symmetric-loss")
    assert found == "not tested"
    assert "symmetric 2 was not run on MRPC" in reason


def cost(model: str, full: float, cut: float) -> dict[str, Any]:
    """Times of batches of 32 at twelve and three layers, with quartiles 1 % around; batches of 1 must not count."""

    def depth(layers: int, time: float) -> dict[str, Any]:
        sizes = ((32, time), (1, 1.0))
        latency = [
            {"batch_size": size, "median_ms": one, "low_ms": 0.99 * one, "high_ms": 1.01 * one} for size, one in sizes
        ]
        return {"depth": layers, "latency": latency}

    return {model: {"depths": [depth(3, cut), depth(12, full)]}}


@pytest.mark.parametrize(
    ("cut_time", "score", "expected"),
    # 20 % of the time is -80 %: met. 22.5 % is -77.5 %, give or take 0.5: across the limit. 26 % is -74 %: not met.
    [
        (20.0, 90.0, "supported"),
        (22.5, 90.0, "undecided"),
        (26.0, 90.0, "not supported"),
        (20.0, 85.0, "not supported"),
    ],
)
def test_xlnet_without_nine_layers(cut_time, score, expected):
    def frame(parameters: float) -> pd.DataFrame:
        full = Arm("xlnet", "qqp", FULL, 90, parameters=100)
        return judged(
            [full, Arm("xlnet", "qqp", top(9), score, 0.1, parameters=parameters)],
            {"xlnet": "XLNet"},
            costs=cost("xlnet", 100.0, cut_time),
        )

    light = frame(41)
    assert verdict(light, "nine-layers")[0] == expected
    parameters = of(light, "nine-layers").query("unit == '%'").iloc[0]
    assert (parameters["effect"], parameters["outcome"]) == (pytest.approx(1.0), "holds")
    assert verdict(frame(50), "nine-layers")[0] == "not supported"


def test_xlnet_without_nine_layers_says_what_is_missing():
    full = Arm("xlnet", "qqp", FULL, 90)
    assert "not dropped on QQP" in verdict(judged([full], {"xlnet": "XLNet"}), "nine-layers")[1]
    untimed = judged([full, Arm("xlnet", "qqp", top(9), 90)], {"xlnet": "XLNet"})
    assert "inference was not timed" in verdict(untimed, "nine-layers")[1]


def test_a_part_of_a_claim_does_not_support_the_whole():
    full = Arm("xlnet", "qqp", FULL, 90, parameters=100)
    cut = Arm("xlnet", "qqp", top(9), 90, 0.1, parameters=40)
    found, reason = verdict(judged([full, cut], {"xlnet": "XLNet"}), "nine-layers")
    assert found == "undecided" and "inference was not timed" in reason
    timed = judged([full, cut], {"xlnet": "XLNet"}, costs=cost("xlnet", 100.0, 20.0))
    assert verdict(timed, "nine-layers")[0] == "supported"


@pytest.mark.parametrize(("rival_cut", "expected"), [(6, "supported"), (4, "undecided")])
def test_bert_loses_more_than_both_others(rival_cut, expected):
    models = {"bert": "BERT", "roberta": "RoBERTa", "xlnet": "XLNet"}
    arms = [Arm(model, "sst2", FULL, 90) for model in models]
    arms += [Arm("bert", "sst2", top(6), 70, 0.1), Arm("roberta", "sst2", top(6), 85, 0.1)]
    arms.append(Arm("xlnet", "sst2", top(rival_cut), 85, 0.1))
    found, reason = verdict(judged(arms, models), "deep-cut")
    assert found == expected
    assert ("top with 6 layers dropped was not run for bert and xlnet" in reason) == (rival_cut != 6)


def test_models_are_compared_on_tasks_that_both_have_learned():
    """XLNet stays at chance on RTE, where BERT loses what it had learned."""
    models, cuts = {"bert": "BERT", "roberta": "RoBERTa", "xlnet": "XLNet"}, {"bert": 70, "roberta": 85, "xlnet": 70}
    arms = [Arm(model, "sst2", FULL, 90) for model in models]
    arms += [Arm(model, "sst2", top(6), score, 2.0) for model, score in cuts.items()]
    arms += [Arm("bert", "rte", FULL, 70), Arm("bert", "rte", top(6), 50, 0.1)]
    arms += [Arm("xlnet", "rte", FULL, 50, 0.3), Arm("xlnet", "rte", top(6), 50, 0.1)]
    frame = judged(arms, models)
    found, reason = verdict(frame, "deep-cut")
    # XLNet loses as much on SST-2, and RTE, which it never learned, does not count.
    assert found == "undecided"
    assert set(of(frame, "deep-cut", "decides")["task"]) == {"sst2"}
    assert "xlnet: left out, because the full model is not clearly better than a constant answer: RTE" in reason


def test_a_task_that_was_not_learned_is_not_robust():
    arms = [Arm("mini", "qqp", FULL, 50, 0.3), Arm("mini", "qqp", top(6), 50)]
    arms += [Arm("mini", name, FULL, 90) for name in ("mnli", "qnli", "stsb")]
    cuts = {"mnli": 80, "qnli": 80, "stsb": 75}
    arms += [Arm("mini", name, top(6), score, 0.1) for name, score in cuts.items()]
    frame = judged(arms, {"mini": None})
    found, reason = verdict(frame, "robust-tasks")
    assert found == "not supported"
    assert "constant answer: QQP" in reason and "not run on" not in reason
    assert not of(frame, "robust-tasks", "decides")["task"].str.contains("qqp").any()


def test_arms_that_had_to_keep_some_layers_are_not_the_papers():
    arms = [Arm("mini", "qnli", FULL, 80), Arm("mini", "qnli", top(6), 79.0, 0.3)]
    assert verdict(judged(arms, {"mini": None}), "score-kept")[0] == "supported"
    other = [["mini", "qnli", "finetuned", "top", "6"]]
    assert verdict(judged(arms, {"mini": None}, other), "score-kept")[0] == "supported"
    protected = [["mini", "qnli", "pretrained", "top", "6"]]
    assert verdict(judged(arms, {"mini": None}, protected), "score-kept")[0] == "not tested"


MRPC = [Arm("mini", "mrpc", FULL, 90), Arm("mini", "sst2", FULL, 90)]


@pytest.mark.parametrize(
    ("sizes", "slices", "expected", "said"),
    [
        ({"train": 3668, "validation": 408}, [], "supported", "of 2 comparisons, 2 as claimed"),
        ({"train": 3667, "validation": 408}, [], "not supported", "1 as claimed and 1 contrary"),
        ({"train": 1000, "validation": 408}, ["train"], "supported", "takes a part of it: mrpc, train"),
        ({"train": 9, "validation": 9}, ["train", "validation"], "not tested", "no split of one of the paper's tasks"),
    ],
)
def test_sizes_of_the_data(sizes, slices, expected, said):
    # Nothing is known of SST-2.
    frame = judged(MRPC, {"mini": None}, sizes={"mrpc": sizes}, slices={"mrpc": slices})
    found, reason = verdict(frame, "data-sizes")
    assert found == expected
    assert said in reason
    if expected == "not supported":
        train = of(frame, "data-sizes").iloc[0]
        assert (train["effect"], train["unit"]) == (-1, "examples")
        assert train["comparison"] == "train examples minus the paper's 3,668"


def test_the_page_shows_what_needs_no_test():
    frame = judged(MRPC, {"mini": None}, sizes={"mrpc": {"train": 3667, "validation": 408}})
    page = observations_page(frame, "made")
    assert "nan" not in page
    assert "\N{MINUS SIGN}1" in page
    assert "none: a count" in page


def evidence_of(arms: list[Arm], seeds: Mapping[str, int]) -> Evidence:
    """Evidence with a seed for each task."""
    scores = scores_of(arms)
    runs = scores.runs.assign(seed=scores.runs["task"].map(seeds))
    settings = {"confidence": 0.95, "models": {"bert": "BERT"}, "tasks": PAPERS}
    return Evidence(Scores(runs, scores._resamples), STATES, settings, Records())


def test_seeds_that_not_all_tasks_have_do_not_count():
    arms = [Arm("bert", task, what, score) for task in ("sst2", "rte") for what, score in ((FULL, 90), (top(6), 80))]
    terms = {
        name: {baseline("bert", task): 1.0, pruned("bert", task, "top", 6): -1.0}
        for name, task in (("SST-2", "sst2"), ("RTE", "rte"))
    }
    for seeds, agreeing in (({"sst2": 1, "rte": 1}, 1), ({"sst2": 1, "rte": 11}, None)):
        mean_contrast, *_ = evidence_of(arms, seeds).compare_over_tasks("loss", 6, terms)
        assert (mean_contrast.effect, mean_contrast.seeds_agreeing) == (pytest.approx(10), agreeing)
    index = pd.MultiIndex.from_tuples(
        [("sst2", 1), ("sst2", 2), ("rte", 1), ("rte", 2), ("rte", 3)], names=("task", "seed")
    )
    values = pd.Series([1.0, 1.0, 1.0, -3.0, 1.0], index)
    (contrast,) = evidence_of(arms, {"sst2": 1, "rte": 1}).compare_states("gain", values, "points")
    assert (contrast.seeds, contrast.seeds_agreeing) == (2, 1)

"""Verdicts on the paper's observations: with effects planted, absent and the other way round."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from markupsafe import escape
from pyarrow import parquet
from scipy.stats import binomtest, norm

from shallower.core.errors import UserError
from shallower.core.tables import read_table, write_table
from shallower.evaluation.bootstrap import score_bootstrap
from shallower.evaluation.estimates import Scores
from shallower.evaluation.metrics import metric_for
from shallower.evaluation.resamples import collect_resamples, read_collected, write_resamples
from shallower.paper.evidence import Evidence, loss
from shallower.paper.observations_page import observations_page
from shallower.paper.verdicts import COLUMNS, judge
from synthetic_runs import dropped_layers

TASKS = {"sst2": "SST-2", "mnli": "MNLI", "qnli": "QNLI", "qqp": "QQP", "stsb": "STS-B"}
TRIO = {"bert": "BERT", "roberta": "RoBERTa", "xlnet": "XLNet"}
N = 600
STATES = pd.DataFrame(columns=["study", "model", "task", "seed", "quantity", "depth", "metric", "value", "chance"])
Skill = Callable[[str, str, str, int], float]


def write_run(root: Path, run: dict, skill: float) -> dict:
    """Predictions and resamples of a run of that skill; its row of results.csv. Hard examples are hard for all."""
    run_random = np.random.default_rng(_seed_of(run))
    task_random = np.random.default_rng(len(run["task"]))
    ids = np.arange(N) * 2
    if run["task"] == "stsb":
        labels = np.round(task_random.uniform(0, 5, N), 1)
        noise = 0.9 * task_random.normal(size=N) + np.sqrt(1 - 0.9**2) * run_random.normal(size=N)
        predictions = skill * (labels - 2.5) / 1.45 + np.sqrt(1 - skill**2) * noise
        metric, logits = metric_for("pearson", "regression"), predictions[:, None]
    else:
        labels = (task_random.random(N) < 0.5) * 1
        hardness = 0.9 * task_random.normal(size=N) + np.sqrt(1 - 0.9**2) * run_random.normal(size=N)
        predictions = np.where(hardness < norm.ppf(skill), labels, 1 - labels)
        metric, logits = metric_for("accuracy", "classification"), np.eye(2)[predictions]
    directory = (
        root / run["model"] / run["task"] / run["origin"] / f"{run['strategy']}-{run['amount']}" / f"seed{run['seed']}"
    )
    directory.mkdir(parents=True)
    order = run_random.permutation(N)  # runs need not agree in the order of their rows
    columns = {
        "id": ids[order],
        "label": labels[order],
        "logits": pa.array(list(logits[order].astype(np.float32)), pa.list_(pa.float32())),
    }
    parquet.write_table(pa.table(columns), directory / "predictions.parquet")
    bootstrap = score_bootstrap(metric, labels, predictions, 0.95, 200)
    write_resamples(directory / "resamples.npy", bootstrap.resamples)
    value = (
        float((predictions == labels).mean()) if metric.name == "accuracy" else np.corrcoef(labels, predictions)[0, 1]
    )
    return {**run, "metric": metric.name, "primary": True, "value": value, "directory": str(directory)} | {
        "chance": 0.0 if run["task"] == "stsb" else 0.5,
        "collapsed": False,
        "parameters": 1000 + 100 * (run["num_layers"] - run["num_dropped"]),
    }


def _seed_of(run: dict) -> int:
    return sum(ord(letter) * 7**place for place, letter in enumerate("/".join(map(str, run.values())))) % 2**32


def make(
    root: Path,
    skill: Skill,
    models: dict[str, int],
    arms: dict[str, tuple[int, ...]],
    tasks: tuple[str, ...] = tuple(TASKS),
    seeds: tuple[int, ...] = (1, 2, 3),
) -> Scores:
    """A study in files: `skill` of (model, task, strategy, layers dropped), `arms` the cuts of each strategy."""
    rows = []
    for model, num_layers in models.items():
        for task in tasks:
            for strategy, num_dropped in [("none", 0), *((name, cut) for name, cuts in arms.items() for cut in cuts)]:
                dropped = dropped_layers(strategy, num_layers, num_dropped) if num_dropped else []
                kept = " ".join(str(layer) for layer in range(num_layers) if layer not in dropped)
                for seed in seeds:
                    run = {
                        "study": "made",
                        "model": model,
                        "task": task,
                        "origin": "pretrained" if num_dropped else "baseline",
                        "strategy": strategy,
                        "amount": str(num_dropped),
                        "num_layers": num_layers,
                        "num_dropped": num_dropped,
                        "kept_layers": kept,
                        "seed": seed,
                    }
                    rows.append(write_run(root, run, skill(model, task, strategy, num_dropped)))
    results = pd.DataFrame(rows)
    write_table(root / "results.csv", results)
    collect_resamples(results["directory"].tolist(), root / "resamples.parquet")
    return Scores.read(root / "results.csv", root / "resamples.parquet")


def judged(scores: Scores, models: dict[str, str | None], states: pd.DataFrame = STATES) -> pd.DataFrame:
    return judge(Evidence(scores, states, {"confidence": 0.95, "models": models, "tasks": TASKS}))


def verdicts(frame: pd.DataFrame) -> dict[str, str]:
    return frame.groupby("hypothesis")["verdict"].first().to_dict()


def test_a_seed_that_failed_in_one_arm_counts_in_none(tmp_path):
    """The full model fails to learn with seed 3, with which the arm was not run: nothing is lost with the others."""
    scores = make(tmp_path, lambda *_: 0.8, {"mini": 6}, {"top": (3,)}, tasks=("sst2",))
    runs = scores.runs
    is_full, is_third = runs["origin"] == "baseline", runs["seed"] == 3
    runs.loc[is_full & is_third, "value"] = 0.5
    resamples = {name: scores.resamples(name) for name in runs["directory"]}
    evidence = Evidence(
        Scores(runs[is_full | ~is_third], resamples), STATES, {"confidence": 0.95, "models": {}, "tasks": TASKS}
    )
    terms = loss("mini", "sst2", "top", 3)
    values = runs[~is_third].groupby("origin")["value"].mean()
    found = evidence.compare("loss", "sst2", 3, terms, "decides")
    assert found.effect == pytest.approx(100 * (values["baseline"] - values["pretrained"]))
    assert found.seeds == 2
    # Without a seed in common nothing can be compared.
    apart = Scores(runs[is_full == is_third], resamples)
    assert not Evidence(apart, STATES, {"confidence": 0.95, "models": {}, "tasks": TASKS}).ran(terms)


def of(frame: pd.DataFrame, hypothesis: str, role: str | None = None) -> pd.DataFrame:
    return frame[(frame["hypothesis"] == hypothesis) & ((frame["role"] == role) | (role is None))]


# --- lower layers matter most, and robust tasks ---

ALTERNATE, LIKE_TOP = ("even-alternate", "odd-alternate"), ("parameter-aggregation", "parameter-variance")
SIX = dict.fromkeys(("top", *ALTERNATE, *LIKE_TOP, "bottom"), (3,))
ORDER = {"none": 0.0, **dict.fromkeys(("top", *LIKE_TOP), 0.02), **dict.fromkeys(ALTERNATE, 0.09), "bottom": 0.2}
TASK_LOSS = {"mnli": 0.12, "qnli": 0.12, "sst2": 0.05, "qqp": 0.0, "stsb": 0.0}


@pytest.fixture(scope="module")
def as_claimed(tmp_path_factory):
    scores = make(
        tmp_path_factory.mktemp("claimed"), lambda model, task, strategy, cut: 0.9 - ORDER[strategy], {"mini": 6}, SIX
    )
    return judged(scores, {"mini": None})


def test_planted_orderings_are_supported(as_claimed):
    found = verdicts(as_claimed)
    assert found["bottom-worst"] == found["top-best"] == "supported"
    assert list(as_claimed.columns) == COLUMNS
    decisive = of(as_claimed, "bottom-worst", "decides")
    assert decisive["comparison"].tolist() == [f"{name} minus bottom" for name in ("top", *ALTERNATE, *LIKE_TOP)]
    assert decisive["task"].unique().tolist() == ["mean5"]
    assert decisive["effect"].tolist() == pytest.approx([18, 11, 11, 18, 18], abs=2)
    assert (decisive["low"] < decisive["effect"]).all()
    assert (decisive["high"] > decisive["effect"]).all()
    assert (decisive["seeds_agreeing"] == 3).all()
    assert (decisive["num_dropped"] == 3).all()


def test_each_task_has_the_test_that_suits_its_metric(as_claimed):
    checks = of(as_claimed, "top-best", "checks")
    tests = checks.set_index("task")["test"].groupby(level=0).unique().map(list).to_dict()
    assert tests.pop("stsb") == ["paired bootstrap"]
    assert set(map(tuple, tests.values())) == {("McNemar",)}
    assert len(checks) == 3 * len(TASKS)


def test_holm_is_over_what_decides_and_checks(as_claimed):
    rows = of(as_claimed, "top-best")
    family = rows[rows["role"] != "shown"]
    assert len(family) == 18
    smallest = family["p"].min()
    assert family["p_holm"].min() == pytest.approx(min(1, 18 * smallest))
    assert (family["p_holm"] >= family["p"]).all()


def test_reversed_orderings_are_not_supported(tmp_path):
    upside_down = ORDER | dict.fromkeys(("top", *LIKE_TOP), 0.2) | {"bottom": 0.02}
    scores = make(tmp_path, lambda model, task, strategy, cut: 0.9 - upside_down[strategy], {"mini": 6}, SIX)
    found = verdicts(judged(scores, {"mini": "DistilBERT"}))
    assert found["bottom-worst"] == found["top-best"] == "not supported"


def test_absent_effects_are_undecided(tmp_path):
    scores = make(tmp_path, lambda model, task, strategy, cut: 0.85, {"mini": 6}, SIX)
    frame = judged(scores, {"mini": None})
    found = verdicts(frame)
    assert {found[name] for name in ("bottom-worst", "top-best", "robust-tasks")} == {"undecided"}
    assert "too close to tell" in of(frame, "top-best")["reason"].iloc[0]


def test_a_task_that_says_the_opposite_leaves_it_undecided(tmp_path):
    def skill(model, task, strategy, cut):
        return 0.9 - (ORDER[strategy] if task != "qqp" else {"top": 0.15}.get(strategy, 0.0))

    frame = judged(make(tmp_path, skill, {"mini": 6}, {"top": (3,), "bottom": (3,)}), {"mini": None})
    rows = of(frame, "bottom-worst")
    assert set(rows.loc[rows["role"] == "decides", "outcome"]) == {"holds"}
    assert rows.set_index(["role", "task"]).loc[("checks", "qqp"), "outcome"] == "opposite"
    assert verdicts(frame)["bottom-worst"] == "undecided"


def test_the_cut_is_the_deepest_that_a_third_strategy_shares(tmp_path):
    arms = {"top": (1, 2, 4), "bottom": (2, 4), "even-alternate": (1, 2)}
    scores = make(
        tmp_path, lambda model, task, strategy, cut: 0.8, {"mini": 6}, arms, tasks=("sst2", "rte"), seeds=(1,)
    )
    frame = judged(scores, {"mini": None})  # rte stands for no task of the paper in these settings
    rows = of(frame, "bottom-worst")
    assert set(rows["num_dropped"]) == {2}
    assert set(rows["task"]) == {"sst2"}
    assert set(rows["role"]) == {"decides"}
    reason = rows["reason"].iloc[0]
    assert "one seed" in reason
    assert "not run with 2 layers dropped: odd-alternate, symmetric" in reason


def test_a_rival_with_the_same_layers_is_left_out(tmp_path):
    # Of 6 layers all drop the last but two.
    arms = dict.fromkeys(("top", "even-alternate", "odd-alternate", *LIKE_TOP, "bottom"), (1,))
    skill = lambda model, task, strategy, cut: 0.9 - 0.2 * (strategy in ("odd-alternate", "bottom"))  # noqa: E731
    frame = judged(make(tmp_path, skill, {"mini": 6}, arms, tasks=("sst2", "qqp")), {"mini": None})
    rows = of(frame, "top-best")
    assert set(rows["comparison"]) == {"top minus odd-alternate", "top minus bottom"}
    assert (
        "the same layers as top, so left out: even-alternate, parameter-aggregation and parameter-variance"
        in rows["reason"].iloc[0]
    )
    assert verdicts(frame)["top-best"] == "supported"


def test_a_rival_on_other_tasks_does_not_drop_the_same_layers(tmp_path):
    arms = {"top": (1,), "even-alternate": (1,), "bottom": (1,)}
    scores = make(tmp_path, lambda model, task, strategy, cut: 0.9, {"mini": 6}, arms, tasks=("sst2", "qqp"))
    runs = scores.runs
    only = {"top": "sst2", "even-alternate": "qqp"}
    here = [only.get(strategy, task) == task for strategy, task in zip(runs["strategy"], runs["task"], strict=True)]
    frame = judged(Scores(runs[here], read_collected(tmp_path / "resamples.parquet")), {"mini": None})
    reason = of(frame, "top-best")["reason"].iloc[0]
    assert "not run on the same tasks as top, so left out: even-alternate" in reason
    assert "the same layers" not in reason


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [(TASK_LOSS, "supported"), ({"qqp": 0.12, "stsb": 0.12, "mnli": 0.0, "qnli": 0.0, "sst2": 0.0}, "not supported")],
)
def test_robust_tasks(tmp_path, loss, verdict):
    scores = make(
        tmp_path, lambda model, task, strategy, cut: 0.92 - (loss[task] if cut else 0), {"mini": 6}, {"top": (3,)}
    )
    frame = judged(scores, {"mini": None})
    assert verdicts(frame)["robust-tasks"] == verdict
    rows = of(frame, "robust-tasks")
    assert (rows["role"] == "decides").sum() == 4
    losses = rows[rows["role"] == "shown"].set_index("task")["effect"]
    assert losses["mnli"] == pytest.approx(100 * loss["mnli"], abs=3)
    assert "mean5" in losses.index
    assert verdicts(frame)["bottom-worst"] == "not tested"


def test_losses_on_small_tasks_have_mcnemars_p(tmp_path):
    skill = lambda model, task, strategy, cut: 0.8 - 0.04 * (cut > 0)  # noqa: E731
    scores = make(tmp_path, skill, {"mini": 6}, {"top": (3,)}, tasks=("rte",), seeds=(1,))
    settings = {"confidence": 0.95, "models": {"mini": None}, "tasks": {"rte": "RTE"}}
    row = of(judge(Evidence(scores, STATES, settings)), "small-tasks").squeeze()
    right = {}
    for strategy, directory in zip(scores.runs["strategy"], scores.runs["directory"], strict=True):
        table = parquet.read_table(Path(directory, "predictions.parquet")).to_pandas().set_index("id").sort_index()
        right[strategy] = np.stack(table["logits"]).argmax(axis=1) == table["label"].to_numpy()
    lost, won = (right["none"] & ~right["top"]).sum(), (~right["none"] & right["top"]).sum()
    assert lost != won
    assert row["test"] == "McNemar"
    assert row["p"] == pytest.approx(binomtest(int(lost), int(lost + won)).pvalue)
    assert row["effect"] == pytest.approx(100 * (lost - won) / N)


# --- objectives differ ---

TWELVE = {"top": (6,), "symmetric": (2,)}
LOSS = {
    ("bert", "top"): 0.15,
    ("roberta", "top"): 0.05,
    ("xlnet", "top"): 0.05,
    ("bert", "symmetric"): 0.01,
    ("xlnet", "symmetric"): 0.12,
}
SWAPPED = LOSS | {("bert", "top"): 0.02, ("bert", "symmetric"): 0.15, ("xlnet", "symmetric"): 0.01}


def curves(planted: bool, noise: float = 0.005) -> pd.DataFrame:
    """Layer-wise curves as in the paper, or each model's replaced by another's."""
    draw = np.random.default_rng(0)
    depths = np.arange(13)
    rising, flat = 0.5 + 0.4 * depths / 12, 0.5 + 0.4 * np.minimum(depths, 7) / 7
    falling, dipping = 1 - 0.7 * depths / 12, 1 - 0.5 * np.exp(-((depths - 4.5) ** 2) / 6)
    shapes = {
        ("bert", "probe"): rising if planted else flat,
        ("roberta", "probe"): flat if planted else rising,
        ("xlnet", "probe"): flat if planted else rising,
        ("bert", "similarity"): falling if planted else dipping,
        ("xlnet", "similarity"): dipping if planted else falling,
    }
    rows = [
        ("made", model, task, seed, quantity, depth, "accuracy", shape[depth] + draw.normal(0, noise), 0.5)
        for (model, quantity), shape in shapes.items()
        for task in TASKS
        for seed in (1, 2)
        for depth in depths
    ]
    return pd.DataFrame(rows, columns=STATES.columns)


@pytest.mark.parametrize(("loss", "planted", "verdict"), [(LOSS, True, "supported"), (SWAPPED, False, "not supported")])
def test_objectives(tmp_path, loss, planted, verdict):
    scores = make(
        tmp_path,
        lambda model, task, strategy, cut: 0.92 - loss.get((model, strategy), 0.0),
        dict.fromkeys(TRIO, 12),
        TWELVE,
        tasks=("sst2", "qnli", "stsb"),
        seeds=(1, 2),
    )
    frame = judged(scores, TRIO, curves(planted))
    found = verdicts(frame)
    assert {found[name] for name in ("middle-layers", "deep-cut", "plateau", "similarity")} == {verdict}
    assert set(of(frame, "middle-layers")["num_dropped"]) == {2}
    assert set(of(frame, "deep-cut", "decides")["task"]) == {"mean of 3"}
    assert set(of(frame, "similarity")["unit"]) == {"cosine"}
    assert of(frame, "plateau")["comparison"].iloc[0] == "gain from depth 7 to 12: bert minus roberta"


def test_equal_models_and_curves_are_undecided(tmp_path):
    scores = make(
        tmp_path,
        lambda model, task, strategy, cut: 0.85,
        dict.fromkeys(TRIO, 12),
        TWELVE,
        tasks=("sst2", "qnli"),
        seeds=(1, 2),
    )
    states = curves(planted=True)
    draw = np.random.default_rng(1)
    states["value"] = 0.7 + draw.normal(0, 0.02, len(states))
    states = states[states["task"].isin(["sst2", "qnli"])]
    found = verdicts(judged(scores, TRIO, states))
    assert {found[name] for name in ("middle-layers", "deep-cut", "plateau", "similarity")} == {"undecided"}


def test_what_cannot_be_asked_says_why(as_claimed):
    rows = of(as_claimed, "deep-cut")
    assert len(rows) == 1
    assert rows["verdict"].item() == "not tested"
    assert rows["reason"].item() == "no model of this study stands for BERT, RoBERTa and XLNet"
    assert rows["effect"].isna().all()


def test_models_without_curves_or_of_other_depths_are_not_tested(tmp_path):
    models = {"bert": 6, "roberta": 6, "xlnet": 4}
    scores = make(tmp_path, lambda *_: 0.8, models, {"top": (2,)}, tasks=("sst2",), seeds=(1,))
    frame = judged(scores, TRIO)
    assert "differ in their number of layers" in of(frame, "plateau")["reason"].item()
    equal = judged(scores, {"bert": "BERT", "roberta": "XLNet"})
    assert of(equal, "similarity")["reason"].item() == "bert: fine-tuned states were not compared with pre-trained ones"
    assert "symmetric was not run" in of(equal, "middle-layers")["reason"].item()


def test_predictions_for_other_examples_are_refused(tmp_path):
    scores = make(tmp_path, lambda *_: 0.8, {"mini": 6}, {"top": (3,), "bottom": (3,)}, tasks=("sst2",), seeds=(1,))
    path = Path(scores.rows("mini", "sst2", "pretrained", "top", "3")["directory"].item(), "predictions.parquet")
    table = parquet.read_table(path)
    parquet.write_table(table.set_column(0, "id", pa.array(np.arange(N))), path)
    with pytest.raises(UserError, match="other validation examples"):
        judged(scores, {"mini": None})


# --- pages and the script ---


def test_the_page_shows_every_verdict_and_number(as_claimed):
    page = observations_page(as_claimed, "a <study>")
    assert page.startswith("<!doctype html>")
    assert "a &lt;study&gt;" in page
    assert "<script" not in page
    for name, verdict in verdicts(as_claimed).items():
        claim = of(as_claimed, name)["claim"].iloc[0]
        assert str(escape(claim)) in page
        assert f">{verdict}</span>" in page
    assert page.count("<svg") == as_claimed["effect"].notna().sum()
    assert "nan" not in page


def test_the_script_writes_table_and_page(tmp_path, step):
    make(tmp_path, lambda model, task, strategy, cut: 0.9 - ORDER[strategy], {"mini": 6}, SIX, ("sst2", "stsb"), (1,))
    write_table(tmp_path / "states.csv", curves(planted=True))
    settings = {"confidence": 0.95, "models": {"mini": None}, "tasks": TASKS, "slices": {}}
    files = ("--results", "results.csv", "--resamples", "resamples.parquet", "--states", "states.csv")
    options = ("--settings", json.dumps(settings), "--output-dir", "paper")
    step("judge_observations", *files, *options, folder=tmp_path)
    frame = read_table(tmp_path / "paper/observations.csv")
    assert verdicts(frame)["bottom-worst"] == "supported"
    # The page of a table that was written and read again is the same.
    page = (tmp_path / "paper/observations.html").read_text(encoding="utf-8")
    assert observations_page(frame, "made") == page

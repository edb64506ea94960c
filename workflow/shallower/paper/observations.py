"""Do the paper's three observations hold in a study? Each is put as comparisons that could come out either way.

The observations are those of Sajjad et al., sections 5 and 6, and figure 5 of the first preprint (arXiv
2004.03844v1). A comparison is a weighted sum of scores which is above zero if the paper is right. Its role says what
it counts for:

- `decides`: the hypothesis claims it;
- `checks`: it should not come out the other way round (single tasks, where the paper speaks of their mean);
- `shown`: reported beside the others, and no part of the verdict.

Deciding and checking comparisons of a hypothesis and model are one family, corrected together (Holm).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallower.core.runs import BASELINE
from shallower.core.wording import counted, listed
from shallower.evaluation.estimates import POINTS, Estimate, Scores
from shallower.evaluation.predictions import Predictions, read_matched
from shallower.evaluation.significance import bootstrap_p, holm, mcnemar, over_tasks
from shallower.paper.names import FIVE, SEVEN

COLUMNS = [
    *("observation", "hypothesis", "claim", "rule", "model", "verdict", "reason"),
    *("comparison", "task", "n_dropped", "role", "effect", "low", "high", "unit"),
    *("p", "p_holm", "outcome", "seeds", "seeds_agreeing", "test"),
]
DECIDES, CHECKS, SHOWN = "decides", "checks", "shown"
SUPPORTED, NOT_SUPPORTED, UNDECIDED, NOT_TESTED = "supported", "not supported", "undecided", "not tested"
HOLDS, OPPOSITE, OPEN = "holds", "opposite", "open"

# The paper's strategies whose amount is a number of layers. Contribution's is a threshold: how many layers it drops is
# an outcome, so that it seldom stands at the same cut as the others.
STRATEGIES = (
    *("top", "even-alternate", "odd-alternate", "symmetric"),
    *("parameter-aggregation", "parameter-variance", "bottom"),
)
# Left out of orderings: what they drop is no rule, or no fixed number of layers.
NOT_RANKED = ("custom", "contribution")
MOST_HARMED, LEAST_HARMED = ("MNLI", "QNLI"), ("QQP", "STS-B")


class Arm(NamedTuple):
    """What is repeated over seeds; the arguments of `Scores.score`."""

    model: str
    task: str
    origin: str
    strategy: str
    amount: str


# A weighted sum of arms' scores.
Terms = Mapping[Arm, float]


@dataclass(frozen=True)
class Comparison:
    """One comparison; `effect` is above zero where the paper's claim holds.

    Attributes:
        comparison: what is taken from what, for people.
        task: the study's name of the task, or the mean's ("mean7", "mean5", "mean of 3").
        n_dropped: layers dropped, None where none are.
        unit: of effect, low and high: "points" (0 to 100) or "cosine".
        p: two-sided; NaN where there is nothing to test with.
        seeds_agreeing: in how many of the seeds, each by itself, the effect is above zero.
    """

    comparison: str
    task: str
    n_dropped: int | None
    role: str
    effect: float
    low: float
    high: float
    unit: str
    p: float
    seeds: int
    seeds_agreeing: int
    test: str


@dataclass(frozen=True)
class Case:
    """One hypothesis asked of one model, or of several together; `remark` says what could not be asked, and why."""

    model: str
    comparisons: Sequence[Comparison]
    remark: str = ""


class Evidence:
    """Scores, layer-wise curves and answers of a study, and the comparisons that are made of them.

    Attributes:
        scores: the study's scores.
        tasks: the study's name of each of the paper's tasks that it has, in the paper's order.
    """

    def __init__(self, scores: Scores, states: pd.DataFrame, settings: Mapping[str, Any]) -> None:
        """`states` is states.csv; `settings`: `confidence`, and the paper's name of each of `models` and `tasks`."""
        self.scores = scores
        self.confidence = settings["confidence"]
        run = set(scores.runs["task"])
        ours = {paper: task for task, paper in reversed(settings["tasks"].items()) if paper and task in run}
        self.tasks = {paper: ours[paper] for paper in SEVEN if paper in ours}
        self._counterparts = settings["models"]
        self._states = states
        self._examples: dict[str, Predictions] = {}
        self._right: dict[str, NDArray[np.bool_]] = {}

    @property
    def models(self) -> list[str]:
        """The study's models, in its order."""
        return list(self.scores.runs["model"].unique())

    def stand_ins(self, *names: str) -> tuple[list[str], str]:
        """The study's models for some of the paper's; or none, and why they cannot be compared."""
        found = {name: model for model, name in reversed(self._counterparts.items()) if model in self.models}
        if missing := [name for name in names if name not in found]:
            return [], f"no model of this study stands for {listed(missing)}"
        models = [found[name] for name in names]
        if len({self.scores.num_layers(model) for model in models}) > 1:
            return [], f"{listed(models)} differ in their number of layers"
        return models, ""

    def ran(self, terms: Terms) -> bool:
        """Whether all arms of a sum were run."""
        return not any(self.scores.rows(*arm).empty for arm in terms)

    def compare(self, text: str, task: str, n_dropped: int, terms: Terms, role: str) -> Comparison:
        """A comparison of scores, in points."""
        estimate = self._estimate(terms)
        low, high = estimate.interval(self.confidence)
        by_seed = sum(weight * self._by_seed(arm) for arm, weight in terms.items()).dropna()
        p, test = self._test(terms, estimate)
        agreeing = int((by_seed > 0).sum())
        numbers = (estimate.value, low, high, "points", p, estimate.seeds, agreeing)
        return Comparison(text, task, n_dropped, role, *numbers, test)

    def compare_over_tasks(
        self, text: str, n_dropped: int, terms: Mapping[str, Terms], decide: bool = True
    ) -> list[Comparison]:
        """The mean over tasks decides, and each task by itself checks; a single task decides.

        `terms` are by the paper's task names; those with arms that were not run are left out. Without `decide`, the
        means are given, to be shown only. The mean over the paper's five stable tasks is always only shown.
        """
        ran = {name: of_task for name, of_task in terms.items() if self.ran(of_task)}
        stable = [name for name in ran if name in FIVE]

        def mean_over(names: Sequence[str], role: str) -> Comparison:
            average = _sum({name: 1 / len(names) for name in names}, ran)
            return self.compare(text, mean_name(names), n_dropped, average, role)

        means = [mean_over(list(ran), DECIDES if decide else SHOWN)] if len(ran) > 1 else []
        means += [mean_over(stable, SHOWN)] if 1 < len(stable) < len(ran) else []
        if not decide:
            return means
        role = CHECKS if means else DECIDES
        return means + [self.compare(text, self.tasks[name], n_dropped, ran[name], role) for name in ran]

    def curves(self, model: str, quantity: str) -> pd.DataFrame:
        """A layer-wise quantity of a model: rows (task, seed), columns depth (layers passed)."""
        states = self._states
        chosen = states[
            (states["model"] == model)
            & (states["quantity"] == quantity)
            & states["task"].isin(list(self.tasks.values()))
        ]
        return chosen.pivot(index=["task", "seed"], columns="depth", values="value")

    def compare_states(self, text: str, values: pd.Series, unit: str) -> list[Comparison]:
        """A comparison of values by (task, seed), tested over the tasks; none where there are no values."""
        values = values.dropna()
        if values.empty:
            return []
        of_tasks = values.groupby(level="task").mean()
        p, (low, high) = over_tasks(of_tasks.to_numpy(), self.confidence)
        by_seed = values.groupby(level="seed").mean()
        names = [name for name, task in self.tasks.items() if task in of_tasks.index]
        task = mean_name(names) if len(names) > 1 else self.tasks[names[0]]
        numbers = (float(of_tasks.mean()), low, high, unit, p, len(by_seed), int((by_seed > 0).sum()))
        return [Comparison(text, task, None, DECIDES, *numbers, "t-test over tasks")]

    def _estimate(self, terms: Terms) -> Estimate:
        parts = {arm: self.scores.score(*arm) for arm in terms}
        return Estimate(
            sum(weight * parts[arm].value for arm, weight in terms.items()),
            sum(weight * parts[arm].samples for arm, weight in terms.items()),
            min(part.seeds for part in parts.values()),
        )

    def _by_seed(self, arm: Arm) -> pd.Series:
        return POINTS * self.scores.rows(*arm).set_index("seed")["value"]

    def _test(self, terms: Terms, estimate: Estimate) -> tuple[float, str]:
        """p-value and name of the test that suits a sum."""
        pair = sorted(terms, key=terms.get, reverse=True)
        two_arms = sorted(terms.values()) == [-1, 1] and pair[0].task == pair[1].task
        if not two_arms or set(self.scores.rows(*pair[0])["metric"]) != {"accuracy"}:
            return bootstrap_p(estimate.value, estimate.samples), "paired bootstrap"
        directories = [self.scores.rows(*arm).set_index("seed")["directory"] for arm in pair]
        ours, theirs = directories[0].align(directories[1], join="inner")
        right = [np.stack([self._right_answers(at, pair[0].task) for at in side]) for side in (ours, theirs)]
        return mcnemar(*right), "McNemar"

    def _right_answers(self, directory: str, task: str) -> NDArray[np.bool_]:
        """Which answers of a run are right [examples], in the order of the task's ids."""
        if directory not in self._right:
            path = Path(directory, "predictions.parquet")
            examples, answers = read_matched([path], self._examples.get(task), "classification")
            self._examples.setdefault(task, examples)
            self._right[directory] = answers[0] == examples.labels
        return self._right[directory]


def mean_name(paper_tasks: Sequence[str]) -> str:
    """What the mean over some of the paper's tasks is called."""
    known = {frozenset(SEVEN): "mean7", frozenset(FIVE): "mean5"}
    return known.get(frozenset(paper_tasks), f"mean of {len(paper_tasks)}")


def _sum(weights: Mapping[Any, float], terms: Mapping[Any, Terms]) -> Terms:
    """A weighted sum of weighted sums."""
    total: dict[Arm, float] = {}
    for name, weight in weights.items():
        for arm, inner in terms[name].items():
            total[arm] = total.get(arm, 0.0) + weight * inner
    return total


def _cut(model: str, task: str, strategy: str, n_dropped: int) -> Arm:
    return Arm(model, task, "pretrained", strategy, str(n_dropped))


def _loss(model: str, task: str, strategy: str, n_dropped: int) -> Terms:
    """Score of the whole model less that of the shallower one."""
    return {Arm(model, task, BASELINE, "none", "0"): 1.0, _cut(model, task, strategy, n_dropped): -1.0}


def _minus(first: Terms, second: Terms) -> Terms:
    return _sum({"first": 1.0, "second": -1.0}, {"first": first, "second": second})


# --- lower layers matter most ---


def ranked_cut(evidence: Evidence, model: str) -> tuple[int, list[str]] | None:
    """The deepest cut at which top, bottom and, if possible, another strategy were run, and the strategies there."""
    runs = evidence.scores.runs
    counted_runs = runs[
        (runs["model"] == model)
        & (runs["origin"] == "pretrained")
        & (runs["amount"] == runs["n_dropped"].astype(str))
        & ~runs["strategy"].isin(NOT_RANKED)
        & runs["task"].isin(list(evidence.tasks.values()))
    ]
    at_cut = {
        int(n_dropped): list(rows["strategy"].unique())
        for n_dropped, rows in counted_runs.groupby("n_dropped")
        if {"top", "bottom"} <= set(rows["strategy"])
    }
    if not at_cut:
        return None
    n_dropped = max(at_cut, key=lambda cut: (len(at_cut[cut]) > 2, cut))
    return n_dropped, at_cut[n_dropped]


def _orderings(evidence: Evidence, champion: str, is_best: bool) -> Iterator[Case]:
    """For each model: is `champion` the best (or the worst) strategy at the deepest shared cut?"""
    for model in evidence.models:
        found = ranked_cut(evidence, model)
        if found is None:
            yield Case(model, [], "top and bottom were not run at the same cut on any of the paper's tasks")
            continue
        n_dropped, strategies = found
        comparisons, same = [], []
        for rival in (name for name in strategies if name != champion):
            better, worse = (champion, rival) if is_best else (rival, champion)
            arms = {
                name: (_cut(model, task, better, n_dropped), _cut(model, task, worse, n_dropped))
                for name, task in evidence.tasks.items()
            }
            if all(_same_layers(evidence, *pair) for pair in arms.values()):
                same.append(rival)
                continue
            terms = {name: {one: 1.0, other: -1.0} for name, (one, other) in arms.items()}
            text = f"{better} minus {worse}"
            comparisons += evidence.compare_over_tasks(text, n_dropped, terms, decide=rival in STRATEGIES)
        remarks = [
            f"dropping the very layers that {champion} drops, so left out: {listed(same)}" if same else "",
            _not_run([name for name in STRATEGIES if name not in strategies], n_dropped),
        ]
        yield Case(model, comparisons, "; ".join(filter(None, remarks)))


def _same_layers(evidence: Evidence, one: Arm, other: Arm) -> bool:
    """Whether two arms keep the same layers, or either was not run: then they cannot be told apart."""
    kept = [evidence.scores.rows(*arm)["kept_layers"].tolist() for arm in (one, other)]
    return not all(kept) or kept[0] == kept[1]


def _not_run(strategies: Sequence[str], n_dropped: int) -> str:
    return f"not run with {counted(n_dropped, 'layer')} dropped: {listed(strategies)}" if strategies else ""


# --- some tasks are robust ---


def _robust_tasks(evidence: Evidence) -> Iterator[Case]:
    for model in evidence.models:
        half = evidence.scores.num_layers(model) // 2
        losses = {name: _loss(model, task, "top", half) for name, task in evidence.tasks.items()}
        losses = {name: terms for name, terms in losses.items() if evidence.ran(terms)}
        pairs = [(most, least) for most in MOST_HARMED for least in LEAST_HARMED if most in losses and least in losses]
        decisive = [
            evidence.compare(
                f"loss on {most} minus loss on {least}",
                f"{evidence.tasks[most]}, {evidence.tasks[least]}",
                half,
                _minus(losses[most], losses[least]),
                DECIDES,
            )
            for most, least in pairs
        ]
        text = f"loss with the top {half} dropped"
        shown = [evidence.compare(text, evidence.tasks[name], half, losses[name], SHOWN) for name in losses]
        shown += evidence.compare_over_tasks(text, half, losses, decide=False)
        missing = [name for name in (*MOST_HARMED, *LEAST_HARMED) if name not in losses]
        remark = f"top with {counted(half, 'layer')} dropped was not run on {listed(missing)}" if missing else ""
        yield Case(model, decisive + shown, remark)


# --- objectives differ ---


def _compare_losses(evidence: Evidence, more: str, less: str, strategy: str, n_dropped: int) -> list[Comparison]:
    """The claim that one model loses more than another at the same cut."""
    terms = {
        name: _minus(_loss(more, task, strategy, n_dropped), _loss(less, task, strategy, n_dropped))
        for name, task in evidence.tasks.items()
    }
    return evidence.compare_over_tasks(f"loss of {more} minus loss of {less}", n_dropped, terms)


def _middle_layers(evidence: Evidence) -> Iterator[Case]:
    models, problem = evidence.stand_ins("XLNet", "BERT")
    if problem:
        yield Case("", [], problem)
        return
    runs = evidence.scores.runs
    symmetric = runs[(runs["strategy"] == "symmetric") & (runs["origin"] == "pretrained")]
    shared = set.intersection(*(set(symmetric.loc[symmetric["model"] == model, "n_dropped"]) for model in models))
    if not shared:
        yield Case(listed(models), [], f"symmetric was not run at the same cut for {listed(models)}")
        return
    yield Case(listed(models), _compare_losses(evidence, *models, "symmetric", int(min(shared))))


def _deep_cut(evidence: Evidence) -> Iterator[Case]:
    models, problem = evidence.stand_ins("BERT", "RoBERTa", "XLNet")
    if problem:
        yield Case("", [], problem)
        return
    half = evidence.scores.num_layers(models[0]) // 2
    comparisons = [
        comparison for rival in models[1:] for comparison in _compare_losses(evidence, models[0], rival, "top", half)
    ]
    remark = "" if comparisons else f"top with {counted(half, 'layer')} dropped was not run for these models"
    yield Case(listed(models), comparisons, remark)


def _plateau(evidence: Evidence) -> Iterator[Case]:
    models, problem = evidence.stand_ins("BERT", "RoBERTa", "XLNet")
    if problem:
        yield Case("", [], problem)
        return
    num_layers = evidence.scores.num_layers(models[0])
    knee = round(7 * num_layers / 12)
    curves = {model: POINTS * evidence.curves(model, "probe") for model in models}
    if any(curve.empty for curve in curves.values()):
        yield Case(listed(models), [], "layer-wise classifiers were not trained for these models")
        return
    gains = {model: curve[num_layers] - curve[knee] for model, curve in curves.items()}
    bert, *rivals = models
    comparisons = [
        comparison
        for rival in rivals
        for comparison in evidence.compare_states(
            f"gain from depth {knee} to {num_layers}: {bert} minus {rival}", gains[bert] - gains[rival], "points"
        )
    ]
    yield Case(listed(models), comparisons)


def _similarity(evidence: Evidence) -> Iterator[Case]:
    models, problem = evidence.stand_ins("BERT", "XLNet")
    if problem:
        yield Case("", [], problem)
        return
    num_layers = evidence.scores.num_layers(models[0])
    middle = list(range(round(num_layers / 4), num_layers // 2 + 1))
    upper = list(range(round(2 * num_layers / 3), num_layers))
    comparisons = []
    # BERT's cosine falls from the middle to the top, XLNet's rises again.
    for model, (first, second) in zip(models, ((middle, upper), (upper, middle)), strict=True):
        curve = evidence.curves(model, "similarity")
        if curve.empty:
            yield Case(listed(models), [], f"{model}: fine-tuned states were not compared with pre-trained ones")
            return
        text = f"{model}: depths {first[0]} to {first[-1]} minus {second[0]} to {second[-1]}"
        comparisons += evidence.compare_states(text, curve[first].mean(axis=1) - curve[second].mean(axis=1), "cosine")
    yield Case(listed(models), comparisons)


# --- verdicts ---


@dataclass(frozen=True)
class Hypothesis:
    """A claim of the paper, what is compared to judge it, and where the comparisons come from."""

    observation: str
    name: str
    claim: str
    criterion: str
    cases: Callable[[Evidence], Iterator[Case]]

    @property
    def rule(self) -> str:
        """How the verdict is reached, in words."""
        return f"{self.criterion} {RULE}"


RULE = (
    "Supported: every such comparison is significantly above zero, and on no single task is one significantly below. "
    "Not supported: one is significantly below zero. Undecided: otherwise. Significant: p after Holm's correction over "
    "all comparisons of the hypothesis is below one minus the confidence of the intervals."
)
_LOWER, _TASKS, _OBJECTIVES = "Lower layers matter most", "Some tasks are robust", "Objectives differ"
HYPOTHESES = (
    Hypothesis(
        _LOWER,
        "bottom-worst",
        "Dropping from the bottom is the worst strategy (section 5.1, figure 2).",
        "At the deepest cut that the strategies share: the mean score over tasks of each other strategy of the paper, "
        "minus that of bottom.",
        lambda evidence: _orderings(evidence, "bottom", is_best=False),
    ),
    Hypothesis(
        _LOWER,
        "top-best",
        "Dropping from the top is the best strategy at the deepest cut (section 5.1, figure 2).",
        "At the deepest cut that the strategies share: the mean score over tasks of top, minus that of each other "
        "strategy of the paper.",
        lambda evidence: _orderings(evidence, "top", is_best=True),
    ),
    Hypothesis(
        _TASKS,
        "robust-tasks",
        "QQP and STS-B lose least, MNLI and QNLI lose most (section 6).",
        "With the top half of the layers dropped: the loss in points on MNLI and on QNLI, minus that on QQP and that "
        "on STS-B.",
        _robust_tasks,
    ),
    Hypothesis(
        _OBJECTIVES,
        "middle-layers",
        "Dropping middle layers hurts XLNet more than BERT (section 5.1, figure 2: symmetric, 2 layers).",
        "At the smallest symmetric cut: the mean loss over tasks of XLNet, minus that of BERT.",
        _middle_layers,
    ),
    Hypothesis(
        _OBJECTIVES,
        "deep-cut",
        "RoBERTa and XLNet lose less than BERT without their top half (table 2).",
        "With the top half of the layers dropped: the mean loss over tasks of BERT, minus that of RoBERTa and that of "
        "XLNet.",
        _deep_cut,
    ),
    Hypothesis(
        _OBJECTIVES,
        "plateau",
        "Layer-wise classifiers of RoBERTa and XLNet stop gaining near depth 7 of 12, BERT's rise on (figure 3).",
        "What classifiers gain from depth 7 (of 12) to the last, mean over tasks: BERT's, minus RoBERTa's and XLNet's.",
        _plateau,
    ),
    Hypothesis(
        _OBJECTIVES,
        "similarity",
        "Fine-tuning changes BERT more the higher the layer, but XLNet most in the middle (preprint, figure 5).",
        "Cosine of pre-trained and fine-tuned states, mean over tasks: BERT's middle depths (3 to 6 of 12) minus its "
        "upper ones (8 to 11); XLNet's upper minus its middle ones.",
        _similarity,
    ),
)


def judge(evidence: Evidence) -> pd.DataFrame:
    """observations.csv: every comparison a row, with its hypothesis's verdict; untested ones have one row, and why."""
    rows = [
        row
        for hypothesis in HYPOTHESES
        for case in hypothesis.cases(evidence)
        for row in _rows(hypothesis, case, 1.0 - evidence.confidence)
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype(
        {"n_dropped": "Int64", "seeds": "Int64", "seeds_agreeing": "Int64"}
    )


def _rows(hypothesis: Hypothesis, case: Case, level: float) -> Iterator[dict[str, Any]]:
    comparisons = [{**asdict(comparison), "p_holm": float("nan"), "outcome": ""} for comparison in case.comparisons]
    family = [row for row in comparisons if row["role"] != SHOWN]
    for row, p_holm in zip(family, holm([row["p"] for row in family]), strict=True):
        row["p_holm"], row["outcome"] = float(p_holm), _outcome(row["effect"], p_holm, level)
    identity = {
        "observation": hypothesis.observation,
        "hypothesis": hypothesis.name,
        "claim": hypothesis.claim,
        "rule": hypothesis.rule,
        "model": case.model,
        "verdict": _verdict(family),
        "reason": "; ".join(filter(None, [_reason(family), case.remark])) or "nothing to compare",
    }
    for row in comparisons or [{}]:
        yield {**identity, **row}


def _outcome(effect: float, p_holm: float, level: float) -> str:
    if not p_holm < level:  # NaN too
        return OPEN
    return HOLDS if effect > 0 else OPPOSITE


def _verdict(family: Sequence[Mapping[str, Any]]) -> str:
    decisive = [row["outcome"] for row in family if row["role"] == DECIDES]
    if not decisive:
        return NOT_TESTED
    if OPPOSITE in decisive:
        return NOT_SUPPORTED
    contradicted = any(row["outcome"] == OPPOSITE for row in family)
    return SUPPORTED if set(decisive) == {HOLDS} and not contradicted else UNDECIDED


def _reason(family: Sequence[Mapping[str, Any]]) -> str:
    if not family:
        return ""
    decisive, checks = ([row["outcome"] for row in family if row["role"] == role] for role in (DECIDES, CHECKS))
    parts = [f"of {counted(len(decisive), 'comparison')}, {_tally(decisive)}"]
    if checks:
        parts.append(f"on single tasks, {_tally(checks)}")
    if min(row["seeds"] for row in family) == 1:
        parts.append("one seed, so nothing is known about the luck of training")
    return "; ".join(parts)


def _tally(outcomes: Sequence[str]) -> str:
    words = {HOLDS: "as claimed", OPPOSITE: "the other way round", OPEN: "too close to tell"}
    return listed([f"{outcomes.count(outcome)} {text}" for outcome, text in words.items() if outcome in outcomes])

"""What a study knows about the paper's claims: contrasts of scores and of layer-wise curves, with intervals and tests.

A contrast is a weighted sum of scores that is above zero if the paper is right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shallower.core.runs import BASELINE, NO_AMOUNT, NO_STRATEGY, arm_title
from shallower.core.wording import listed
from shallower.evaluation.estimates import POINTS, Estimate, Scores
from shallower.evaluation.predictions import Predictions, read_matched
from shallower.evaluation.significance import bootstrap_p, mcnemar, over_tasks
from shallower.paper.names import FIVE, SEVEN
from shallower.paper.values import read_values

# The role of a contrast: the hypothesis claims it; it must not contradict; it is tested together with the others, so
# that their p-values are corrected for it, too; it is only reported.
DECIDES, CHECKS, TESTED, SHOWN = "decides", "checks", "tested", "shown"


class ScoreKey(NamedTuple):
    """An arm of a model and task: the arguments of `Scores.score`."""

    model: str
    task: str
    origin: str
    strategy: str
    amount: str


# The weights of a weighted sum of scores.
Terms = Mapping[ScoreKey, float]


@dataclass(frozen=True)
class Contrast:
    """A contrast with its estimate and test; `effect` is above zero where the paper's claim holds.

    Attributes:
        comparison: the contrast in words.
        task: the study's name of the task, or the name of the mean ("mean7", "mean5", "mean of 3").
        num_dropped: number of layers dropped, None where none are, or differently many.
        unit: of effect, low and high: "points" (0 to 100), "cosine", "%", "examples" or "Jaccard".
        p: two-sided; NaN where there is nothing to test with.
        seeds: number of seeds, None where the effect does not depend on any.
        seeds_agreeing: the number of seeds whose own effect is above zero, likewise; None where no seed has all tasks.
        within: for claims that there is no difference, how far from zero the interval may reach; otherwise None.
        settled: the outcome where it needs no test, as of a count; otherwise "".
        collapsed: arms in it that answer (all but) the same to every example after some seed, in words.
    """

    comparison: str
    task: str
    num_dropped: int | None
    role: str
    effect: float
    low: float
    high: float
    unit: str
    p: float
    seeds: int | None
    seeds_agreeing: int | None
    test: str
    within: float | None = None
    settled: str = ""
    collapsed: Sequence[str] = ()


@dataclass(frozen=True)
class Records:
    """What claims need besides scores.

    Attributes:
        values: the paper's numbers (`values.read_values`).
        sizes: number of examples by the study's task and split, as they arrived.
        slices: by the study's task, the splits of which it takes a part only.
        costs: cost.json by model.
    """

    values: pd.DataFrame = field(default_factory=read_values)
    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    slices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    costs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Evidence:
    """Scores, layer-wise curves and predictions of a study, and the contrasts that they allow.

    Attributes:
        scores: the study's scores.
        tasks: the study's name of each of the paper's tasks that it has, in the paper's order.
        records: what claims need besides scores.
    """

    def __init__(
        self,
        scores: Scores,
        states: pd.DataFrame,
        settings: Mapping[str, Any],
        records: Records | None = None,
    ) -> None:
        """`states` is states.csv.

        `settings` are `confidence`, the paper's name of each of `models` and `tasks`, and of some arms model, task,
        origin, strategy and amount: `protected_arms`, of which some layers had to stay, which the paper does not have
        and which count in nothing here; `scored_elsewhere`, whose layers were scored on another task.
        """
        protected = {tuple(arm) for arm in settings.get("protected_arms", [])}
        self.scores = scores.without(protected) if protected else scores
        self.scored_elsewhere = {tuple(arm) for arm in settings.get("scored_elsewhere", [])}
        self.records = records or Records()
        self.confidence = settings["confidence"]
        run = set(self.scores.runs["task"])
        ours = {paper: task for task, paper in reversed(settings["tasks"].items()) if paper and task in run}
        self.tasks = {paper: ours[paper] for paper in SEVEN if paper in ours}
        self._counterparts = settings["models"]
        self._states = states
        self._examples: dict[str, Predictions] = {}
        self._correct: dict[str, NDArray[np.bool_]] = {}

    @property
    def models(self) -> list[str]:
        """The study's models, in its order."""
        return list(self.scores.runs["model"].unique())

    def stand_ins(self, *names: str) -> tuple[list[str], str]:
        """The study's counterparts of some of the paper's models; or none, and why they cannot be compared."""
        found = {name: model for model, name in reversed(self._counterparts.items()) if model in self.models}
        if missing := [name for name in names if name not in found]:
            return [], f"no model of this study stands for {listed(missing)}"
        models = [found[name] for name in names]
        if len({self.scores.num_layers(model) for model in models}) > 1:
            return [], f"{listed(models)} differ in their number of layers"
        return models, ""

    def learned(self, model: str, task: str) -> bool:
        """Whether the full model was run and its score is clearly above that of a constant answer.

        Where it is not, nothing can be lost, so such a task is no evidence that little is.
        """
        full = self.scores.baseline(model, task)
        if full is None:
            return False
        constant = self.scores.rows(*baseline(model, task))["chance"].iloc[0]
        return full.interval(self.confidence).low > POINTS * constant

    def ran(self, terms: Terms) -> bool:
        """Whether all arms of a weighted sum were run, those of a task with a seed in common."""
        return all(self._seeds(terms).values())

    def compare(
        self, text: str, task: str, num_dropped: int | None, terms: Terms, role: str, offset: float = 0.0
    ) -> Contrast:
        """A contrast of scores plus an offset, such as a margin; all in points."""
        summed = self._estimate(terms)
        estimate = Estimate(summed.value + offset, summed.samples + offset, summed.seeds)
        low, high = estimate.interval(self.confidence)
        by_seed = sum(weight * self._by_seed(arm) for arm, weight in terms.items()).dropna() + offset
        p, test = self._test(terms, estimate, offset)
        # None where the tasks have no seed in common.
        agreeing = int((by_seed > 0).sum()) if len(by_seed) else None
        numbers = (estimate.value, low, high, "points", p, estimate.seeds, agreeing)
        found = [arm for arm in terms if self._with_common_seeds(arm, terms)["collapsed"].any()]
        collapsed = [f"{arm_title(*arm[2:])} on {arm.task}" for arm in found]
        return Contrast(text, task, num_dropped, role, *numbers, test, collapsed=collapsed)

    def compare_over_tasks(
        self,
        text: str,
        num_dropped: int | None,
        terms: Mapping[str, Terms],
        decide: bool = True,
        offset: float = 0.0,
    ) -> list[Contrast]:
        """The mean over tasks, which decides, and each task, which checks; a single task decides.

        `terms` are by the paper's names of tasks; those with arms that were not run are left out. Without `decide`,
        there are only means, which are shown. The mean over the paper's five stable tasks is always only shown.
        """
        ran = {name: of_task for name, of_task in terms.items() if self.ran(of_task)}
        stable = [name for name in ran if name in FIVE]

        def mean_over(names: Sequence[str], role: str) -> Contrast:
            average = weighted_sum({name: 1 / len(names) for name in names}, ran)
            return self.compare(text, mean_name(names), num_dropped, average, role, offset)

        means = [mean_over(list(ran), DECIDES if decide else SHOWN)] if len(ran) > 1 else []
        means += [mean_over(stable, SHOWN)] if 1 < len(stable) < len(ran) else []
        if not decide:
            return means
        role = CHECKS if means else DECIDES
        return means + [self.compare(text, self.tasks[name], num_dropped, ran[name], role, offset) for name in ran]

    def curves(self, model: str, quantity: str) -> pd.DataFrame:
        """A layer-wise quantity of a model: rows (task, seed), columns depth (layers passed)."""
        states = self._states
        chosen = states[
            (states["model"] == model)
            & (states["quantity"] == quantity)
            & states["task"].isin(list(self.tasks.values()))
        ]
        return chosen.pivot(index=["task", "seed"], columns="depth", values="value")

    def compare_states(self, text: str, values: pd.Series, unit: str) -> list[Contrast]:
        """A contrast of values by (task, seed), tested over the tasks; none without values."""
        values = values.dropna()
        if values.empty:
            return []
        of_tasks = values.groupby(level="task").mean()
        p, (low, high) = over_tasks(of_tasks.to_numpy(), self.confidence)
        # Only seeds that every task has: the mean of another one would be over other tasks.
        by_seed = values.unstack("task").dropna().mean(axis=1)
        names = [name for name, task in self.tasks.items() if task in of_tasks.index]
        task = mean_name(names) if len(names) > 1 else self.tasks[names[0]]
        numbers = (float(of_tasks.mean()), low, high, unit, p, len(by_seed), int((by_seed > 0).sum()))
        return [Contrast(text, task, None, DECIDES, *numbers, "t-test over tasks")]

    def _estimate(self, terms: Terms) -> Estimate:
        """The sum, over the seeds that all arms of a task have: a seed that failed in one counts in none."""
        value, samples, seeds = 0.0, np.zeros(()), []
        common = self._seeds(terms)
        for arm, weight in terms.items():
            estimate = self.scores.score(*arm, seeds=common[arm.task])
            if estimate is None:
                raise ValueError(f"{arm} was not run with the seeds of the others")
            value, samples = value + weight * estimate.value, samples + weight * estimate.samples
            seeds.append(estimate.seeds)
        return Estimate(value, samples, min(seeds))

    def _seeds(self, terms: Terms) -> dict[str, set[int]]:
        """The seeds that all arms of a task have, by task."""
        tasks = dict.fromkeys(arm.task for arm in terms)
        return {task: self.scores.common_seeds(*(arm for arm in terms if arm.task == task)) for task in tasks}

    def _with_common_seeds(self, arm: ScoreKey, terms: Terms) -> pd.DataFrame:
        """The runs of an arm with the seeds that all arms of its task have."""
        rows = self.scores.rows(*arm)
        return rows[rows["seed"].isin(self._seeds(terms)[arm.task])]

    def _by_seed(self, arm: ScoreKey) -> pd.Series:
        return POINTS * self.scores.rows(*arm).set_index("seed")["value"]

    def _test(self, terms: Terms, estimate: Estimate, offset: float) -> tuple[float, str]:
        """p-value and name of the test that suits a weighted sum; McNemar's test knows of no margins."""
        pair = sorted(terms, key=lambda arm: terms[arm], reverse=True)
        two_arms = offset == 0 and sorted(terms.values()) == [-1, 1] and pair[0].task == pair[1].task
        if not two_arms or set(self.scores.rows(*pair[0])["metric"]) != {"accuracy"}:
            return bootstrap_p(estimate.value, estimate.samples), "paired bootstrap"
        directories = [self.scores.rows(*arm).set_index("seed")["directory"] for arm in pair]
        ours, theirs = directories[0].align(directories[1], join="inner")
        correct = [np.stack([self._correct_predictions(at, pair[0].task) for at in side]) for side in (ours, theirs)]
        return mcnemar(*correct), "McNemar"

    def _correct_predictions(self, directory: str, task: str) -> NDArray[np.bool_]:
        """Which predictions of a run are correct [examples], in the order of the task's ids."""
        if directory not in self._correct:
            path = Path(directory, "predictions.parquet")
            examples, predictions = read_matched([path], self._examples.get(task), "classification")
            self._examples.setdefault(task, examples)
            self._correct[directory] = predictions[0] == examples.labels
        return self._correct[directory]


def mean_name(paper_tasks: Sequence[str]) -> str:
    """Name of the mean over some of the paper's tasks."""
    known = {frozenset(SEVEN): "mean7", frozenset(FIVE): "mean5"}
    return known.get(frozenset(paper_tasks), f"mean of {len(paper_tasks)}")


def weighted_sum(weights: Mapping[Any, float], terms: Mapping[Any, Terms]) -> Terms:
    """A weighted sum of weighted sums."""
    total: dict[ScoreKey, float] = {}
    for name, weight in weights.items():
        for arm, inner in terms[name].items():
            total[arm] = total.get(arm, 0.0) + weight * inner
    return total


def baseline(model: str, task: str) -> ScoreKey:
    """The arm of the full model."""
    return ScoreKey(model, task, BASELINE, NO_STRATEGY, NO_AMOUNT)


def pruned(model: str, task: str, strategy: str, num_dropped: int) -> ScoreKey:
    """The arm of a strategy whose amount is a number of layers, from the pre-trained model."""
    return ScoreKey(model, task, "pretrained", strategy, str(num_dropped))


def loss(model: str, task: str, strategy: str, num_dropped: int) -> Terms:
    """Score of the full model minus that of a pruned one."""
    return {baseline(model, task): 1.0, pruned(model, task, strategy, num_dropped): -1.0}


def difference(first: Terms, second: Terms) -> Terms:
    """The first sum minus the second."""
    return weighted_sum({"first": 1.0, "second": -1.0}, {"first": first, "second": second})

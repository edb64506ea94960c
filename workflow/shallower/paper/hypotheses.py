"""The paper's observations as hypotheses, and the contrasts that decide them.

The observations are those of Sajjad et al., sections 5 and 6, and figure 5 of the first preprint (arXiv 2004.03844v1).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shallower.core.wording import counted, listed
from shallower.evaluation.estimates import POINTS
from shallower.paper.evidence import (
    DECIDES,
    SHOWN,
    Contrast,
    Evidence,
    difference,
    loss,
    pruned,
)
from shallower.paper.names import RANKED_STRATEGIES
from shallower.paper.remarks import join_remarks
from shallower.surgery.amounts import COUNT
from shallower.surgery.strategies import STRATEGIES

# Not ranked: they drop any set of layers, or no fixed number of them.
NOT_RANKED = tuple(name for name, strategy in STRATEGIES.items() if strategy.amount is not COUNT)
MOST_HARMED, LEAST_HARMED = ("MNLI", "QNLI"), ("QQP", "STS-B")


@dataclass(frozen=True)
class Finding:
    """The contrasts of a hypothesis for one model, or for several together; `remark` says what is missing, and why."""

    model: str
    contrasts: Sequence[Contrast]
    remark: str = ""


@dataclass(frozen=True)
class Hypothesis:
    """A claim of the paper, the criterion that it is judged by, and the function that finds its contrasts."""

    observation: str
    name: str
    claim: str
    criterion: str
    findings: Callable[[Evidence], Iterator[Finding]]

    @property
    def rule(self) -> str:
        """How the verdict is reached, in words."""
        return f"{self.criterion} {RULE}"


# --- lower layers matter most ---


def ranked_cut(evidence: Evidence, model: str) -> tuple[int, list[str]] | None:
    """The deepest cut at which top, bottom and, if possible, another strategy were run, and the strategies there."""
    runs = evidence.scores.runs
    counted_runs = runs[
        (runs["model"] == model)
        & (runs["origin"] == "pretrained")
        & (runs["amount"] == runs["num_dropped"].astype(str))
        & ~runs["strategy"].isin(NOT_RANKED)
        & runs["task"].isin(list(evidence.tasks.values()))
    ]
    at_cut = {
        int(num_dropped): list(rows["strategy"].unique())
        for num_dropped, rows in counted_runs.groupby("num_dropped")
        if {"top", "bottom"} <= set(rows["strategy"])
    }
    if not at_cut:
        return None
    num_dropped = max(at_cut, key=lambda cut: (len(at_cut[cut]) > 2, cut))
    return num_dropped, at_cut[num_dropped]


def _orderings(evidence: Evidence, champion: str, is_best: bool) -> Iterator[Finding]:
    """For each model: is `champion` the best (or the worst) strategy at the deepest shared cut?"""
    for model in evidence.models:
        found = ranked_cut(evidence, model)
        if found is None:
            yield Finding(model, [], "top and bottom were not run at the same cut on any of the paper's tasks")
            continue
        num_dropped, strategies = found
        contrasts: list[Contrast] = []
        same: list[str] = []
        apart: list[str] = []
        for rival in (name for name in strategies if name != champion):
            better, worse = (champion, rival) if is_best else (rival, champion)
            arms = {
                name: (pruned(model, task, better, num_dropped), pruned(model, task, worse, num_dropped))
                for name, task in evidence.tasks.items()
            }
            kept = [[evidence.scores.rows(*arm)["kept_layers"].tolist() for arm in pair] for pair in arms.values()]
            both = [pair for pair in kept if all(pair)]
            if all(one == other for one, other in both):
                (same if both else apart).append(rival)
                continue
            terms = {name: {one: 1.0, other: -1.0} for name, (one, other) in arms.items()}
            text = f"{better} minus {worse}"
            contrasts += evidence.compare_over_tasks(text, num_dropped, terms, decide=rival in RANKED_STRATEGIES)
        remarks = [
            f"dropping the same layers as {champion}, so left out: {listed(same)}" if same else "",
            f"not run on the same tasks as {champion}, so left out: {listed(apart)}" if apart else "",
            _not_run([name for name in RANKED_STRATEGIES if name not in strategies], num_dropped),
        ]
        yield Finding(model, contrasts, join_remarks(remarks))


def _not_run(strategies: Sequence[str], num_dropped: int) -> str:
    return f"not run with {counted(num_dropped, 'layer')} dropped: {listed(strategies)}" if strategies else ""


# --- some tasks are robust ---


def _robust_tasks(evidence: Evidence) -> Iterator[Finding]:
    for model in evidence.models:
        half = evidence.scores.num_layers(model) // 2
        losses = {name: loss(model, task, "top", half) for name, task in evidence.tasks.items()}
        losses = {name: terms for name, terms in losses.items() if evidence.ran(terms)}
        pairs = [(most, least) for most in MOST_HARMED for least in LEAST_HARMED if most in losses and least in losses]
        decisive = [
            evidence.compare(
                f"loss on {most} minus loss on {least}",
                f"{evidence.tasks[most]}, {evidence.tasks[least]}",
                half,
                difference(losses[most], losses[least]),
                DECIDES,
            )
            for most, least in pairs
        ]
        text = f"loss with the top {half} dropped"
        shown = [evidence.compare(text, evidence.tasks[name], half, losses[name], SHOWN) for name in losses]
        shown += evidence.compare_over_tasks(text, half, losses, decide=False)
        missing = [name for name in (*MOST_HARMED, *LEAST_HARMED) if name not in losses]
        remark = f"top with {counted(half, 'layer')} dropped was not run on {listed(missing)}" if missing else ""
        yield Finding(model, decisive + shown, remark)


# --- objectives differ ---


def _compare_losses(evidence: Evidence, more: str, less: str, strategy: str, num_dropped: int) -> list[Contrast]:
    """The claim that one model loses more than another at the same cut."""
    terms = {
        name: difference(loss(more, task, strategy, num_dropped), loss(less, task, strategy, num_dropped))
        for name, task in evidence.tasks.items()
    }
    return evidence.compare_over_tasks(f"loss of {more} minus loss of {less}", num_dropped, terms)


def _middle_layers(evidence: Evidence) -> Iterator[Finding]:
    models, problem = evidence.stand_ins("XLNet", "BERT")
    if problem:
        yield Finding("", [], problem)
        return
    runs = evidence.scores.runs
    symmetric = runs[(runs["strategy"] == "symmetric") & (runs["origin"] == "pretrained")]
    shared = set.intersection(*(set(symmetric.loc[symmetric["model"] == model, "num_dropped"]) for model in models))
    if not shared:
        yield Finding(listed(models), [], f"symmetric was not run at the same cut for {listed(models)}")
        return
    contrasts = _compare_losses(evidence, models[0], models[1], "symmetric", int(min(shared)))
    yield Finding(listed(models), contrasts)


def _deep_cut(evidence: Evidence) -> Iterator[Finding]:
    models, problem = evidence.stand_ins("BERT", "RoBERTa", "XLNet")
    if problem:
        yield Finding("", [], problem)
        return
    half = evidence.scores.num_layers(models[0]) // 2
    contrasts = [
        contrast for rival in models[1:] for contrast in _compare_losses(evidence, models[0], rival, "top", half)
    ]
    remark = "" if contrasts else f"top with {counted(half, 'layer')} dropped was not run for these models"
    yield Finding(listed(models), contrasts, remark)


def _plateau(evidence: Evidence) -> Iterator[Finding]:
    models, problem = evidence.stand_ins("BERT", "RoBERTa", "XLNet")
    if problem:
        yield Finding("", [], problem)
        return
    num_layers = evidence.scores.num_layers(models[0])
    knee = round(7 * num_layers / 12)
    curves = {model: POINTS * evidence.curves(model, "probe") for model in models}
    if any(curve.empty for curve in curves.values()):
        yield Finding(listed(models), [], "layer-wise classifiers were not trained for these models")
        return
    gains = {model: curve[num_layers] - curve[knee] for model, curve in curves.items()}
    bert, *rivals = models
    contrasts = [
        contrast
        for rival in rivals
        for contrast in evidence.compare_states(
            f"gain from depth {knee} to {num_layers}: {bert} minus {rival}", gains[bert] - gains[rival], "points"
        )
    ]
    yield Finding(listed(models), contrasts)


def _similarity(evidence: Evidence) -> Iterator[Finding]:
    models, problem = evidence.stand_ins("BERT", "XLNet")
    if problem:
        yield Finding("", [], problem)
        return
    num_layers = evidence.scores.num_layers(models[0])
    middle = list(range(round(num_layers / 4), num_layers // 2 + 1))
    upper = list(range(round(2 * num_layers / 3), num_layers))
    contrasts = []
    # BERT's cosine falls from the middle to the top, XLNet's rises again.
    for model, (first, second) in zip(models, ((middle, upper), (upper, middle)), strict=True):
        curve = evidence.curves(model, "similarity")
        if curve.empty:
            yield Finding(listed(models), [], f"{model}: fine-tuned states were not compared with pre-trained ones")
            return
        text = f"{model}: depths {first[0]} to {first[-1]} minus {second[0]} to {second[-1]}"
        contrasts += evidence.compare_states(text, curve[first].mean(axis=1) - curve[second].mean(axis=1), "cosine")
    yield Finding(listed(models), contrasts)


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

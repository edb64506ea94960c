"""Claims about which strategy is better than which, from the pre-trained model."""

from collections.abc import Collection, Iterator, Sequence

import pandas as pd

from shallower.core.wording import counted, listed
from shallower.models.stack import Stack
from shallower.paper.claims import Finding
from shallower.paper.evidence import Contrast, Evidence, pruned
from shallower.paper.names import RANKED_STRATEGIES
from shallower.paper.remarks import join_remarks
from shallower.paper.shown_runs import cuts
from shallower.surgery.amounts import COUNT
from shallower.surgery.strategies import STRATEGIES, check_amount

NOT_RUN = "not run with"
# Not ranked: they drop any set of layers, or no fixed number of them.
NOT_RANKED = tuple(name for name, strategy in STRATEGIES.items() if strategy.amount is not COUNT)


def best_or_worst(evidence: Evidence, champion: str, is_best: bool) -> Iterator[Finding]:
    """For each model: is `champion` the best (or the worst) strategy at the deepest shared cut?"""
    for model in evidence.models:
        num_dropped = deepest_shared_cut(evidence, model)
        if num_dropped is None:
            yield Finding(model, [], "top and bottom were not run at the same cut on any of the paper's tasks")
            continue
        yield _ranking(evidence, model, num_dropped, champion, RANKED_STRATEGIES, is_best)


def deepest_shared_cut(evidence: Evidence, model: str) -> int | None:
    """The deepest cut at which top, bottom and, if possible, another strategy were run."""
    at_cut = {
        int(num_dropped): set(rows["strategy"]) for num_dropped, rows in _ranked(evidence, model).groupby("num_dropped")
    }
    shared = [cut for cut, strategies in at_cut.items() if {"top", "bottom"} <= strategies]
    return max(shared, key=lambda cut: (len(at_cut[cut]) > 2, cut), default=None)


def odd_alternate(evidence: Evidence) -> Iterator[Finding]:
    """For each model, at the paper's smallest cut: is odd-alternate better than top? Other strategies are shown."""
    for model in evidence.models:
        num_dropped = cuts(evidence.scores.num_layers(model))[0]
        yield _ranking(evidence, model, num_dropped, "odd-alternate", ("top",))


def variance_second(evidence: Evidence) -> Iterator[Finding]:
    """For each model, without half of its layers: is variance better than all strategies but top? Top is shown."""
    rivals = [name for name in RANKED_STRATEGIES if name not in ("top", "parameter-variance")]
    for model in evidence.models:
        num_dropped = cuts(evidence.scores.num_layers(model))[-1]
        yield _ranking(evidence, model, num_dropped, "parameter-variance", rivals)


def variance_or_aggregation(evidence: Evidence) -> Iterator[Finding]:
    """For each model, at the paper's cuts: is variance better than aggregation?"""
    champion, rival = "parameter-variance", "parameter-aggregation"
    for model in evidence.models:
        contrasts: list[Contrast] = []
        remarks: list[str] = []
        is_partial = False
        for num_dropped in cuts(evidence.scores.num_layers(model)):
            found, said, lacks = _against(evidence, model, num_dropped, champion, (rival,), shown=False)
            contrasts += found
            is_partial |= lacks
            # What was not run says with how many layers itself.
            remarks += [
                text if text.startswith(NOT_RUN) else f"{counted(num_dropped, 'layer')}: {text}"
                for text in filter(None, said)
            ]
        yield Finding(model, contrasts, join_remarks(remarks), is_partial)


def _ranking(
    evidence: Evidence, model: str, num_dropped: int, champion: str, rivals: Sequence[str], is_best: bool = True
) -> Finding:
    contrasts, remarks, is_partial = _against(evidence, model, num_dropped, champion, rivals, is_best)
    return Finding(model, contrasts, join_remarks(remarks), is_partial)


def _against(
    evidence: Evidence,
    model: str,
    num_dropped: int,
    champion: str,
    rivals: Collection[str],
    is_best: bool = True,
    shown: bool = True,
) -> tuple[list[Contrast], list[str], bool]:
    """Contrasts of a strategy with the others at a cut, remarks on those that are missing, and whether it is partial.

    `rivals` decide; the others are shown, if at all. All are above zero if `champion` is the best (or the worst). It is
    partial where a rival was not run that could drop so many layers.
    """
    runs = _ranked(evidence, model)
    strategies = list(runs.loc[runs["num_dropped"] == num_dropped, "strategy"].unique())
    wanted = [name for name in rivals if name != champion]
    if champion not in strategies:
        return [], [_not_run([champion], num_dropped)], True
    contrasts: list[Contrast] = []
    same: list[str] = []
    apart: list[str] = []
    for rival in strategies:
        if rival == champion or not (shown or rival in wanted):
            continue
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
        contrasts += evidence.compare_over_tasks(text, num_dropped, terms, decide=rival in wanted)
    layers = Stack(evidence.scores.num_layers(model))
    possible = [name for name in wanted if check_amount(name, num_dropped, layers) is None]
    missing = [name for name in possible if name not in strategies or name in apart]
    remarks = [
        f"dropping the same layers as {champion}, so left out: {listed(same)}" if same else "",
        f"not run on the same tasks as {champion}, so left out: {listed(apart)}" if apart else "",
        _not_run([name for name in wanted if name not in strategies], num_dropped),
    ]
    return contrasts, remarks, bool(missing)


def _ranked(evidence: Evidence, model: str) -> pd.DataFrame:
    """Runs of a model, on the paper's tasks, of strategies whose amount is a number of layers."""
    runs = evidence.scores.runs
    return runs[
        (runs["model"] == model)
        & (runs["origin"] == "pretrained")
        & (runs["amount"] == runs["num_dropped"].astype(str))
        & ~runs["strategy"].isin(NOT_RANKED)
        & runs["task"].isin(list(evidence.tasks.values()))
    ]


def _not_run(strategies: Sequence[str], num_dropped: int) -> str:
    return f"{NOT_RUN} {counted(num_dropped, 'layer')} dropped: {listed(strategies)}" if strategies else ""

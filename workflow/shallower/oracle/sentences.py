"""What the tables of judged strategies say, in sentences."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from shallower.core.wording import JOINED, MINUS, counted, listed
from shallower.oracle.names import MARGIN, OTHER_SEEDS, RANDOM, SUMMED, UNDECIDED, WITHIN, WITHIN_SIZES, WORSE

# Names of measures for readers.
MEASURE_TITLES = {
    "readout_loss": "loss of the readout",
    "readout_score": "score of the readout",
    "loss": "loss of the model as it is",
    "score": "score of the model as it is",
    "divergence": "divergence from the full model's answers",
    "cosine": "cosine with the full model's vectors",
    OTHER_SEEDS: "score after refining, other seeds",
}


def measure_title(name: str) -> str:
    """The name of a measure for readers."""
    if name.startswith(SUMMED):
        return f"{name.removeprefix(SUMMED)}, sum over the dropped layers"
    return MEASURE_TITLES[name]


def strategy_title(name: str) -> str:
    """The name of a strategy, or of what it is compared with, for readers."""
    return "a random subset" if name == RANDOM else name


def number(value: float, decimals: int = 1) -> str:
    """A number with a true minus sign; no minus zero."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def points(value: float) -> str:
    """`1.2 points`."""
    return f"{number(value)}{JOINED}points"


def with_interval(row: Any, value: str, low: str = "low", high: str = "high", decimals: int = 1) -> str:
    """`1.2 (0.3 to 2.1)`, of columns of a row."""
    return f"{number(row[value], decimals)} ({number(row[low], decimals)} to {number(row[high], decimals)})"


def price_text(refinings: float, forward_passes: float) -> str:
    """What a choice costs, such as `6 refinings, 10.5 passes`; `nothing`."""
    priced = ((refinings, "refining", "refinings"), (forward_passes, "pass", "passes"))
    parts = [f"{value:.3g} {one if value == 1 else many}" for value, one, many in priced if value]
    return ", ".join(parts) or "nothing"


def strategy_sentences(strategies: pd.DataFrame) -> Iterator[str]:
    """How the strategies of a model and origin compare; `strategies` are their rows of strategies.csv."""
    rows = strategies.set_index("strategy", drop=False)
    reference = rows.loc[rows["reference"].iloc[0]]
    least = with_interval(reference, "regret")
    yield (
        f"Of the strategies that can leave any number of layers {reference['strategy']} loses least against the best "
        f"subset of the same size: {least} points, the mean of {counted(int(reference['cases']), 'case')} (a task and "
        "a number of layers each)."
    )
    others = rows[~rows["strategy"].isin([RANDOM, reference["strategy"]])]
    is_better = others["difference_high"] < 0
    if better := others.loc[is_better, "strategy"].tolist():
        yield f"Better, where they can choose: {listed([_with_difference(rows.loc[name]) for name in better])}."
    good = others.loc[(others["verdict"] == WITHIN) & ~is_better, "strategy"].tolist()
    if good:
        yield (
            f"As good, with the whole interval of the difference below {points(MARGIN)}: "
            f"{listed([_with_price(rows.loc[name]) for name in good])}."
        )
    elif not better:
        yield f"No other strategy is shown to be as good, within {points(MARGIN)}."
    if worse := others.loc[others["verdict"] == WORSE, "strategy"].tolist():
        yield f"Worse: {listed([_with_difference(rows.loc[name]) for name in worse])}."
    if open_ones := others.loc[others["verdict"] == UNDECIDED, "strategy"].tolist():
        yield f"Not decided by these data: {listed([_with_difference(rows.loc[name]) for name in open_ones])}."
    yield from _about_free_ones(rows, reference)
    chance = rows.loc[RANDOM]
    yield f"A subset drawn at random loses {with_interval(chance, 'regret')} points."


def _with_price(row: Any) -> str:
    return f"{row['strategy']} (costs {price_text(row['refinings'], row['forward_passes'])})"


def _with_difference(row: Any) -> str:
    return f"{row['strategy']} (+{number(row['difference'])})".replace(f"+{MINUS}", MINUS)


def _about_free_ones(rows: pd.DataFrame, reference: Any) -> Iterator[str]:
    """What the best strategy that costs nothing loses; only those that can be used everywhere count."""
    free = rows[(rows["refinings"] == 0) & (rows["forward_passes"] == 0) & (rows["strategy"] != RANDOM)]
    free = free[free["cases"] == reference["cases"]]
    if free.empty:
        return
    best = free.loc[free["regret"].idxmin()]
    if best["strategy"] == reference["strategy"]:
        yield f"That choice costs nothing: {best['strategy']} needs no data and no forward pass."
        return
    said = {
        WITHIN: "it is as good",
        WORSE: "it is worse",
        UNDECIDED: "these data do not decide whether it is as good",
    }[best["verdict"]]
    difference = with_interval(best, "difference", "difference_low", "difference_high")
    yield (
        f"Of the rules that cost nothing and can drop any number of layers {best['strategy']} loses least, "
        f"{difference} points more than {reference['strategy']}: {said}."
    )


def shortlist_sentence(shortlists: pd.DataFrame) -> str:
    """How the regret falls with the number of refined subsets, of the rows of the mean of a model and origin."""
    steps = [f"{row['refined']:.0f}: {with_interval(row, 'regret')}" for row in shortlists.to_dict("records")]
    enough = shortlists.loc[shortlists["high"] <= MARGIN, "refined"]
    conclusion = f"none of these is shown to lose at most {points(MARGIN)}"
    if len(enough):
        are = "is" if enough.min() == 1 else "are"
        subsets = counted(int(enough.min()), "subset")
        conclusion = f"{subsets} {are} enough to lose at most {points(MARGIN)}, with the whole interval"
    return (
        "When the subsets with the best readouts are refined and the best of them is kept, the regret by their number "
        f"is {'; '.join(steps)}. {conclusion[0].upper()}{conclusion[1:]}."
    )


def correlation_sentence(correlations: pd.DataFrame) -> str:
    """Which score ranks subsets of a size best, of the rows of the mean of a model and origin."""
    rows = correlations[correlations["num_kept"] == WITHIN_SIZES].set_index("measure", drop=False)
    own = rows[rows["measure"] != OTHER_SEEDS]
    best = own.loc[own["correlation"].idxmax()]
    said = (
        f"Among subsets of the same size, what ranks them best before refining is: {measure_title(best['measure'])} "
        f"(Spearman's correlation {with_interval(best, 'correlation', decimals=2)})"
    )
    if best["measure"] != "readout_loss":
        said += f"; the loss of the readout has {with_interval(rows.loc['readout_loss'], 'correlation', decimals=2)}"
    if OTHER_SEEDS in rows.index:
        said += (
            f". Refining them with other seeds ranks them with {number(rows.loc[OTHER_SEEDS]['correlation'], 2)}, "
            "about as high as any score can come"
        )
    return said + "."


def coverage_sentences(coverage: pd.DataFrame) -> list[str]:
    """The numbers of layers that are not judged, because some of their subsets are not refined."""
    left_out = coverage[~coverage["judged"].astype(bool)]
    return [
        f"{row['model']} on {row['task']} (origin {row['origin']}), {counted(int(row['num_kept']), 'layer')} kept: "
        f"{row['refined']} of {row['num_subsets']} subsets are refined."
        for row in left_out.to_dict("records")
    ]

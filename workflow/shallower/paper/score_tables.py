"""The paper's items that are made of scores: Tables 2, 3, 5, 6 and 7, gradual dropping, strategies compared."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from shallower.core.runs import NO_STRATEGY
from shallower.evaluation.estimates import Estimate, Scores
from shallower.paper.comparison import (
    NOT_IN_STUDY,
    NOT_RUN,
    Arm,
    Counterparts,
    Ours,
    Pair,
    ScoreLines,
    TaskColumn,
    arm_columns,
    cell,
    dropped_label,
    frame,
    top_arm,
)
from shallower.paper.names import FIVE, PAPER_MODELS, PAPER_STRATEGIES, SEVEN
from shallower.paper.shown_runs import COMPARED_IN_TABLE_7, FINETUNED, cuts
from shallower.paper.values import PaperNumber
from shallower.surgery.amounts import COUNT
from shallower.surgery.origins import ORIGINS
from shallower.surgery.strategies import STRATEGIES

FULL = "the full model, which the others are compared with"
OTHER_STRATEGY = "not a strategy of the paper"
NO_IMPROVEMENT = "the paper reports no improvement"
# Sizes and times are printed without decimals.
WHOLE_NUMBER = 0.5


def table_2(counterparts: Counterparts, scores: Scores) -> pd.DataFrame:
    """Table 2: top layers dropped, by task, with means over seven and five tasks. ALBERT is in Table 5."""
    lines = ScoreLines(counterparts, scores, ["table-2", "table-6"])
    return _top_table(lines, [pair for pair in lines.pairs() if not _is(counterparts, pair, "ALBERT")], SEVEN)


def table_5(counterparts: Counterparts, scores: Scores) -> pd.DataFrame:
    """Table 5: the same for ALBERT, on five tasks."""
    lines = ScoreLines(counterparts, scores, ["table-5"])
    return _top_table(lines, [pair for pair in lines.pairs() if _is(counterparts, pair, "ALBERT")], FIVE)


def _is(counterparts: Counterparts, pair: Pair, *names: str) -> bool:
    """Whether a pair is about one of these models of the paper, even if a different depth prevents the comparison."""
    return (counterparts.models.get(pair.model) or pair.counterpart) in names


def _top_table(lines: ScoreLines, pairs: list[Pair], papers: tuple[str, ...]) -> pd.DataFrame:
    columns = lines.counterparts.columns(papers)
    return frame(
        cell
        for pair in pairs
        for n in (0, *cuts(pair.num_layers))
        for cell in lines.line(pair, top_arm(n), columns, f"{pair.name}, {dropped_label(n)}")
    )


def table_6(counterparts: Counterparts, scores: Scores) -> pd.DataFrame:
    """Table 6: distilled models, those with half of their layers dropped, and what the paper quotes from others."""
    lines = ScoreLines(counterparts, scores, ["table-6"])
    columns = counterparts.columns(FIVE)
    cells = []
    pairs = lines.pairs()
    for pair in (pair for pair in pairs if pair.model):
        half = cuts(pair.num_layers)[-1]
        if pair.num_layers == PAPER_MODELS["DistilBERT"] or _is(counterparts, pair, "DistilBERT", "DistilRoBERTa"):
            half = 0
        kept = f"{pair.num_layers - half} of {pair.num_layers}" if half else f"all {pair.num_layers}"
        cells += lines.line(pair, top_arm(half), columns, f"{pair.name}, {kept} layers")
    compared = {pair.counterpart for pair in pairs if pair.model}
    rows = counterparts.of_items("table-6").drop_duplicates(["model", "origin", "strategy", "num_dropped"])
    for model, origin, strategy, n in rows[["model", "origin", "strategy", "num_dropped"]].itertuples(index=False):
        if model not in compared:
            num_dropped = None if pd.isna(n) else int(n)
            arm = Arm(origin, strategy, "" if num_dropped is None else str(num_dropped), num_dropped)
            row = f"{model}, 6 of 12 layers" if num_dropped else model

            def find(task: str, model: str = model, origin: str = origin) -> PaperNumber | None:
                return counterparts.find(["table-6"], model=model, origin=origin, task=task, quantity="score")

            cells += lines.line(Pair("", model, PAPER_MODELS.get(model, 6)), arm, columns, row, find=find)
    return frame(cells)


def table_7(counterparts: Counterparts, scores: Scores) -> pd.DataFrame:
    """Table 7: half of the layers dropped from the top of the pre-trained and of the fine-tuned model.

    Also everything else that the study drops from the fine-tuned model; the layers to drop may have been frozen in the
    first fine-tuning, as in the caption of the preprint's Table 5.
    """
    lines = ScoreLines(counterparts, scores, ["table-7"])
    columns = counterparts.columns(FIVE)
    cells = []
    for pair in lines.pairs():
        half = str(cuts(pair.num_layers)[-1])
        arms = dict.fromkeys([("top", half), *_run_arms(scores, pair.model, FINETUNED)])
        for strategy, amount in arms:
            for origin in COMPARED_IN_TABLE_7:
                arm = Arm(origin, strategy, amount, _num_dropped(scores, pair, strategy, amount))
                row = f"{pair.name}, {strategy} {amount}, {ORIGINS[origin].title}"
                keep = bool(pair.model) and strategy == "top" and amount == half and origin != "finetuned-frozen"
                cells += lines.line(pair, arm, columns, row, keep=keep)
    return frame(cells)


def gradual(counterparts: Counterparts, scores: Scores) -> pd.DataFrame:
    """Gradual dropping minus dropping at once, in points: the same layers, one after every two epochs (section 4)."""
    lines = ScoreLines(counterparts, scores, ["gradual"])
    columns = counterparts.columns(SEVEN)
    cells = []
    for pair in lines.pairs():
        half = ("top", str(cuts(pair.num_layers)[-1]))
        for strategy, amount in _run_arms(scores, pair.model, ("gradual",)) or [half]:
            arm = Arm("gradual", strategy, amount, _num_dropped(scores, pair, strategy, amount))

            def minus_at_once(task: str, model: str = pair.model, arm: Arm = arm) -> Estimate | None:
                arms = (model, task, *arm[:3]), (model, task, "pretrained", *arm[1:3])
                seeds = scores.common_seeds(*arms)
                gradually, at_once = (scores.score(*each, seeds=seeds) for each in arms)
                return gradually - at_once if gradually and at_once else None

            row = f"{pair.name}, {strategy} {amount}, gradual minus at once"
            cells += lines.line(
                pair, arm, columns, row, "difference", of_task=minus_at_once, remarks=[NO_IMPROVEMENT], keep=True
            )
    return frame(cells)


def _run_arms(scores: Scores, model: str, origins: tuple[str, ...]) -> list[tuple[str, str]]:
    """Strategies and amounts of a model's runs of these origins."""
    runs = scores.runs[(scores.runs["model"] == model) & scores.runs["origin"].isin(origins)]
    return list(runs[["strategy", "amount"]].drop_duplicates().itertuples(index=False, name=None))


def _num_dropped(scores: Scores, pair: Pair, strategy: str, amount: str) -> int | None:
    """How many layers an arm drops, for thresholds in most of its runs; None without a run."""
    if strategy in STRATEGIES and STRATEGIES[strategy].amount is COUNT:
        return int(amount)
    runs = scores.runs
    here = (runs["model"] == pair.model) & (runs["strategy"] == strategy) & (runs["amount"] == amount)
    return int(runs.loc[here, "num_dropped"].mode().iloc[0]) if here.any() else None


# --- Table 3 -------------------------------------------------------------------------------------------------------


def table_3(counterparts: Counterparts, scores: Scores, costs: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Table 3: loss, size, and speed of fine-tuning and inference when top layers are dropped.

    `costs` is cost.json by model.

    The paper's losses mix means over seven tasks (BERT, XLNet) and five (RoBERTa): here both are given.
    """
    lines = ScoreLines(counterparts, scores, ["table-3"])
    table_2_lines = ScoreLines(counterparts, scores, ["table-2"])
    means = [counterparts.mean_column(SEVEN), counterparts.mean_column(FIVE)]
    means = [replace(column, label=f"loss, {column.label}") for column in means]
    cells = []
    for pair in lines.pairs():
        for n in (0, *cuts(pair.num_layers)):
            arm = top_arm(n)
            row = f"{pair.name}, {dropped_label(n)}"

            def loss(task: str, model: str = pair.model, arm: Arm = arm) -> Estimate | None:
                pair = scores.with_full(model, task, *arm[:3])
                return pair[1] - pair[0] if pair else None

            def find(task: str, name: str = pair.counterpart, arm: Arm = arm) -> PaperNumber | None:
                if found := lines.find(name, arm, task, "loss"):
                    return found
                full, cut = (table_2_lines.find(name, which, task) for which in (top_arm(0), arm))
                if full is None or cut is None:
                    return None
                value, note = full.value - cut.value, "from the scores of Table 2"
                return replace(full, value=value, printed=value, how="derived", note=note)

            if n:
                line = lines.line(pair, arm, means, row, "loss", loss, find)
            else:
                line = [
                    cell(row, column.label, None, None, "loss", [FULL], **arm_columns(pair, arm), task=column.task)
                    for column in means
                ]
            line += [
                _parameters(lines, pair, arm, row),
                _finetuning_speedup(lines, pair, arm, row),
                _inference_time(lines, pair, arm, row, costs.get(pair.model)),
            ]
            cells += line if any(part.keys() & {"ours", "paper"} for part in line) else []
    return frame(cells)


def _parameters(lines: ScoreLines, pair: Pair, arm: Arm, row: str) -> dict[str, Any]:
    """Millions of parameters; heads, which differ by task, are averaged."""
    runs = _runs(lines.scores, pair.model, arm)
    size = runs["parameters"].mean() / 1e6
    ours = None if runs.empty else Ours(size, size, size)
    return _measured(lines, pair, arm, row, "parameters", "parameters_millions", ours, _why(pair, runs))


def _finetuning_speedup(lines: ScoreLines, pair: Pair, arm: Arm, row: str) -> dict[str, Any]:
    """Time to fine-tune the full model divided by that of the pruned one, for as many tokens; mean over tasks."""
    quantity, column = "finetune_speedup", "speed-up of fine-tuning"
    if arm.num_dropped == 0:
        return _measured(lines, pair, arm, row, column, quantity, None, FULL)
    runs = _runs(lines.scores, pair.model, arm)
    full = _runs(lines.scores, pair.model, top_arm(0))
    seconds = runs.merge(full, on=["task", "seed"], suffixes=("", "_full"))
    ratios = (seconds["seconds_per_token_full"] / seconds["seconds_per_token"]).dropna()
    if ratios.empty:
        return _measured(lines, pair, arm, row, column, quantity, None, _why(pair, runs))
    value = ratios.groupby(seconds["task"]).mean().mean()
    seeds = int(seconds.groupby("task").size().min())
    ours = Ours(value, ratios.min(), ratios.max(), seeds, "range over tasks and seeds, on this machine")
    return _measured(lines, pair, arm, row, column, quantity, ours)


def _inference_time(
    lines: ScoreLines, pair: Pair, arm: Arm, row: str, cost: Mapping[str, Any] | None
) -> dict[str, Any]:
    """How much less time a batch takes, in percent (negative), for the largest batch that was measured."""
    quantity, column = "inference_time_change_percent", "inference time"
    if arm.num_dropped == 0:
        return _measured(lines, pair, arm, row, column, quantity, None, FULL)
    runs = _runs(lines.scores, pair.model, arm)
    if runs.empty or _runs(lines.scores, pair.model, top_arm(0)).empty or cost is None:
        return _measured(lines, pair, arm, row, column, quantity, None, _why(pair, runs) or "not measured")
    slowest = {
        entry["depth"]: max(entry["latency"], key=lambda latency: latency["batch_size"]) for entry in cost["depths"]
    }
    cut, full = slowest[pair.num_layers - (arm.num_dropped or 0)], slowest[pair.num_layers]
    # The paper times the texts of QQP's validation split, in batches of 32.
    of = f"{cost['sequence_length']} random tokens each, not of QQP" if cost["task"] is None else f"task {cost['task']}"
    remark = f"batches of {full['batch_size']} texts, of {of}, on this machine; range from the quartiles of both times"
    change, low, high = (
        100 * cut[ours] / full[theirs] - 100
        for ours, theirs in (("median_ms", "median_ms"), ("low_ms", "high_ms"), ("high_ms", "low_ms"))
    )
    return _measured(lines, pair, arm, row, column, quantity, Ours(change, low, high, None, remark))


def _measured(
    lines: ScoreLines, pair: Pair, arm: Arm, row: str, column: str, quantity: str, ours: Ours | None, why: str = ""
) -> dict[str, Any]:
    """A cell that is not of a single task."""
    paper = None if why == FULL else lines.find(pair.counterpart, arm, "", quantity)
    if paper and quantity != "finetune_speedup":
        paper = replace(paper, uncertainty=WHOLE_NUMBER)
    return cell(row, column, ours, paper, quantity, [why, pair.remark], **arm_columns(pair, arm))


def _why(pair: Pair, runs: pd.DataFrame) -> str:
    if not pair.model:
        return NOT_IN_STUDY
    return NOT_RUN if runs.empty else ""


def _runs(scores: Scores, model: str, arm: Arm) -> pd.DataFrame:
    """Rows of an arm, on all tasks."""
    table = scores.runs
    of_arm = (table["origin"] == arm.origin) & (table["strategy"] == arm.strategy) & (table["amount"] == arm.amount)
    return table[(table["model"] == model) & of_arm]


# --- strategies compared -------------------------------------------------------------------------------------------


def figure_2(counterparts: Counterparts, scores: Scores) -> pd.DataFrame:
    """Figure 2: the mean over tasks by strategy and number of dropped layers, for models of more than six layers."""
    # Not among the bars: RoBERTa's numbers, which are in Table 2 and the running text.
    lines = ScoreLines(counterparts, scores, ["figure-2", "table-2", "text"])
    return _strategy_figure(lines, [pair for pair in lines.pairs() if pair.num_layers > 6])


def preprint_figure_3(counterparts: Counterparts, scores: Scores) -> pd.DataFrame:
    """The preprint's Figure 3: the same for models of up to six layers."""
    lines = ScoreLines(counterparts, scores, ["preprint-figure-3", "table-2"])
    return _strategy_figure(lines, [pair for pair in lines.pairs() if pair.num_layers <= 6])


def _strategy_figure(lines: ScoreLines, pairs: list[Pair]) -> pd.DataFrame:
    """One row a strategy of a model, one column a number of dropped layers."""
    table = frame(cell for pair in pairs for cell in _strategy_lines(lines, pair))
    return table.assign(column_order=(table["num_dropped"].rank(method="dense") - 1).astype("Int64"))


def _strategy_lines(lines: ScoreLines, pair: Pair) -> Iterator[dict[str, Any]]:
    mean = lines.counterparts.mean_column(SEVEN)
    arms = _strategy_arms(lines, pair)
    if pair.model:
        mean = _shared(lines, pair.model, arms, mean)
    else:
        # No model of ours is compared, so the paper's own mean is shown, whichever tasks the study has.
        mean = replace(mean, paper_task=mean.task, papers=SEVEN, remark="")
    for arm in arms:
        column = replace(mean, label=dropped_label(arm.num_dropped or 0))
        by_threshold = arm.strategy in STRATEGIES and STRATEGIES[arm.strategy].amount is not COUNT
        row = f"{pair.name}, {arm.strategy if arm.strategy != NO_STRATEGY else 'full model'}"
        if by_threshold and arm.amount:
            row += f" {arm.amount}"
        if by_threshold and arm.num_dropped == 0:
            why = f"{arm.strategy} {arm.amount} drops no layer"
            named = arm_columns(pair, arm) | {"task": column.task}
            yield cell(row, column.label, None, None, "score", [why, pair.remark], **named)
            continue
        remarks = [_spread(lines.scores, pair.model, arm)] if by_threshold and arm.amount else []
        if arm.strategy not in (NO_STRATEGY, *PAPER_STRATEGIES):
            remarks.append(OTHER_STRATEGY)
        if by_threshold and not arm.amount and _run_arms_of(lines.scores, pair.model, arm.strategy):
            remarks.append("no threshold of this study drops so many layers")
        yield from lines.line(pair, arm, [column], row, remarks=remarks)


def _shared(lines: ScoreLines, model: str, arms: list[Arm], mean: TaskColumn) -> TaskColumn:
    """The mean over those tasks on which all of a model's strategies were run, so that bars can be compared."""
    run = [arm for arm in arms if not _runs(lines.scores, model, arm).empty]
    shared = [
        (task, paper)
        for task, paper in zip(mean.ours, mean.papers, strict=False)
        if all(not lines.scores.rows(model, task, *arm[:3]).empty for arm in run)
    ]
    if not shared or len(shared) == len(mean.ours):
        return mean
    ours, papers = zip(*shared, strict=True)
    remark = f"over {', '.join(papers)}, on which every strategy was run"
    return replace(mean, paper_task="", ours=ours, papers=papers, remark=remark)


def _strategy_arms(lines: ScoreLines, pair: Pair) -> list[Arm]:
    """Arms of the study, then further ones of the paper, in the order of the figure."""
    arms = [top_arm(0)]
    for strategy, amount in _run_arms(lines.scores, pair.model, ("pretrained",)):
        num_dropped = _num_dropped(lines.scores, pair, strategy, amount)
        if num_dropped in cuts(pair.num_layers) or STRATEGIES[strategy].amount is not COUNT:
            arms.append(Arm("pretrained", strategy, amount, num_dropped))
    known = {(arm.strategy, arm.num_dropped) for arm in arms}
    numbers = lines.counterparts.of_items(*lines.items)
    numbers = numbers[(numbers["model"] == pair.counterpart) & (numbers["quantity"] == "score")]
    numbers = numbers[numbers["origin"] == "pretrained"].drop_duplicates(["strategy", "num_dropped"])
    for strategy, num_dropped in numbers[["strategy", "num_dropped"]].itertuples(index=False, name=None):
        if pair.counterpart and (strategy, int(num_dropped)) not in known:
            amount = str(num_dropped) if STRATEGIES[strategy].amount is COUNT else ""
            arms.append(Arm("pretrained", strategy, amount, int(num_dropped)))
    # Strategies that the paper does not have come last, in the order of the registry.
    order = [NO_STRATEGY, *PAPER_STRATEGIES, *STRATEGIES]
    return sorted(arms, key=lambda arm: (order.index(arm.strategy), arm.num_dropped or 0))


def _run_arms_of(scores: Scores, model: str, strategy: str) -> bool:
    return any(name == strategy for name, _ in _run_arms(scores, model, ("pretrained",)))


def _spread(scores: Scores, model: str, arm: Arm) -> str:
    """A remark on an arm that drops different numbers of layers on different tasks; "" for others."""
    dropped = _runs(scores, model, arm)["num_dropped"]
    if dropped.nunique() == 1:
        return ""
    return f"drops {dropped.min()} to {dropped.max()} layers, by task and seed; shown at the most common number"

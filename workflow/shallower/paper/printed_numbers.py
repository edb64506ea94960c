"""Claims that are numbers of the paper which a study has, too: sizes of the data, and what XLNet saves on QQP."""

from collections.abc import Iterator

from shallower.core.wording import listed
from shallower.evaluation.estimates import Scores
from shallower.paper.claims import Finding
from shallower.paper.evidence import DECIDES, Contrast, Evidence, ScoreKey, baseline, pruned
from shallower.paper.margins import no_worse
from shallower.paper.names import PAPER_MODELS
from shallower.paper.outcomes import HOLDS, OPEN, OPPOSITE
from shallower.paper.remarks import join_remarks
from shallower.paper.values import PaperNumber, paper_value

SPLITS = ("train", "validation")
CUT = 9  # layers that XLNet loses within 1 point on QQP (table 4)
# Percentage points: the paper's savings are multiples of ten, here taken as multiples of five.
ROUNDED = 2.5
MISSING = float("nan")


def data_sizes(evidence: Evidence) -> Iterator[Finding]:
    """Do the tasks have as many examples as in Table 1? Splits of which the study takes a part say nothing."""
    contrasts: list[Contrast] = []
    parts: list[str] = []
    for name, task in evidence.tasks.items():
        for split in SPLITS:
            if split in evidence.records.slices.get(task, ()):
                parts.append(f"{task}, {split}")
                continue
            number = paper_value(evidence.records.values, item="table-1", task=name, quantity=f"{split}_examples")
            size = evidence.records.sizes.get(task, {}).get(split)
            if number is None or size is None:
                continue
            text = f"{split} examples minus the paper's {number.value:,.0f}"
            difference = size - number.value
            outcome = OPPOSITE if difference else HOLDS
            contrasts.append(_fact(text, task, None, difference, "examples", outcome))
    remarks = [
        f"left out, because the study takes a part of it: {listed(parts)}" if parts else "",
        "" if contrasts else "no split of one of the paper's tasks is used whole",
    ]
    yield Finding("", contrasts, join_remarks(remarks))


def nine_layers(evidence: Evidence) -> Iterator[Finding]:
    """Does XLNet without nine layers save what the text says, at no more than the margin's loss on QQP?"""
    models, problem = evidence.stand_ins("XLNet")
    if problem:
        yield Finding("", [], problem)
        return
    model, num_layers = models[0], evidence.scores.num_layers(models[0])
    task = evidence.tasks.get("QQP", "")
    cut, full = pruned(model, task, "top", CUT), baseline(model, task)
    if num_layers != PAPER_MODELS["XLNet"] or not evidence.ran({cut: 1.0, full: -1.0}):
        yield Finding(model, [], f"XLNet's {CUT} of {PAPER_MODELS['XLNet']} top layers were not dropped on QQP")
        return
    remark = "" if evidence.learned(model, task) else "the full model has not learned QQP, so it has nothing to lose"
    contrasts = (
        [] if remark else no_worse(evidence, f"without {CUT} layers", "the full model", CUT, {"QQP": (cut, full)})
    )
    contrasts.append(_parameters(evidence, cut, full))
    time = _inference_time(evidence, model, task, num_layers)
    contrasts += [time] if time else []
    problem = join_remarks([remark, "" if time else "inference was not timed"])
    yield Finding(model, contrasts, problem, is_partial=bool(problem))


def _parameters(evidence: Evidence, cut: ScoreKey, full: ScoreKey) -> Contrast:
    sizes = [_parameters_of(evidence.scores, arm) for arm in (cut, full)]
    change, number = 100 * sizes[0] / sizes[1] - 100, _number(evidence, "parameters_change_percent")
    off = change - number.value
    outcome = HOLDS if abs(off) <= ROUNDED else OPPOSITE
    text = f"change of parameters, {change:.1f} %, minus the paper's {number.value:g} %"
    return _fact(text, cut.task, CUT, off, "%", outcome)


def _parameters_of(scores: Scores, arm: ScoreKey) -> float:
    return float(scores.rows(*arm)["parameters"].mean())


def _inference_time(evidence: Evidence, model: str, task: str, num_layers: int) -> Contrast | None:
    """The change for the largest batch that was measured, with the range from the quartiles of both times."""
    depths = {entry["depth"]: entry["latency"] for entry in evidence.records.costs.get(model, {}).get("depths", ())}
    if not {num_layers, num_layers - CUT} <= depths.keys():
        return None
    full, cut = (max(depths[depth], key=lambda one: one["batch_size"]) for depth in (num_layers, num_layers - CUT))
    change, low, high = (
        100 * cut[ours] / full[theirs] - 100
        for ours, theirs in (("median_ms", "median_ms"), ("low_ms", "high_ms"), ("high_ms", "low_ms"))
    )
    number = _number(evidence, "inference_time_change_percent")
    off, off_low, off_high = (value - number.value for value in (change, low, high))
    if max(abs(off_low), abs(off_high)) <= ROUNDED:
        outcome = HOLDS
    else:
        outcome = OPPOSITE if off_low > ROUNDED or off_high < -ROUNDED else OPEN
    text = f"change of inference time, {change:.1f} %, minus the paper's {number.value:g} %"
    return _fact(text, task, CUT, off, "%", outcome, (off_low, off_high), "range of quartiles")


def _number(evidence: Evidence, quantity: str) -> PaperNumber:
    number = paper_value(evidence.records.values, item="text", model="XLNet", quantity=quantity)
    if number is None:
        raise ValueError(f"values.csv has no {quantity} of XLNet")
    return number


def _fact(
    text: str,
    task: str,
    num_dropped: int | None,
    off: float,
    unit: str,
    outcome: str,
    between: tuple[float, float] = (MISSING, MISSING),
    how: str = "none: a count",
) -> Contrast:
    """A number that needs no test, less the paper's."""
    return Contrast(text, task, num_dropped, DECIDES, off, *between, unit, MISSING, None, None, how, settled=outcome)

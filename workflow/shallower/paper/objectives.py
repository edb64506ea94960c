"""Claims about models that were pre-trained differently: the study's stand-ins of BERT, RoBERTa and XLNet, compared."""

from collections.abc import Iterator

from shallower.core.wording import counted, listed
from shallower.evaluation.estimates import POINTS
from shallower.paper.claims import Finding
from shallower.paper.evidence import Contrast, Evidence, difference, loss
from shallower.paper.margins import learned_tasks
from shallower.paper.remarks import join_remarks
from shallower.paper.shown_runs import cuts


def _compare_losses(
    evidence: Evidence, more: str, less: str, strategy: str, num_dropped: int
) -> tuple[list[Contrast], str]:
    """The claim that one model loses more than another at the same cut, and a remark on tasks that are left out."""
    tasks, remark = learned_tasks(evidence, [more, less])
    terms = {
        name: difference(loss(more, task, strategy, num_dropped), loss(less, task, strategy, num_dropped))
        for name, task in tasks.items()
    }
    return evidence.compare_over_tasks(f"loss of {more} minus loss of {less}", num_dropped, terms), remark


def middle_layers(evidence: Evidence) -> Iterator[Finding]:
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
    yield Finding(listed(models), *_compare_losses(evidence, models[0], models[1], "symmetric", int(min(shared))))


def deep_cut(evidence: Evidence) -> Iterator[Finding]:
    models, problem = evidence.stand_ins("BERT", "RoBERTa", "XLNet")
    if problem:
        yield Finding("", [], problem)
        return
    half = cuts(evidence.scores.num_layers(models[0]))[-1]
    found = {rival: _compare_losses(evidence, models[0], rival, "top", half) for rival in models[1:]}
    absent = [rival for rival, (contrasts, _) in found.items() if not contrasts]
    contrasts = [contrast for of_rival, _ in found.values() for contrast in of_rival]
    remarks = [f"{rival}: {remark}" for rival, (_, remark) in found.items() if remark]
    if absent:
        arm = f"top with {counted(half, 'layer')} dropped"
        remarks.append(f"{arm} was not run for {models[0]} and {listed(absent)} on such a task")
    yield Finding(listed(models), contrasts, join_remarks(remarks), is_partial=bool(absent))


def plateau(evidence: Evidence) -> Iterator[Finding]:
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


def similarity(evidence: Evidence) -> Iterator[Finding]:
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

"""Claims about what a model loses without its top layers: on which tasks, how much of its score, and whether at all."""

from collections.abc import Iterator
from dataclasses import replace

from shallower.core.wording import counted, listed
from shallower.paper.claims import MARGIN, Finding
from shallower.paper.evidence import (
    DECIDES,
    SHOWN,
    TESTED,
    Contrast,
    Evidence,
    baseline,
    difference,
    loss,
    mean_name,
    pruned,
    weighted_sum,
)
from shallower.paper.margins import between, learned_tasks, no_worse
from shallower.paper.names import FIVE, PAPER_MODELS, SEVEN
from shallower.paper.remarks import join_remarks
from shallower.paper.shown_runs import cuts
from shallower.paper.values import paper_value

MOST_HARMED, LEAST_HARMED = ("MNLI", "QNLI"), ("QQP", "STS-B")
# Those whose differences the paper finds not significant (section 5.2).
SMALL = tuple(name for name in SEVEN if name not in FIVE)
DISTILLED = (("BERT", "DistilBERT"), ("RoBERTa", "DistilRoBERTa"))


def score_kept(evidence: Evidence) -> Iterator[Finding]:
    """For each model without its top half: does it keep the share of the score that the paper's abstract gives?"""
    number = paper_value(evidence.records.values, item="text", quantity="kept_percent")
    if number is None:
        raise ValueError("values.csv has no share of the score that is kept")
    for model in evidence.models:
        half = cuts(evidence.scores.num_layers(model))[-1]
        tasks, remark = learned_tasks(evidence, [model])
        arms = {name: (pruned(model, task, "top", half), baseline(model, task)) for name, task in tasks.items()}
        terms = {name: {cut: 1.0, full: -number.value / 100} for name, (cut, full) in arms.items()}
        text = f"without the top {half} minus {number.value:g} % of the full model's score, plus {MARGIN:g} point"
        contrasts = evidence.compare_over_tasks(text, half, terms, offset=MARGIN)
        contrasts += evidence.compare_over_tasks(
            "without the top half minus the full model",
            half,
            {name: {cut: 1.0, full: -1.0} for name, (cut, full) in arms.items()},
            decide=False,
        )
        said = _kept_percent(evidence, model, half, [name for name in terms if evidence.ran(terms[name])])
        missing = "" if contrasts else f"top with {counted(half, 'layer')} dropped was not run on such a task"
        yield Finding(model, contrasts, join_remarks([said, remark, missing]))


def _kept_percent(evidence: Evidence, model: str, num_dropped: int, names: list[str]) -> str:
    """The share of score and of parameters that stays, in words; "" without tasks."""
    if not names:
        return ""
    rows = []
    for task in (evidence.tasks[name] for name in names):
        arms = pruned(model, task, "top", num_dropped), baseline(model, task)
        seeds = evidence.scores.common_seeds(*arms)
        both = (evidence.scores.rows(*arm) for arm in arms)
        rows.append([of_arm[of_arm["seed"].isin(seeds)] for of_arm in both])
    score, size = (
        sum(cut[column].mean() for cut, _ in rows) / sum(full[column].mean() for _, full in rows)
        for column in ("value", "parameters")
    )
    return f"keeps {100 * score:.1f} % of the score ({mean_name(names)}) with {100 * size:.0f} % of the parameters"


def distilled(evidence: Evidence) -> Iterator[Finding]:
    """Is a model without its top half no worse than the distilled one of that depth (Table 6)?"""
    for names in DISTILLED:
        models = [evidence.stand_ins(name)[0] for name in names]
        if missing := [name for name, found in zip(names, models, strict=True) if not found]:
            yield Finding(listed(names), [], f"no model of this study stands for {listed(missing)}")
            continue
        deep, shallow = (found[0] for found in models)
        half, depth = cuts(evidence.scores.num_layers(deep))[-1], evidence.scores.num_layers(shallow)
        if evidence.scores.num_layers(deep) - half != depth:
            yield Finding(
                f"{deep} and {shallow}", [], f"{shallow} has {counted(depth, 'layer')}, not half those of {deep}"
            )
            continue
        tasks, remark = learned_tasks(evidence, [deep, shallow], FIVE)
        arms = {name: (pruned(deep, task, "top", half), baseline(shallow, task)) for name, task in tasks.items()}
        contrasts = no_worse(evidence, f"{deep} without its top half", shallow, half, arms)
        missing_arm = "" if contrasts else f"{deep} without its top half was not run on such a task"
        yield Finding(f"{deep} and {shallow}", contrasts, join_remarks([remark, missing_arm]))


def robust_tasks(evidence: Evidence) -> Iterator[Finding]:
    """For each model without its top half: does it lose less on QQP and STS-B than on MNLI and QNLI?"""
    for model in evidence.models:
        half = cuts(evidence.scores.num_layers(model))[-1]
        known, unknown = learned_tasks(evidence, [model])
        ran = {name: loss(model, task, "top", half) for name, task in evidence.tasks.items()}
        ran = {name: terms for name, terms in ran.items() if evidence.ran(terms)}
        losses = {name: terms for name, terms in ran.items() if name in known}
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
        missing = [name for name in (*MOST_HARMED, *LEAST_HARMED) if name not in ran]
        remark = f"top with {counted(half, 'layer')} dropped was not run on {listed(missing)}" if missing else ""
        yield Finding(model, decisive + shown, join_remarks([remark, unknown]), is_partial=bool(missing))


def small_tasks(evidence: Evidence) -> Iterator[Finding]:
    """For each model, all losses of Table 2 tested together: is none on RTE and MRPC significant?"""
    for model in evidence.models:
        tasks, remark = learned_tasks(evidence, [model])
        contrasts: list[Contrast] = []
        for num_dropped in cuts(evidence.scores.num_layers(model)):
            for name, task in tasks.items():
                terms = loss(model, task, "top", num_dropped)
                if not evidence.ran(terms):
                    continue
                role, within = (DECIDES, MARGIN) if name in SMALL else (TESTED, None)
                contrast = evidence.compare("full model minus top", task, num_dropped, terms, role)
                contrasts.append(replace(contrast, within=within))
        ran = {contrast.task for contrast in contrasts}
        missing = [name for name in SMALL if tasks.get(name) not in ran]
        not_run = f"top was not run at the paper's cuts, or not learned, on {listed(missing)}" if missing else ""
        yield Finding(model, contrasts, join_remarks([remark, not_run]), is_partial=bool(missing))


def symmetric_loss(evidence: Evidence) -> Iterator[Finding]:
    """Does BERT without its two middle layers lose what the text says, to within the margin?"""
    number = paper_value(evidence.records.values, item="text", model="BERT", strategy="symmetric", quantity="loss")
    if number is None:
        raise ValueError("values.csv has no loss of BERT without its middle layers")
    models, problem = evidence.stand_ins("BERT")
    if problem:
        yield Finding("", [], problem)
        return
    model = models[0]
    if evidence.scores.num_layers(model) != PAPER_MODELS["BERT"]:
        yield Finding(model, [], f"{model} has {counted(evidence.scores.num_layers(model), 'layer')}, not BERT's 12")
        return
    losses = {name: loss(model, task, "symmetric", 2) for name, task in evidence.tasks.items()}
    ran = [name for name in losses if evidence.ran(losses[name])]
    if missing := [name for name in SEVEN if name not in ran]:
        yield Finding(
            model, [], f"the paper's number is a mean of seven tasks; symmetric 2 was not run on {listed(missing)}"
        )
        return
    total = weighted_sum(dict.fromkeys(ran, 1 / len(ran)), losses)
    text = "loss with the 2 middle layers dropped"
    contrasts = between(evidence, text, mean_name(ran), 2, total, number.value)
    contrasts.append(evidence.compare(text, mean_name(ran), 2, total, SHOWN))
    yield Finding(model, contrasts)

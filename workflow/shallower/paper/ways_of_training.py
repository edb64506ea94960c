"""Claims about when layers are dropped, and about how long is trained."""

from collections.abc import Iterator

from shallower.paper.claims import Finding
from shallower.paper.evidence import Contrast, Evidence, ScoreKey, pruned
from shallower.paper.margins import as_good, learned_tasks, no_worse
from shallower.paper.names import FIVE, SEVEN
from shallower.paper.remarks import join_remarks
from shallower.paper.shown_runs import cuts


def after_finetuning(evidence: Evidence) -> Iterator[Finding]:
    """For each model without its top half: is it as good if the layers are dropped from the fine-tuned model?"""
    for model in evidence.models:
        half = cuts(evidence.scores.num_layers(model))[-1]
        tasks, remark = learned_tasks(evidence, [model], FIVE)

        def arms(
            origin: str, model: str = model, half: int = half, tasks: dict[str, str] = tasks
        ) -> dict[str, tuple[ScoreKey, ScoreKey]]:
            return {
                name: (ScoreKey(model, task, origin, "top", str(half)), pruned(model, task, "top", half))
                for name, task in tasks.items()
            }

        contrasts = as_good(evidence, "finetuned", "pretrained", half, arms("finetuned"))
        frozen = {name: {one: 1.0, other: -1.0} for name, (one, other) in arms("finetuned-frozen").items()}
        shown = evidence.compare_over_tasks("finetuned-frozen minus pretrained", half, frozen, decide=False)
        missing = (
            f"the top {half} layers were not dropped from both the fine-tuned and the pre-trained model on such a task"
        )
        yield Finding(model, [*contrasts, *shown], join_remarks([remark, "" if contrasts else missing]))


def gradually(evidence: Evidence) -> Iterator[Finding]:
    """For each model and whatever is dropped gradually: is dropping it at once no worse?"""
    yield from _no_worse_than(evidence, "gradual", "at once", "gradually", "both gradually and at once")


def more_epochs(evidence: Evidence) -> Iterator[Finding]:
    """For each model and whatever is refined for twice as many epochs, too: are the study's epochs no worse?"""
    words = "after the study's epochs", "after twice as many", "from both pretrained and pretrained-longer"
    yield from _no_worse_than(evidence, "pretrained-longer", *words)


def _no_worse_than(evidence: Evidence, origin: str, first: str, second: str, both: str) -> Iterator[Finding]:
    """For each model: is dropping from the pre-trained model, called `first`, no worse than the origin, `second`?

    `both` completes "nothing was dropped ... on such a task".
    """
    runs = evidence.scores.runs
    for model in evidence.models:
        tasks, remark = learned_tasks(evidence, [model], SEVEN)
        here = runs[(runs["model"] == model) & (runs["origin"] == origin)]
        contrasts: list[Contrast] = []
        for strategy, amount in here[["strategy", "amount"]].drop_duplicates().itertuples(index=False):
            counts = here.loc[(here["strategy"] == strategy) & (here["amount"] == amount), "num_dropped"].unique()
            arms = {
                name: (
                    ScoreKey(model, task, "pretrained", strategy, amount),
                    ScoreKey(model, task, origin, strategy, amount),
                )
                for name, task in tasks.items()
            }
            cut = int(counts[0]) if len(counts) == 1 else None
            contrasts += no_worse(evidence, f"{strategy} {amount} {first}", second, cut, arms)
        missing = "" if contrasts else f"nothing was dropped {both} on such a task"
        yield Finding(model, contrasts, join_remarks([remark, missing]))

"""Origins: the weights that layers are dropped from, and the trainings that make them.

A run starts from the pre-trained model or from the baseline, goes through the preparations of its origin, drops its
last (or only) layers and is fine-tuned. To add an origin, enter it in `ORIGINS`; preparations in folders of a new kind
also need a rule that makes them. Everything else reads `ORIGINS`.

Section numbers are those of the paper (see `shallower.surgery.strategies`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shallower.surgery.amounts import AMOUNT_KINDS, COUNT, AmountKind


@dataclass(frozen=True)
class Preparation:
    """A training of a run before its last layers are dropped.

    Attributes:
        folder: where it is in the run's folder.
        layers_dropped: how many layers, the first in the order of dropping, are dropped before it.
        freezes: whether the layers that the run drops are frozen in it.
    """

    folder: str
    layers_dropped: int = 0
    freezes: bool = False


@dataclass(frozen=True)
class Origin:
    """How a run comes to the weights that its last layers are dropped from.

    Attributes:
        name: in studies and in the folders of runs.
        title: a few words for figures and tables.
        description: how a run goes, in one sentence.
        from_baseline: whether runs start from the baseline of their seed instead of the pre-trained model. Strategies
            that rank layers use the scores of the model that a run starts from.
        preparations: the trainings before the last drop, in order, by the number of layers that the run drops. Each one
            starts from the weights of the one before it.
        amounts: kinds of amounts that the origin allows.
        stage: settings of the preparations that differ from the study's `train`, unless the study's `stage` says
            otherwise; None if the preparations are trained as the baseline is and a study cannot set `stage`.
        times_epochs: how many times as many epochs as the refining settings say a run is refined for.
    """

    name: str
    title: str
    description: str
    from_baseline: bool = False
    preparations: Callable[[int], Sequence[Preparation]] = lambda num_dropped: ()
    amounts: Sequence[AmountKind] = AMOUNT_KINDS
    stage: Mapping[str, Any] | None = None
    times_epochs: int = 1

    @property
    def freezes_layers(self) -> bool:
        """Whether a training freezes some layers and not others, which takes layers with weights of their own."""
        return any(preparation.freezes for preparation in self.preparations(1))

    @property
    def follows_order(self) -> bool:
        """Whether a run depends on the order in which its layers are dropped, and not only on which ones are kept."""
        return any(preparation.layers_dropped for preparation in self.preparations(2))

    @property
    def needs_refining(self) -> bool:
        """Whether a model's head has not been trained yet when its last layers are dropped."""
        return not self.from_baseline and not self.preparations(1)

    def scored_model(self, seed: int | str) -> str:
        """Name of the scores file of the model whose layers are scored: "pretrained" or "finetuned-seed{seed}"."""
        return f"finetuned-seed{seed}" if self.from_baseline else "pretrained"


ORIGINS = {
    origin.name: origin
    for origin in (
        Origin(
            name="pretrained",
            title="dropped from the pre-trained model",
            description="Layers are dropped from the pre-trained model, which is then fine-tuned (the default of the"
            " paper).",
        ),
        # The paper tried more than three epochs, too (section 4), without saying how many.
        Origin(
            name="pretrained-longer",
            title="pre-trained model, twice as many epochs",
            description="As pretrained, but fine-tuned for twice as many epochs after the drop as `refine` says.",
            times_epochs=2,
        ),
        Origin(
            name="finetuned",
            title="dropped from the fine-tuned model",
            description="Layers are dropped from the fine-tuned baseline, which is then fine-tuned again.",
            from_baseline=True,
        ),
        Origin(
            name="finetuned-frozen",
            title="frozen while fine-tuning, then dropped",
            description="The full model is fine-tuned while the layers to drop are frozen; they are then dropped, and"
            " the rest is fine-tuned again.",
            preparations=lambda num_dropped: [Preparation("frozen", freezes=True)],
        ),
        # The paper trains for two epochs between two layers (section 4).
        Origin(
            name="gradual",
            title="dropped one by one while fine-tuning",
            description="Layers are dropped one by one, with a fine-tuning (two epochs by default) before each drop and"
            " one at the end.",
            preparations=lambda num_dropped: [Preparation(f"stage{n}", layers_dropped=n) for n in range(num_dropped)],
            amounts=(COUNT,),
            stage={"epochs": 2},
        ),
    )
}


def origin_title(name: str) -> str:
    """A few words for an origin; its name where it is not registered."""
    return ORIGINS[name].title if name in ORIGINS else name

"""A run: what it is called on each axis of a study, and where its files are."""

from dataclasses import dataclass
from pathlib import Path

from shallower.core import layout

# The origin, strategy and amount of a baseline, which keeps all layers.
BASELINE, NO_STRATEGY, NO_AMOUNT = layout.BASELINE_ARM, "none", "0"
# In a run's folder: the pruned model on the way to the run.
DROPPED = Path(layout.DROPPED).name

# The columns of tables that tell the arms of a study apart.
ARM_COLUMNS = ["model", "task", "origin", "strategy", "amount"]


@dataclass(frozen=True)
class Run:
    """One fine-tuning: the baseline, or a model that was fine-tuned after some of its layers were dropped.

    For the baseline `origin` is "baseline", `strategy` is "none" and `amount` is "0".
    """

    study: str
    model: str
    task: str
    origin: str
    strategy: str
    amount: str
    seed: int

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What all seeds of an arm have in common; see `ARM_COLUMNS`."""
        return self.model, self.task, self.origin, self.strategy, self.amount

    @property
    def is_baseline(self) -> bool:
        """Whether this is the model with all its layers."""
        return self.origin == BASELINE

    @property
    def arm(self) -> str:
        """Folder of what is repeated over seeds, below that of the task."""
        if self.is_baseline:
            return layout.BASELINE_ARM
        return layout.PRUNED_ARM.format(origin=self.origin, strategy=self.strategy, amount=self.amount)

    @property
    def directory(self) -> str:
        """Folder of the run's files, relative to the working directory."""
        return layout.RUN.format(study=self.study, model=self.model, task=self.task, arm=self.arm, seed=self.seed)


def arm_title(origin: str, strategy: str, amount: object) -> str:
    """What is repeated over seeds, as pages and messages call it: `full model`, or `pretrained top-2`."""
    return "full model" if origin == BASELINE else f"{origin} {strategy}-{amount}"


def earlier_manifests(directory: str | Path) -> list[Path]:
    """manifest.json of each training of a run before its last drop of layers, in the folder of the training."""
    found = Path(directory).glob("*/manifest.json")
    # The pruned model that the last training starts from has one too, if Snakemake was asked to keep it.
    return sorted(path for path in found if path.parent.name != DROPPED)

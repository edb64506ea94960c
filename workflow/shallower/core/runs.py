"""A run: what it is called on each axis of a study, and where its files are."""

from dataclasses import dataclass

# The origin, strategy and amount of a baseline, which keeps all layers.
BASELINE, NO_STRATEGY, NO_AMOUNT = "baseline", "none", "0"


@dataclass(frozen=True)
class Run:
    """One fine-tuning: the baseline, or a model that was tuned after some of its layers were dropped.

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
    def is_baseline(self) -> bool:
        """Whether this is the model with all its layers."""
        return self.origin == BASELINE

    @property
    def arm(self) -> str:
        """Path of what is repeated over seeds, below the task: `baseline` or `{origin}/{strategy}-{amount}`."""
        return BASELINE if self.is_baseline else f"{self.origin}/{self.strategy}-{self.amount}"

    @property
    def directory(self) -> str:
        """Folder of the run's files, relative to the working directory."""
        return f"results/{self.study}/{self.model}/{self.task}/{self.arm}/seed{self.seed}"

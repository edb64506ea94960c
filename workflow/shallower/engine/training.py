"""Fine-tuning: AdamW with a linear decay of the learning rate, batches by length, resumable, exact on a CPU.

The same seed, inputs and number of threads give the same weights on a CPU, even when the run is killed and resumed;
so do the same seed and inputs on one GPU.
Defaults are the paper's (section 4: the defaults of the library of that time).
"""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from shallower.core.errors import UserError
from shallower.core.progress import Progress
from shallower.core.signals import Interrupted, noting_interruptions
from shallower.engine.batches import rows_of, training_batches
from shallower.engine.checkpoints import Checkpoint, CheckpointFolder
from shallower.engine.classifiers.base import Classifier
from shallower.engine.devices import Compute
from shallower.engine.distillation import Distillation
from shallower.engine.dropout import Dropout
from shallower.engine.optimizer import MOMENTS, AdamW
from shallower.engine.tokens import TokenSet
from shallower.models.families import position_limit

logger = logging.getLogger(__name__)

# Approximate number of lines in a training log. Between two of them the losses stay on the device.
LOG_LINES = 200
# Writing checkpoints may take at most this share of the time.
CHECKPOINT_SHARE = 0.02


@dataclass(frozen=True)
class TrainSettings:
    """Hyper-parameters of one training run (paper section 4; `warmup_ratio` is a share of all steps).

    With 0 epochs a model stays as it is.
    """

    epochs: float = 3
    batch_size: int = 8
    learning_rate: float = 5e-5
    weight_decay: float = 0.0
    warmup_ratio: float = 0.0
    max_grad_norm: float = 1.0

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> "TrainSettings":
        """Check a mapping and fill in the defaults. Raises UserError naming every bad setting."""
        known = {setting.name for setting in fields(cls)}
        problems = [f"unknown setting {name!r}" for name in settings if name not in known]
        values = {name: value for name, value in settings.items() if name in known}
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                problems.append(f"{name} must be a number, not {value!r}")
            elif name == "batch_size" and (value != int(value) or value < 1):
                problems.append(f"{name} must be a whole number of at least 1, not {value!r}")
            elif name in ("learning_rate", "max_grad_norm") and value <= 0:
                problems.append(f"{name} must be above 0, not {value!r}")
            elif name in ("epochs", "weight_decay") and value < 0:
                problems.append(f"{name} must not be below 0, but is {value!r}")
            elif name == "warmup_ratio" and not 0 <= value < 1:
                problems.append(f"{name} must be at least 0 and below 1, not {value!r}")
        if problems:
            raise UserError("train settings: " + "; ".join(problems))
        return cls(**values)


@dataclass
class TrainingResult:
    """What a run leaves besides the weights: its log and totals over all sessions of a resumed run."""

    steps: int
    tokens: int = 0  # trained on, without padding
    seconds: float = 0.0
    sessions: int = 0  # 1 for an unbroken run
    records: list[dict[str, Any]] = field(default_factory=list)  # the lines of training.jsonl


def train(
    classifier: Classifier,
    tokens: TokenSet,
    settings: TrainSettings,
    seed: int,
    compute: Compute,
    checkpoints: CheckpointFolder,
    checkpoint_seconds: float,
    label: str = "training",
    distillation: Distillation | None = None,
) -> TrainingResult:
    """Train a classifier in place and leave it on the CPU. Starts from the newest checkpoint, if there is one.

    It learns the labels and, with a `distillation`, the answers of a teacher.
    A checkpoint is written every `checkpoint_seconds`, more rarely if writing takes long. The caller removes them
    when the result is safe. Raises UserError when the loss is not finite, and Interrupted, with a checkpoint written,
    when the process is asked to end.
    """
    if not len(tokens.labels):
        if settings.epochs == 0:  # the model stays as it is
            return TrainingResult(steps=0, sessions=1)
        raise UserError(f"{label}: there are no training examples")
    check_length(classifier.config, int(np.diff(tokens.offsets).max()))
    if settings.epochs:
        classifier.start_output(tokens.labels)
    run = _Run(classifier, tokens, settings, seed, compute, label, distillation)
    saved = checkpoints.load()
    if saved:
        run.resume(saved)
        logger.info("%s: resuming after step %d of %d", label, run.step, run.result.steps)
    run.result.sessions += 1

    last_save = time.monotonic()
    interval = checkpoint_seconds
    with noting_interruptions() as asked_to_end, compute.same_every_time():
        while run.step < run.result.steps:
            run.advance()
            signal_number = asked_to_end()
            due = time.monotonic() - last_save >= interval and run.step < run.result.steps
            if due or signal_number:
                started = time.monotonic()
                checkpoints.save(run.checkpoint())
                last_save = time.monotonic()
                interval = max(checkpoint_seconds, (last_save - started) / CHECKPOINT_SHARE)
            if signal_number:
                raise Interrupted(
                    signal_number,
                    f"{label}: checkpoint after step {run.step} of {run.result.steps}; the next run goes on from there",
                )
    run.finish()
    return run.result


def learning_rate_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Share of the learning rate at a step (0-based): linear warm-up, then linear decay to 0 after the last step."""
    if step < warmup_steps:
        return step / warmup_steps
    return (steps - step) / max(1, steps - warmup_steps)


def check_length(config: Mapping[str, Any], longest: int) -> None:
    """Raise UserError when an input of `longest` tokens is too long for the positions of a model's config.json."""
    known = position_limit(config)
    if known is not None and longest > known:
        raise UserError(
            f"the longest input has {longest} tokens, but the model has {known} positions; "
            f"set max_length to at most {known}"
        )


class _Run:
    """A training run between two steps: everything that a checkpoint has to hold is reached from here."""

    def __init__(
        self,
        classifier: Classifier,
        tokens: TokenSet,
        settings: TrainSettings,
        seed: int,
        compute: Compute,
        label: str,
        distillation: Distillation | None,
    ) -> None:
        self.classifier, self.tokens, self.settings, self.distillation = classifier, tokens, settings, distillation
        self.seed, self.compute, self.label = seed, compute, label
        self.lengths = np.diff(tokens.offsets)
        self.units = tokens.units()
        self.steps_per_epoch = math.ceil((len(self.units) - 1) / settings.batch_size)
        self.step = 0
        self.result = TrainingResult(steps=math.ceil(settings.epochs * self.steps_per_epoch))
        self.warmup_steps = math.ceil(settings.warmup_ratio * self.result.steps)
        self.log_interval = math.ceil(self.result.steps / LOG_LINES)
        self.window: list[list[float]] = []  # [loss, gradient norm] of the steps since the last record
        self.pending: list[torch.Tensor] = []  # the same, of the latest steps, still on the device
        self.batches: list[np.ndarray] = []
        self.batches_epoch = -1

        # Without weight decay the embedding of a token that never occurs does not change.
        classifier.begin_training(tokens, compute.device, train_used_embeddings_only=settings.weight_decay == 0)
        self.optimizer = AdamW(classifier.module.parameters(), settings.weight_decay)
        torch.manual_seed(seed)  # dropout, where torch draws it
        self.started = time.monotonic()
        self.progress = Progress(logger)
        self.first_step = 0
        self.earlier_seconds, self.earlier_tokens = 0.0, 0

    def advance(self) -> None:
        """One step of the optimizer, with what is due after it: a line in the log, a word of progress."""
        examples = self._next_examples()
        rate = self.settings.learning_rate * learning_rate_factor(self.step, self.result.steps, self.warmup_steps)
        self.pending.append(self._update(examples, rate))
        self.result.tokens += int(self.lengths[examples].sum())
        self.step += 1

        if self.step % self.log_interval == 0 or self.step == self.result.steps:
            self._record(rate)
        if self.progress.is_due():
            self._log_progress()

    def finish(self) -> None:
        """Give the classifier back, trained."""
        self._collect()
        self.classifier.end_training()

    def _next_examples(self) -> np.ndarray:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if epoch != self.batches_epoch:
            lengths = np.diff(self.tokens.offsets[self.units])
            self.batches = training_batches(lengths, self.settings.batch_size, self.seed, epoch)
            self.batches_epoch = epoch
        return rows_of(self.units, self.batches[position])

    def _update(self, examples: np.ndarray, learning_rate: float) -> torch.Tensor:
        """Forward, backward and optimizer step; returns [loss, gradient norm] without waiting for the device."""
        with self.compute.autocast():
            with_vectors = self.distillation is not None and self.distillation.has_vectors
            outputs = self.classifier.compute(self.tokens, examples, Dropout(self.seed, self.step), with_vectors)
        kind, logits = self.classifier.kind, outputs.logits.float()
        if self.distillation is None:
            loss = kind.loss(logits, outputs.labels)
        else:
            rows = self.tokens.rows(examples)
            loss = self.distillation.loss(kind, logits, outputs.labels, rows, outputs.vectors)
        loss.backward()
        norm = self.optimizer.step(learning_rate, self.settings.max_grad_norm)
        return torch.stack([loss.detach(), norm])

    def _collect(self) -> None:
        """Fetch the pending losses and gradient norms from the device and stop at the first that is no number."""
        values = torch.stack(self.pending).tolist() if self.pending else []
        self.result.seconds = self.earlier_seconds + time.monotonic() - self.started
        first = self.step - len(values) + 1
        for step, (loss, norm) in enumerate(values, start=first):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise UserError(
                    f"{self.label}: the loss is {loss} and the gradient norm {norm} at step {step} of "
                    f"{self.result.steps}; lower learning_rate (now {self.settings.learning_rate:g}) or raise "
                    "warmup_ratio"
                )
        self.window += values
        self.pending = []

    def _record(self, rate: float) -> None:
        self._collect()
        losses, norms = zip(*self.window, strict=True)
        self.result.records.append(
            {
                "step": self.step,
                "epoch": round(self.step / self.steps_per_epoch, 4),
                "loss": sum(losses) / len(losses),
                "gradient_norm": sum(norms) / len(norms),
                "learning_rate": rate,
                "tokens": self.result.tokens,
                "seconds": round(self.result.seconds, 3),
            }
        )
        self.window = []

    def _log_progress(self) -> None:
        self._collect()
        elapsed = time.monotonic() - self.started
        losses = [loss for loss, _ in self.window] or [self.result.records[-1]["loss"]]
        self.progress.log(
            "%s: epoch %d/%d, step %d/%d, loss %.4f, %.0f tokens/s, %s left",
            self.label,
            math.ceil(self.step / self.steps_per_epoch),
            math.ceil(self.settings.epochs),
            self.step,
            self.result.steps,
            sum(losses) / len(losses),
            (self.result.tokens - self.earlier_tokens) / elapsed,
            _duration(elapsed / (self.step - self.first_step) * (self.result.steps - self.step)),
        )

    def checkpoint(self) -> Checkpoint:
        """All that the steps to come depend on."""
        self._collect()
        tensors = {"random.cpu": torch.get_rng_state()}
        if self.compute.device == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        for name, parameter in self.classifier.module.named_parameters():
            tensors[f"weight.{name}"] = parameter.detach()
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"{moment}.{name}"] = value
        state = {
            "tokens": self.result.tokens,
            "seconds": self.result.seconds,
            "sessions": self.result.sessions,
            "records": self.result.records,
            "window": self.window,
        }
        return Checkpoint(self.step, tensors, state)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Become the run that wrote the checkpoint."""
        tensors = checkpoint.tensors
        with torch.no_grad():
            for name, parameter in self.classifier.module.named_parameters():
                parameter.copy_(tensors[f"weight.{name}"])
                moments = {
                    # A copy: the checkpoint's file is not to stay open until the training ends.
                    moment: tensors[f"{moment}.{name}"].to(parameter.device, copy=True)
                    for moment in MOMENTS
                    if f"{moment}.{name}" in tensors
                }
                if moments:
                    self.optimizer.state[parameter] = moments
        torch.set_rng_state(tensors["random.cpu"])
        if self.compute.device == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"])
        self.step = self.first_step = checkpoint.step
        self.window = checkpoint.state["window"]
        self.result.records = checkpoint.state["records"]
        self.result.tokens = self.earlier_tokens = checkpoint.state["tokens"]
        self.result.seconds = self.earlier_seconds = checkpoint.state["seconds"]
        self.result.sessions = checkpoint.state["sessions"]


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

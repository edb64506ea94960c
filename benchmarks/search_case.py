"""One model, task and seed: the full model trained, layers chosen in every way, each choice refined and scored.

The scripts of the workflow do the work, called as its rules call them, each in a process of its own; only the rival,
greedy layer pruning, has a script here. What a step took is kept next to what it made, so that an interrupted
comparison goes on where it was, and a step that several choices need is paid once and counted for each.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contest import BENCHMARKS, RIVALS_PACKAGES, SCRIPTS, environment, run_process
from shallower.core.files import canonical_json, read_json, write_json
from shallower.core.layers import Layers
from shallower.core.runs import NO_STRATEGY
from shallower.study.study import Study
from shallower.surgery.strategies import STRATEGIES
from shallower.surgery.subsets import subset_label

GREEDY_PRUNING = "greedy-pruning"
METHODS = (GREEDY_PRUNING, "greedy-score", "subset-readout", "subset-race", "subset-loss", "top")
FULL = "full"
ORIGIN = "finetuned"
# What a choice is refined by: in addition to the labels the full model's answers, to the same texts or to more.
LABELS, TEACHER, MORE_TEXTS = "labels", "teacher", "teacher and more texts"
# What one comparison has many of.
CHOICES, REFININGS = "choices", "refinings"

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Price:
    """What a choice cost, the full model's training left out.

    Attributes:
        choose_seconds: wall time of all processes, their start-up included.
        fine_tunings: trainings, long or short.
        refinings: the same in full refinings of a model.
        forward_passes: of the full model over the calibration texts, in layers run.
    """

    choose_seconds: float
    fine_tunings: int = 0
    refinings: float = 0.0
    forward_passes: float = 0.0

    def __add__(self, other: "Price") -> "Price":
        parts = {name: value + getattr(other, name) for name, value in vars(self).items()}
        return replace(self, **parts)


@dataclass(frozen=True)
class Case:
    """A model, a task and a seed. `data` is the folder with the task and its tokens, `folder` takes what is made."""

    study: Study
    task: str
    seed: int
    model_dir: Path
    data: Path
    folder: Path
    amount: int
    threads: int = 1
    device: str = "cpu"

    @property
    def task_file(self) -> Path:
        return self.data / "task" / "task.json"

    def tokens(self, split: str) -> Path:
        """The tokens file of a split."""
        return self.data / "tokens" / f"{split}.safetensors"

    @property
    def baseline(self) -> Path:
        """Folder of the fine-tuned full model."""
        return self.folder / FULL

    @property
    def compute(self) -> Command:
        return ("--threads", str(self.threads), "--device", self.device)

    def timed(self, name: str, *commands: Command) -> float:
        """Wall seconds of processes one after another; what took its time before is not run again."""
        record = self.folder / "seconds" / f"{name}.json"
        if not record.exists():
            # What an interrupted training has left would make the rest of it look like all of it.
            shutil.rmtree(self.folder / "scratch", ignore_errors=True)
            record.parent.mkdir(parents=True, exist_ok=True)
            settings = environment("ours", self.threads, RIVALS_PACKAGES)
            usages = [
                run_process([sys.executable, *command], self.folder / "log.txt", settings) for command in commands
            ]
            write_json(record, {"seconds": sum(usage.wall_seconds for usage in usages)})
        return read_json(record)["seconds"]


def train_full_model(case: Case) -> float:
    """Train and predict with the full model; seconds of the training."""
    layers = case.baseline / "layers.json"
    case.timed("layers-of-full-model", _choose(case, NO_STRATEGY, layers))
    settings = case.study.train_settings(case.task)
    seconds = case.timed("full", _finetune(case, case.model_dir, settings, case.baseline))
    case.timed("full-predictions", _predict(case, case.baseline, layers))
    return seconds


def forward_seconds(case: Case) -> float:
    """Seconds of a forward pass of the full model over the calibration texts, without start-up."""
    output = case.folder / "forward.json"
    command = [
        *(BENCHMARKS / "time_forward_pass.py", "--model-dir", case.baseline, *case.compute),
        *("--tokens", case.tokens("calibration"), "--output", output),
    ]
    case.timed("forward-pass", command)
    return read_json(output)["seconds"]


def score_subsets(case: Case) -> tuple[Price, Mapping[str, Any]]:
    """Score all subsets of layers; also the content of the scores file. One table serves all strategies and depths."""
    output = case.folder / "subsets.json"
    command = [
        *(SCRIPTS / "score_subsets.py", "--model-dir", case.baseline, "--tokens", case.tokens("calibration")),
        *("--task", case.task_file, "--settings", canonical_json(case.study.score_settings(case.task))),
        *("--layer-evaluations", str(case.study.config["subsets"]["layer_evaluations"]), "--with-head", *case.compute),
        *("--table", case.folder / "subsets.csv", "--output", output),
    ]
    seconds = case.timed("subsets", command)
    scores = read_json(output)
    return Price(seconds, forward_passes=scores["cost"]["forward_passes"]), scores


def choose(case: Case, method: str) -> tuple[Layers, Price]:
    """The layers that a method keeps, and what the choice cost, with the scores of subsets where it goes by them."""
    output = case.folder / "choices" / f"{method}.json"
    if method == GREEDY_PRUNING:
        price = _prune_greedily(case, output)
        found = read_json(output)
        return Layers(found["num_layers"], tuple(found["order"])), price
    price, score = Price(0.0), STRATEGIES[method].score
    scores: Command = ()
    if score is not None and score.of_subsets:
        price += score_subsets(case)[0]
        scores = ("--scores", case.folder / "subsets.json")
        if score.of_runs:
            price += _race(case)
            scores = ("--scores", case.folder / "race.json")
    price += Price(case.timed(f"choose-{method}", [*_choose(case, method, output), *scores]))
    return Layers.read(output), price


def refine(case: Case, layers: Layers, refining: str) -> tuple[float, Path]:
    """Seconds of refining a choice, and its predictions of the validation split.

    Choices of the same layers are one: it is refined once. The teacher's answers are not part of the time: they are
    made once for a full model, whatever it teaches.
    """
    name = "-".join([refining.replace(" ", "-"), *map(str, layers.kept)])
    folder = case.folder / name
    write_json(folder / "layers.json", layers.as_json())
    dropped = folder / "dropped"
    options = _teach(case, refining) if refining != LABELS else ()
    settings = _from_labels(case) if refining == LABELS else case.study.refine_settings(case.task, ORIGIN)
    drop = [
        *(SCRIPTS / "drop_layers.py", "--model-dir", case.baseline, "--layers", folder / "layers.json"),
        *("--output-dir", dropped),
    ]
    seconds = case.timed(f"refine-{name}", drop, [*_finetune(case, dropped, settings, folder), *options])
    case.timed(f"predict-{name}", _predict(case, folder, folder / "layers.json"))
    for weights in (folder / "model.safetensors", dropped / "model.safetensors"):
        weights.unlink(missing_ok=True)  # large, and of no more use
    return seconds, folder / "predictions.parquet"


def _from_labels(case: Case) -> dict[str, Any]:
    """Settings of the refining without a teacher."""
    return {key: value for key, value in case.study.refine_settings(case.task, ORIGIN).items() if key != "distill"}


def _teach(case: Case, refining: str) -> Command:
    """Let the full model answer what is trained on; options of the training that learns from it."""
    more = ("--unlabelled", case.tokens("unlabelled")) if refining == MORE_TEXTS else ()
    name = refining.replace(" ", "-")
    output = case.folder / f"{name}.safetensors"
    command = [
        *(SCRIPTS / "teach.py", "--model-dir", case.baseline, "--tokens", case.tokens("train"), *more),
        *(*case.compute, "--output", output),
    ]
    case.timed(f"answers-{name}", command)
    return ("--teacher", output, *more)


def _choose(case: Case, strategy: str, output: Path) -> Command:
    return [
        *(SCRIPTS / "choose_layers.py", "--config", case.model_dir / "config.json", "--strategy", strategy),
        *("--amount", str(0 if strategy == NO_STRATEGY else case.amount), "--output", output),
    ]


def _finetune(case: Case, model_dir: Path, settings: Mapping[str, Any], output_dir: Path) -> Command:
    return [
        *(SCRIPTS / "finetune.py", "--model-dir", model_dir, "--tokens", case.tokens("train")),
        *("--task", case.task_file, "--settings", canonical_json(settings), "--seed", str(case.seed), *case.compute),
        *("--tokenizer-dir", case.model_dir, "--scratch", case.folder / "scratch", "--checkpoint-seconds", "60"),
        *("--label", f"{case.task} seed {case.seed} {output_dir.name}", "--output-dir", output_dir),
    ]


def _predict(case: Case, folder: Path, layers: Path) -> Command:
    return [
        *(SCRIPTS / "predict.py", "--model-dir", folder, "--tokens", case.tokens("validation"), "--layers", layers),
        *(*case.compute, "--precision", "fp32", "--output", folder / "predictions.parquet"),
    ]


def _race(case: Case) -> Price:
    race, output = case.study.config["race"], case.folder / "race.json"
    command = [
        *(SCRIPTS / "race_subsets.py", "--model-dir", case.baseline, "--scores", case.folder / "subsets.json"),
        *("--amount", str(case.amount), "--shortlist", str(race["shortlist"]), "--epochs", str(race["epochs"])),
        *("--tokens", case.tokens("train"), "--calibration", case.tokens("calibration"), "--task", case.task_file),
        *("--settings", canonical_json(case.study.race_settings(case.task, ORIGIN))),
        *("--score-settings", canonical_json(case.study.score_settings(case.task)), "--seed", str(case.seed)),
        *(*case.compute, "--table", case.folder / "race.csv", "--output", output),
    ]
    seconds, found = case.timed("race", command), read_json(output)
    share = 1 - case.amount / found["num_layers"]
    cost = found["cost"]
    refinings = cost["epochs"] / case.study.refine_settings(case.task, ORIGIN)["epochs"]
    return Price(seconds, cost["trainings"], round(refinings, 2), round(cost["trainings"] * share, 2))


def _prune_greedily(case: Case, output: Path) -> Price:
    command = [
        *(BENCHMARKS / "prune_greedily.py", "--model-dir", case.baseline, "--amount", str(case.amount)),
        *("--tokens", case.tokens("train"), "--calibration", case.tokens("calibration"), "--task", case.task_file),
        *("--settings", canonical_json(_from_labels(case))),
        *("--metric", case.study.score_settings(case.task)["metrics"][0], "--seed", str(case.seed), *case.compute),
        *("--output", output),
    ]
    seconds, cost = case.timed(GREEDY_PRUNING, command), read_json(output)["cost"]
    return Price(seconds, cost["trainings"], cost["trainings"], cost["forward_passes"])


def kept_label(layers: Layers) -> str:
    """The kept layers as tables show them."""
    return subset_label(tuple(layers.kept))

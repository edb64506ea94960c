"""A made-up study on disk: runs whose quality falls with depth, as the pipeline would leave them.

Nothing is trained. Predictions are drawn so that examples which are hard for one model are hard for all, and
each run gets just the files that the steps after `predict` read.
"""

import math
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet
from scipy.stats import norm

from shallower.core.files import write_json, write_text
from shallower.core.tables import read_table, write_table
from shallower.evaluation.predictions import Predictions, read_matched
from shallower.evaluation.records import comparison_record, metrics_record
from shallower.evaluation.resamples import collect_resamples, write_resamples
from shallower.models.stack import Stack
from shallower.planning.missing import missing_as_csv
from shallower.reporting.results import collect_results
from shallower.reporting.summary import read_comparisons, read_costs, summarise
from shallower.surgery.strategies import STRATEGIES, check_amount, drop_order

SETTINGS = {"confidence": 0.95, "bootstrap_samples": 200}
BATCH_SIZES = (1, 32)
HARM = {"top": 1.0, "even-alternate": 1.15, "symmetric": 1.6, "bottom": 2.6}
THRESHOLDS = (0.95, 0.925, 0.9)
SCORE_METHODS = ("contribution", "parameter-aggregation", "parameter-variance")


@dataclass(frozen=True)
class Study:
    """What to make up. `skill` is the full model's: accuracy, or correlation for a regression."""

    name: str = "example"
    models: dict[str, int] = field(default_factory=lambda: {"minilm": 6, "bert-base": 12})
    tasks: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "docs-pair": {
                "metrics": ["accuracy", "f1"],
                "labels": ["other", "same"],
                "skill": 0.87,
                "n": 1000,
            },
            "docs-source": {
                "metrics": ["accuracy", "macro_f1"],
                "labels": ["numpy", "pandas", "scipy", "torch"],
                "skill": 0.78,
                "n": 1000,
            },
            "similarity": {"metrics": ["pearson", "spearmanr"], "labels": None, "skill": 0.86, "n": 800},
        }
    )
    origins: tuple[str, ...] = ("pretrained", "finetuned")
    strategies: tuple[str, ...] = ("top", "even-alternate", "symmetric", "bottom")
    seeds: tuple[int, ...] = (1, 2, 3)
    collapsed: tuple[str, ...] = ("minilm/docs-pair/pretrained/bottom-3/seed2",)


def write_study(root: Path, study: Study | None = None) -> Path:
    """Write the study below `root`/results and `root`/resources/tasks; gives its folder."""
    study = study or Study()
    root = root.resolve()
    folder = root / "results" / study.name
    runs, states, scores = [], [], []
    for model, num_layers in study.models.items():
        write_json(folder / model / "cost.json", _cost(model, num_layers))
        for task, definition in study.tasks.items():
            write_json(root / "resources/tasks" / task / "task.json", task_of(task, definition))
            states += _states(study, model, task)
            scores += _scores(study, model, task)
            for arm in _arms(study, num_layers):
                runs += [
                    {"study": study.name, "model": model, "task": task, **arm, "seed": seed} for seed in study.seeds
                ]
    plan = pd.DataFrame(runs)
    num_dropped = plan.pop("num_dropped")
    plan["directory"] = [str(_directory(run)) for run in plan.to_dict("records")]
    for run, dropped in zip(plan.to_dict("records"), num_dropped, strict=True):
        _write_run(root, study, run, dropped)
    for (_, task), group in plan.groupby(["model", "task"], sort=False):
        _write_comparisons(root, task_of(task, study.tasks[task]), group)
    write_table(folder / "runs.csv", plan)
    write_text(folder / "missing.csv", missing_as_csv([], {}))
    write_table(folder / "states.csv", pd.DataFrame(states))
    write_table(folder / "scores.csv", pd.DataFrame(scores))
    with chdir(root):
        collect_resamples(plan["directory"].tolist(), folder / "resamples.parquet")
    return folder


def write_results(root: Path, folder: Path) -> None:
    """results.csv and summary.csv in the folder of a study that was written below `root`."""
    with chdir(root):
        runs = read_table(folder / "runs.csv")
        results = collect_results(runs)
        costs = read_costs(sorted(folder.glob("*/cost.json")))
        summary = summarise(results, read_comparisons(runs), costs)
    write_table(folder / "results.csv", results)
    write_table(folder / "summary.csv", summary)


def task_of(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    """A task.json."""
    target = "regression" if definition["labels"] is None else "classification"
    return {"name": name, "target": target, "labels": definition["labels"], "metrics": definition["metrics"]}


def settings_of(task: dict[str, Any]) -> dict[str, Any]:
    """How the workflow says to evaluate."""
    return SETTINGS | {"metrics": task["metrics"]}


def draw_predictions(definition: dict[str, Any], skill: float, seed: int, collapsed: bool = False) -> Predictions:
    """Answers of a model of that skill. Labels and hard examples are the same for every `seed`."""
    task, run = np.random.default_rng(len(definition["metrics"][0])), np.random.default_rng(seed)
    n, ids = definition["n"], np.arange(0, 3 * definition["n"], 3)
    if definition["labels"] is None:
        labels = np.round(task.uniform(0, 5, n), 1)
        z, noise = (
            (labels - labels.mean()) / labels.std(),
            0.8 * task.normal(size=n) + 0.6 * run.normal(size=n),
        )
        answers = 2.5 + 1.3 * (skill * z + math.sqrt(1 - skill**2) * noise)
        return Predictions(ids, labels, np.float32(np.full(n, 2.5) if collapsed else answers)[:, None])
    classes = len(definition["labels"])
    labels = np.minimum(task.geometric(0.5, n) - 1, classes - 1) if classes > 2 else (task.random(n) < 0.55) * 1
    hardness = 0.9 * task.normal(size=n) + math.sqrt(1 - 0.9**2) * run.normal(size=n)
    wrong = (labels + task.integers(1, classes, n)) % classes
    answers = np.where(hardness < norm.ppf(skill), labels, wrong)
    if collapsed:
        answers = np.full(n, np.bincount(labels).argmax())
    logits = np.float32(run.normal(size=(n, classes)))
    logits[np.arange(n), answers] += 8
    return Predictions(ids, labels, logits)


def write_predictions(path: Path, predictions: Predictions, order: np.ndarray | None = None) -> None:
    """predictions.parquet, in any order of rows."""
    order = np.arange(len(predictions.ids)) if order is None else order
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {
        "id": pa.array(predictions.ids[order], pa.int64()),
        "label": pa.array(predictions.labels[order]),
        "logits": pa.array(list(predictions.logits[order]), pa.list_(pa.float32())),
    }
    parquet.write_table(pa.table(table), path)


def _arms(study: Study, num_layers: int) -> list[dict[str, Any]]:
    dropped = [
        {
            "origin": origin,
            "strategy": strategy,
            "amount": str(amount),
            "num_dropped": len(dropped_layers(strategy, num_layers, amount)),
        }
        for origin in study.origins
        for strategy in study.strategies
        for amount in _amounts(strategy, num_layers)
    ]
    return [{"origin": "baseline", "strategy": "none", "amount": "0", "num_dropped": 0}, *dropped]


def _amounts(strategy: str, num_layers: int) -> list[Any]:
    amounts = (1, 2, 3) if num_layers <= 6 else (2, 4, 6)
    if strategy == "contribution":
        amounts = THRESHOLDS
    return [amount for amount in amounts if check_amount(strategy, amount, Stack(num_layers)) is None]


def dropped_layers(strategy: str, num_layers: int, amount: Any) -> list[int]:
    score = STRATEGIES[strategy].score
    scores = {"method": score.name, "scores": layer_scores(score.name, num_layers)} if score else None
    return sorted(drop_order(strategy, Stack(num_layers), amount, scores))


def layer_scores(method: str, num_layers: int) -> list[float]:
    """Made-up scores [layers]: cosines that rise towards the top, weights that shrink towards it."""
    up = [layer / (num_layers - 1) for layer in range(num_layers)]
    return [round(0.85 + 0.08 * x if method == "contribution" else 4.0 - x, 4) for x in up]


def _states(study: Study, model: str, task: str) -> list[dict[str, Any]]:
    """Layer-wise classifiers that get better with depth, and a model that drifts from where it started."""
    definition, num_layers = study.tasks[task], study.models[model]
    chance = 0.0 if definition["labels"] is None else 1 / len(definition["labels"])
    rows = []
    for seed in study.seeds:
        for depth in range(num_layers + 1):
            share = depth / num_layers
            probe = chance + (definition["skill"] - chance) * share**0.5 + 0.004 * seed
            identity = {"study": study.name, "model": model, "task": task, "seed": seed}
            rows += [
                {**identity, "quantity": "probe", "depth": depth, "metric": definition["metrics"][0], "value": probe}
                | {"chance": chance},
                {**identity, "quantity": "similarity", "depth": depth, "metric": "cosine", "value": 1 - 0.6 * share**2},
            ]
    return sorted(rows, key=lambda row: (row["quantity"], row["seed"], row["depth"]))


def _scores(study: Study, model: str, task: str) -> list[dict[str, Any]]:
    scored = [("pretrained", None), *(("finetuned", seed) for seed in study.seeds)]
    return [
        {"study": study.name, "model": model, "task": task, "seed": seed, "scored": kind, "method": method}
        | {"layer": layer, "value": value}
        for kind, seed in scored
        for method in SCORE_METHODS
        for layer, value in enumerate(layer_scores(method, study.models[model]))
    ]


def _directory(run: dict[str, Any]) -> Path:
    arm = "baseline" if run["origin"] == "baseline" else f"{run['origin']}/{run['strategy']}-{run['amount']}"
    return Path("results", run["study"], run["model"], run["task"], arm, f"seed{run['seed']}")


def _size(num_layers: int) -> int:
    """Parameters of a stack of that depth: embeddings and equal layers."""
    return 11_800_000 + 1_770_000 * num_layers


def _write_run(root: Path, study: Study, run: dict[str, Any], num_dropped: int) -> None:
    num_layers, definition = study.models[run["model"]], study.tasks[run["task"]]
    harm = 0.16 * HARM.get(run["strategy"], 1.0) * (num_dropped / num_layers) ** 2
    skill = definition["skill"] + 0.002 * num_layers - harm - 0.006 * (run["origin"] == "finetuned")
    seed = sum(ord(letter) * 7**place for place, letter in enumerate(run["directory"])) % 2**32
    skill += np.random.default_rng(seed).normal(scale=0.006)
    collapsed = any(run["directory"].endswith(name) for name in study.collapsed)
    predictions = draw_predictions(definition, skill, seed, collapsed)
    directory = root / run["directory"]
    write_predictions(directory / "predictions.parquet", predictions)

    amount = float(run["amount"]) if "." in run["amount"] else int(run["amount"])
    dropped = dropped_layers(run["strategy"], num_layers, amount) if num_dropped else []
    kept = sorted(set(range(num_layers)) - set(dropped))
    parameters = _size(len(kept))
    layers = {"family": "bert", "num_layers": num_layers, "kept_layers": kept}
    manifest = {
        "parameters": parameters,
        "model_bytes": 4 * parameters + 9_000,
        "train_seconds": 20.0 + 11 * len(kept),
    }
    write_json(directory / "layers.json", {**layers, "dropped_layers": sorted(dropped), "order": dropped})
    write_json(directory / "manifest.json", manifest | {"tokens": 60_000})

    task = task_of(run["task"], definition)
    answers = predictions.logits.argmax(1) if task["labels"] else predictions.logits[:, 0].astype(float)
    record, resamples = metrics_record(task["target"], predictions.labels, answers, settings_of(task), task["labels"])
    identity = {key: value for key, value in run.items() if key != "directory"}
    write_json(directory / "metrics.json", {**identity, **record, **layers, "num_dropped": num_dropped, **manifest})
    write_resamples(directory / "resamples.npy", resamples)


def _write_comparisons(root: Path, task: dict[str, Any], group: pd.DataFrame) -> None:
    def paths(directories: pd.Series) -> list[Path]:
        return [root / directory / "predictions.parquet" for directory in directories]

    is_baseline = group["origin"] == "baseline"
    table, baseline = read_matched(paths(group[is_baseline]["directory"]), None, task["target"])
    arm_columns = ["study", "model", "task", "origin", "strategy", "amount"]
    for arm, runs in group[~is_baseline].groupby(arm_columns, sort=False):
        _, answers = read_matched(paths(runs["directory"]), table, task["target"])
        record = comparison_record(
            task["target"], table.labels, answers, baseline, runs["seed"].tolist(), settings_of(task)
        )
        target = root / Path(runs["directory"].iloc[0]).parent / "comparison.json"
        write_json(target, {**dict(zip(arm_columns, arm, strict=True)), **record})


def _cost(model: str, num_layers: int) -> dict[str, Any]:
    depths = []
    for depth in range(1, num_layers + 1):
        medians = {1: 0.9 + 0.62 * depth, 32: 4.0 + 9.7 * depth}
        latency = [
            {
                "batch_size": size,
                "rounds": 30 if size == 1 else 8,
                "median_ms": medians[size],
                "low_ms": 0.97 * medians[size],
                "high_ms": 1.06 * medians[size],
            }
            for size in BATCH_SIZES
        ]
        depths.append({"depth": depth, "parameters": _size(depth), "bytes": 4 * _size(depth), "latency": latency})
    return {
        "model": model,
        "device": "cpu",
        "threads": 1,
        "sequence_length": 64,
        "task": None,
        "repeats": 30,
        "depths": depths,
    }


SMALL = Study(
    name="small",
    models={"minilm": 6},
    tasks={name: definition | {"n": 300} for name, definition in Study().tasks.items() if name != "docs-source"},
    strategies=("top", "bottom"),
    seeds=(1, 2),
    collapsed=("minilm/docs-pair/pretrained/bottom-3/seed2",),
)

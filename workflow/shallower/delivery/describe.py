"""The description of a delivered model, put together from the tables and records of its study."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shallower.core import layout
from shallower.core.files import read_json
from shallower.core.model_classes import model_class_of
from shallower.core.runs import Run
from shallower.core.variants import TORCH, Variant
from shallower.delivery.candidates import Candidate
from shallower.delivery.description import (
    Delivered,
    Form,
    FullModel,
    Inputs,
    Score,
    Vocabulary,
    base_model_of,
    dataset_of,
)
from shallower.delivery.texts import takes_pairs
from shallower.delivery.variant_folders import folder_of, model_file, model_files, scores_folder, torch_folder
from shallower.evaluation.metrics import metric_title
from shallower.models.families import family_of
from shallower.models.folder import CONFIG, MANIFEST, TOKENIZER_FILES
from shallower.models.sentence_embedding import SentenceEmbedding
from shallower.task_kinds.registry import task_kind

# Columns of variants.csv with the median time to answer, each for a number of texts at once.
LATENCY = "latency_ms_batch"


def describe(
    candidate: Candidate,
    variant: Variant,
    rows: Sequence[Mapping[str, Any]],
    tokens: Mapping[str, Any],
    task: Mapping[str, Any],
    model_manifest: Mapping[str, Any],
    task_manifest: Mapping[str, Any],
    machine: Mapping[str, Any],
    score_kept: float | None,
) -> Delivered:
    """The description of a candidate whose recommended form is `variant`.

    `rows` are those of variants.csv on its model and task. `tokens` has what its tokens file says of padding
    (`max_length`, `padding_side`, `pad_token_type_id`, `has_token_types`). Delivered are the forms with the vocabulary
    of `variant`: that for torch, the recommended one, and those that were measured, answer differently to different
    examples and keep `score_kept` per cent of the score, if that is a limit of the budget.
    """
    run = candidate.run
    config = read_json(torch_folder(run, variant) / CONFIG)
    manifest = read_json(Path(run.directory) / MANIFEST)
    reference = _row(rows, origin="baseline", runtime=TORCH, vocabulary="full")
    own = [row for row in rows if _is_of(row, run) and row["vocabulary"] == variant.vocabulary]
    kept = [row for row in own if row["runtime"] in (TORCH, variant.runtime) or _holds(row, score_kept)]
    full_run = Run(run.study, run.model, run.task, "baseline", "none", "0", run.seed)
    vocabulary = read_json(Path(full_run.directory) / CONFIG)["vocab_size"]
    return Delivered(
        study=run.study,
        model=run.model,
        task=run.task,
        arm=run.arm,
        seed=run.seed,
        kept_layers=candidate.kept_layers,
        full=FullModel(candidate.num_layers, model_file(full_run, Variant()).stat().st_size, _latency(reference)),
        vocabulary=Vocabulary(config["vocab_size"], vocabulary),
        labels=tuple(task["labels"]) if task["labels"] else None,
        has_pair=takes_pairs(task),
        inputs=_inputs(torch_folder(run, variant), config, tokens),
        recommended=variant.runtime,
        forms=tuple(_form(run, row, reference, task["target"]) for row in kept),
        base=base_model_of(model_manifest),
        dataset=dataset_of(task_manifest["source"]),
        settings=manifest["settings"],
        machine=f"{machine['processor']}, one thread",
        threshold=read_json(folder_of(run, variant) / "metrics.json").get("threshold"),
        model_class=model_class_of(config),
        target=task["target"],
        embedding=SentenceEmbedding.of(config),
    )


def _row(rows: Sequence[Mapping[str, Any]], **values: str) -> Mapping[str, Any]:
    return next(row for row in rows if all(row[key] == value for key, value in values.items()))


def _is_of(row: Mapping[str, Any], run: Run) -> bool:
    return all(row[axis] == getattr(run, axis) for axis in ("origin", "strategy", "amount"))


def _holds(row: Mapping[str, Any], score_kept: float | None) -> bool:
    return not row["collapsed"] and (score_kept is None or row["kept_low"] >= score_kept)


def _form(run: Run, row: Mapping[str, Any], full: Mapping[str, Any], target: str) -> Form:
    variant = Variant(row["runtime"], row["vocabulary"])
    validation = {
        "mean": row["score"],
        "full": full["score"],
        "examples": row["num_examples"],
        **_kept(row, "kept"),
    }
    test = None
    # Of a study some tasks may have test examples, and others none.
    if not math.isnan(row.get("test_examples", math.nan)):
        ends = {"low": row["test_low"], "high": row["test_high"]}
        numbers = {"mean": row["test_score"], "full": row["test_full_score"], "examples": int(row["test_examples"])}
        test = _score(run, variant, layout.TEST, row, target, numbers | ends | _kept(row, "test_kept"))
    return Form(
        row["runtime"],
        sum(file.stat().st_size for file in model_files(model_file(run, variant))),
        validation=_score(run, variant, layout.VALIDATION, row, target, validation),
        test=test,
        latency=_latency(row),
    )


def _kept(row: Mapping[str, Any], name: str) -> dict[str, float | None]:
    has_percentage = not math.isnan(row[f"{name}_low"])
    columns = {"kept": f"{name}_percent", "kept_low": f"{name}_low", "kept_high": f"{name}_high"}
    return {key: row[column] if has_percentage else None for key, column in columns.items()}


def _score(
    run: Run, variant: Variant, split: str, row: Mapping[str, Any], target: str, numbers: Mapping[str, Any]
) -> Score:
    """The score on a split: the run's own, and `numbers` of all seeds, from a row of variants.csv."""
    metrics = read_json(scores_folder(run, variant, split) / "metrics.json")
    group = task_kind(target).group
    in_groups = f" in {group.counted(metrics['num_groups'])}" if group and "num_groups" in metrics else ""
    return Score(
        metric=row["metric"],
        title=metric_title(row["metric"], row["positive_class"]),
        value=metrics["metrics"][metrics["primary"]]["value"],
        seeds=row["seeds"],
        confidence=row["confidence"],
        in_groups=in_groups,
        **numbers,
    )


def _latency(row: Mapping[str, Any]) -> dict[int, float]:
    """Milliseconds by the number of texts at once."""
    return {int(key.removeprefix(LATENCY)): row[key] for key in row if key.startswith(LATENCY)}


def _inputs(folder: Path, config: Mapping[str, Any], tokens: Mapping[str, Any]) -> Inputs:
    family = family_of(config)
    token = read_json(folder / TOKENIZER_FILES[1])["pad_token"]
    return Inputs(
        max_length=tokens["max_length"],
        pad_token=token["content"] if isinstance(token, dict) else token,
        pad_token_id=tokens["pad_token_id"],
        pad_token_type_id=tokens["pad_token_type_id"],
        padding_side=tokens["padding_side"],
        token_types=tokens["has_token_types"] and family.takes_token_types,
    )

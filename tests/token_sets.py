"""Token sets of tiny tasks for tests of training, prediction and scoring."""

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa

import tiny
from shallower.core.files import read_json, write_json
from shallower.engine.tokens import TokenSet, tokenize, write_tokens
from shallower.models.families import family_of


def make_tokens(
    model_dir: Path, rows: int, pair: bool = False, regression: bool = False, seed: int = 0
) -> tuple[TokenSet, dict[str, Any]]:
    """The tokens of a tiny task for the tokenizer in a model folder, and the content of its task.json."""
    from transformers import AutoTokenizer

    folder = model_dir / f"task-{rows}-{pair}-{regression}-{seed}"
    definition = tiny.make_task_files(folder, rows, 2, pair=pair, regression=regression, seed=seed)
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    labels = definition.get("labels")
    columns = dict(zip(["text", "text_pair"], definition["text"], strict=False))
    table = pa.table(
        {
            "id": list(range(100, 100 + rows)),
            **{name: [record[column] for record in records] for name, column in columns.items()},
            "label": [labels.index(r["label"]) if labels else float(r["label"]) for r in records],
        }
    )
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    config = read_json(model_dir / "config.json")
    has_cls_token = family_of(config).has_cls_token
    tokens = tokenize(table, tokenizer, tiny.MAX_LENGTH, config["vocab_size"], has_cls_token=has_cls_token)
    task = {
        "name": "tiny",
        "target": definition["target"],
        "labels": labels,
        "metrics": definition["metrics"],
        "has_pair": pair,
        "rows": {"train": rows, "validation": rows},
    }
    return tokens, task


def write_task(folder: Path, tokens: TokenSet, task: dict[str, Any]) -> None:
    """Write tokens.safetensors and task.json, as the scripts read them."""
    write_tokens(folder / "tokens.safetensors", tokens)
    write_json(folder / "task.json", task)

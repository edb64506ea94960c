"""What became of the texts: cut ones, unknown tokens, repeated rows, as data for the template."""

from collections.abc import Mapping, Sequence
from typing import Any

from shallower.core.layout import SPLITS
from shallower.core.text_figures import (
    Figures,
    cut_percent,
    percentage,
    repeat_warnings,
    token_warnings,
    unknown_percent,
)
from shallower.core.wording import DASH, percent


def texts_content(
    config: Mapping[str, Any],
    texts: Mapping[tuple[str, str], Figures],
    tasks: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> dict[str, Any]:
    """The variables of the section on texts.

    `config` is the study; `texts` the content of texts.json by model and task; `tasks` that of task.json and
    manifest.json by task.
    """
    return {
        "warnings": text_warnings(config, texts, tasks),
        "tokens": [
            (
                f"{model} on {task}",
                split,
                f"{found['texts']:,}",
                _number(found["cut_texts"], cut_percent(found)),
                _unknown(found),
            )
            for (model, task), figures in texts.items()
            for split in SPLITS
            for found in [figures[split]]
        ],
        "repeats": [
            (
                name,
                _number(
                    manifest["repeats"]["validation_in_train"],
                    _share(manifest, task, "validation_in_train", "validation"),
                ),
                _number(manifest["repeats"]["train"], _share(manifest, task, "train", "train")),
            )
            for name, (task, manifest) in tasks.items()
            if "repeats" in manifest
        ],
    }


def text_warnings(
    config: Mapping[str, Any],
    texts: Mapping[tuple[str, str], Figures],
    tasks: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> Sequence[str]:
    """What is to be said of the texts of a study, each with a remedy; the arguments are those of `texts_content`."""
    limits = config["report"]["warn_above"]
    lengths = {task["name"]: {**config["train"], **task.get("train", {})}["max_length"] for task in config["tasks"]}
    found: list[str] = []
    for name, (task, manifest) in tasks.items():
        if "repeats" in manifest:
            found += repeat_warnings(name, manifest["repeats"], task["rows"], limits)
    for (model, name), figures in texts.items():
        found += token_warnings(model, name, figures, lengths[name], limits)
    return found


def _share(manifest: Mapping[str, Any], task: Mapping[str, Any], key: str, split: str) -> float | None:
    return percentage(manifest["repeats"][key], task["rows"][split])


def _unknown(found: Mapping[str, Any]) -> str:
    if found["unknown_tokens"] is None:
        return f"{DASH} (no such token)"
    return _number(found["unknown_tokens"], unknown_percent(found), decimals=2)


def _number(number: int, share: float | None, decimals: int = 1) -> str:
    return f"{number:,}" if share is None or not number else f"{number:,} ({percent(share, decimals)})"

"""What became of the texts: cut ones, unknown tokens, repeated rows, as data for the template."""

from collections.abc import Mapping, Sequence
from typing import Any

from shallower.core.layout import CALIBRATION, SPLITS, TEST
from shallower.core.text_figures import (
    Figures,
    cut_percent,
    lost_percent,
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
    test_texts: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """The variables of the section on texts.

    `config` is the study; `texts` the content of texts.json by model and task; `tasks` that of task.json and
    manifest.json by task; `test_texts` that of test-texts.json.
    """
    return {
        "warnings": text_warnings(config, texts, tasks, test_texts),
        "tokens": [
            (
                f"{model} on {task}",
                split,
                f"{found['texts']:,}",
                _number(found["cut_texts"], cut_percent(found)),
                _unknown(found),
            )
            for (model, task), figures in texts.items()
            for split in (*SPLITS, TEST)
            if split in figures
            for found in [figures[split]]
        ],
        "words": [
            (
                f"{model} on {task}",
                split,
                f"{found['words']:,}",
                _number(found["lost_words"], lost_percent(found)),
                _number(found["split_texts"], percentage(found["split_texts"], found["texts"])),
            )
            for (model, task), figures in texts.items()
            for split in (*SPLITS, TEST)
            if "words" in figures.get(split, {})
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
        "tests": [(name, *_in_others(found)) for name, found in test_texts.items()],
    }


def text_warnings(
    config: Mapping[str, Any],
    texts: Mapping[tuple[str, str], Figures],
    tasks: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]],
    test_texts: Mapping[str, Mapping[str, Any]],
) -> Sequence[str]:
    """What is to be said of the texts of a study, each with a remedy; the arguments are those of `texts_content`."""
    limits = config["report"]["warn_above"]
    lengths = {task["name"]: {**config["train"], **task.get("train", {})}["max_length"] for task in config["tasks"]}
    found: list[str] = []
    for name, (task, manifest) in tasks.items():
        if "repeats" in manifest:
            of_test = test_texts.get(name, {"repeats": {}, "rows": 0})
            repeats = {**manifest["repeats"], **of_test["repeats"]}
            found += repeat_warnings(name, repeats, {**task["rows"], TEST: of_test["rows"]}, limits)
    for (model, name), figures in texts.items():
        found += token_warnings(model, name, figures, lengths[name], limits)
    return found


def _in_others(found: Mapping[str, Any]) -> list[str]:
    """Test rows that are rows of the other splits, training first; an en dash for a split that is not there."""
    numbers = [found["repeats"].get(f"{TEST}_in_{split}") for split in (*SPLITS, CALIBRATION)]
    return [DASH if number is None else _number(number, percentage(number, found["rows"])) for number in numbers]


def _share(manifest: Mapping[str, Any], task: Mapping[str, Any], key: str, split: str) -> float | None:
    rows = {**task["rows"], **manifest["repeats"].get("compared", {})}
    return percentage(manifest["repeats"][key], rows[split])


def _unknown(found: Mapping[str, Any]) -> str:
    if found["unknown_tokens"] is None:
        return f"{DASH} (no such token)"
    return _number(found["unknown_tokens"], unknown_percent(found), decimals=2)


def _number(number: int, share: float | None, decimals: int = 1) -> str:
    return f"{number:,}" if share is None or not number else f"{number:,} ({percent(share, decimals)})"

"""Warnings about a study's texts before it runs, from what earlier steps or the check of its files have found."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from shallower.core import layout
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.core.text_figures import FILE, repeat_warnings, token_warnings, unlabelled_in_words
from shallower.planning.sizes import unlabelled_manifest, unlabelled_rows
from shallower.sources.tasks import local_data
from shallower.study.study import Study


def text_warnings(study: Study, resources: Path) -> Iterator[str]:
    """What is to be said of the texts of a study's tasks, as far as it is known. Nothing is tokenized."""
    limits = study.config["report"]["warn_above"]
    for task in study.tasks:
        with suppress(KeyError, TypeError):  # of a damaged file, which steps report
            repeats, rows = _repeats(study, task, resources)
            if repeats:
                yield from repeat_warnings(task, repeats, rows, limits)
        length = study.max_length(task)
        for model in study.models:
            keys = {"model_key": study.model_key(model), "task_key": study.task_key(task), "max_length": length}
            file = resources / layout.inside(layout.RESOURCES, layout.TOKENS).format(**keys) / FILE
            with suppress(KeyError, TypeError):
                if figures := _content(file):
                    yield from token_warnings(model, task, figures, length, limits)


def unlabelled_notes(study: Study, resources: Path) -> Iterator[str]:
    """How many texts without labels a study's tasks have for a teacher, and how many are left out, where that is known.

    What they have in common with a task's splits is found where these have been brought into one form.
    """
    for task in study.tasks:
        if manifest := unlabelled_manifest(study, task, resources):
            with suppress(KeyError, TypeError):  # of a damaged file, which steps report
                rows = manifest["rows"][layout.UNLABELLED]
                yield f"{task}: {rows:,} texts without labels; of {unlabelled_in_words(manifest['found'])}."
        elif rows := unlabelled_rows(study, task, resources):
            yield f"{task}: at most {rows:,} texts without labels; those that its splits have will be left out."
        elif augment := study.augmentation(task):
            copies = augment["copies"]
            yield f"{task}: up to {copies} texts without labels from each training text; repeats are left out."


def _repeats(study: Study, task: str, resources: Path) -> tuple[Any, Any]:
    """Numbers of repeated rows and of all rows, by split: as the download found them, or the check of local files."""
    folder = resources / layout.inside(layout.RESOURCES, layout.TASK).format(task_key=study.task_key(task))
    manifest, description = _content(folder / "manifest.json"), _content(folder / "task.json")
    if manifest and description:
        return manifest["repeats"], description["rows"]
    found = local_data(study.test_definition(task) or study.task_definition(task))
    return found.repeats, found.rows


def _content(file: Path) -> Any:
    """Content of a JSON file; None while it does not exist or where it is damaged, which the steps report."""
    with suppress(UserError):
        return read_json(file)
    return None

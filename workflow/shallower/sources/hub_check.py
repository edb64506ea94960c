"""What the hub has of a study's models and data, asked before anything large is downloaded.

Configurations and tokenizers are downloaded; of weights and parquet files only what describes their content.
"""

import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq

from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.models.families import check_model_class, check_onnx_export, family_of, position_limit
from shallower.models.folder import CONFIG, WEIGHTS, WEIGHTS_INDEX
from shallower.models.sentence_embedding import read_embedding
from shallower.models.weight_files import header, weight_files, weight_map
from shallower.sources.file_formats import check_columns
from shallower.sources.hub import HubFile, download, files_of, pull_requests
from shallower.sources.hub_outline import outline
from shallower.sources.hub_requests import Commit, HubUnreachable, named_commit, refuse_absent
from shallower.sources.model_checks import (
    check_with_transformers,
    checked_config,
    weight_file,
    wrong_hash,
)
from shallower.sources.pickled_weights import PICKLE
from shallower.sources.task_sources import TASK_SOURCES
from shallower.sources.tensor_checks import check_tensors
from shallower.sources.tokenizer_files import check_tokenizer_files, save_fast_tokenizer, tokenizer_files
from shallower.sources.wrappers import without_wrapper

# Pull requests that are looked into for weights that the pinned commit lacks, the oldest ones.
MOST_PULL_REQUESTS = 10

List = Callable[[Commit], Mapping[str, HubFile]]
Definition = Mapping[str, Any]
Check = Callable[[Definition, List, list[str]], Iterator[str]]


@dataclass(frozen=True)
class Finding:
    """What was found of one model or task.

    Attributes:
        subject: the kind and name of the study's entry.
        on_hub: whether it is on the hub at all.
        problems: what is wrong, each with a remedy.
        notes: what was found, and what was not checked.
    """

    subject: str
    on_hub: bool = True
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.problems:
            return f"wrong  {self.subject}: {'; also: '.join(self.problems)}"
        return f"{'ok' if self.on_hub else '-':6} {self.subject}: {'; '.join(self.notes)}"


def check_on_hub(
    models: Iterable[Definition],
    tasks: Iterable[Definition],
    model_classes: Collection[str] = (),
    to_export: bool = False,
) -> Iterator[Finding]:
    """Check what the definitions of a study's models and tasks name on the hub, one after the other.

    Models must suit transformers' `model_classes` and, with `to_export`, can be exported to ONNX.
    Once the hub cannot be reached at all, the others count as wrong unasked. Raises UserError in offline mode.
    """
    if huggingface_hub.is_offline_mode():
        raise UserError("HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set; unset it, as the hub is to be asked")
    listing = _remembering(files_of)
    check_model: Check = partial(_check_model, model_classes, to_export)
    reachable = True
    for kind, check, definition in [
        *(("model", check_model, model) for model in models),
        *(("task", _check_task, task) for task in tasks),
    ]:
        subject = f"{kind} {definition['name']}"
        problems: list[str] = []
        try:
            if not _is_on_hub(kind, definition):
                yield Finding(subject, on_hub=False, notes=(f"not on the hub (source {definition['source']})",))
                continue
            if not reachable:
                raise UserError("not checked, as the hub cannot be reached")
            notes = tuple(check(definition, listing, problems))
        except UserError as error:
            reachable = reachable and not isinstance(error, HubUnreachable)
            notes, problems = (), [*problems, str(error)]
        yield Finding(subject, problems=tuple(problems), notes=notes)


def _remembering(listing: List) -> List:
    """A function that asks for each commit once, also if the answer is an error: the tasks of GLUE share one."""

    @cache
    def answer(commit: Commit) -> Mapping[str, HubFile] | UserError:
        try:
            return listing(commit)
        except UserError as error:
            return error

    def files(commit: Commit) -> Mapping[str, HubFile]:
        if isinstance(found := answer(commit), UserError):
            raise found
        return found

    return files


def _is_on_hub(kind: str, definition: Definition) -> bool:
    if kind == "model":
        return bool(definition["source"] == "hub")
    return TASK_SOURCES[definition["source"]].hub_files(definition) is not None


@contextmanager
def _collecting(problems: list[str], folder: Path) -> Iterator[None]:
    """Add the UserError of a block to the problems; files are named as on the hub, not by the folder."""
    try:
        yield
    except HubUnreachable:
        raise
    except UserError as error:
        problems.append(str(error).replace(f"{folder}{os.sep}", ""))


# Models


def _check_model(
    model_classes: Collection[str], to_export: bool, definition: Definition, listing: List, problems: list[str]
) -> Iterator[str]:
    """Yield what was found of a model, and add what is wrong to the problems."""
    commit = named_commit(definition["repository"], definition["revision"], "model")
    files = listing(commit)
    yield f"{commit.repository} at {commit.revision[:12]}"
    with tempfile.TemporaryDirectory(prefix="shallower-") as name:
        folder = Path(name)
        weights = ""
        with _collecting(problems, folder):
            weights = _weight_file(definition, commit, listing)
        config: dict[str, Any] = {}
        with _collecting(problems, folder):
            refuse_absent(commit, [CONFIG], files)
            download(commit.repository, commit.revision, [CONFIG], "model", folder)
            config = checked_config(definition, folder / CONFIG)
            check_with_transformers(folder)
        if not config:
            return
        for model_class in model_classes:
            with _collecting(problems, folder):
                check_model_class(family_of(config), model_class)
        if to_export:
            with _collecting(problems, folder):
                check_onnx_export(family_of(config))
        yield f"{family_of(config).num_layers(config)} layers"
        with _collecting(problems, folder):
            names = tokenizer_files(list(files))
            download(commit.repository, commit.revision, names, "model", folder)
            check_tokenizer_files(folder, config)
            save_fast_tokenizer(folder, config, folder / "saved")
        if definition.get("sentence_embedding"):
            with _collecting(problems, folder):
                read_embedding(partial(_downloaded, commit, files, folder), list(files), position_limit(config))
        if weights == PICKLE:
            yield f"{PICKLE} of {_megabytes(files[PICKLE].size)}, to be converted: its tensors are not checked before"
            yield _converted_elsewhere(commit, listing)
        elif weights:
            with _collecting(problems, folder):
                yield _check_weights(definition, commit, files, weights, config, folder)
        yield from _pull_request_note(commit)


def _downloaded(commit: Commit, files: Mapping[str, HubFile], folder: Path, name: str) -> Any:
    """The content of one of a commit's JSON files."""
    refuse_absent(commit, [name], files)
    download(commit.repository, commit.revision, [name], "model", folder)
    return read_json(folder / name)


def _check_weights(
    definition: Definition,
    commit: Commit,
    files: Mapping[str, HubFile],
    weights: str,
    config: Mapping[str, Any],
    folder: Path,
) -> str:
    """Check what the hub says of the weights, and their headers; return what was found."""
    names = [weights]
    if weights == WEIGHTS_INDEX:
        download(commit.repository, commit.revision, [WEIGHTS_INDEX], "model", folder)
        names = sorted(set(weight_map(folder / WEIGHTS_INDEX).values()))
        refuse_absent(commit, names, files)
    elif (stated := definition.get("sha256")) and len(files[WEIGHTS].digest) == 64 and files[WEIGHTS].digest != stated:
        raise wrong_hash(files[WEIGHTS].digest, stated)
    for name in names:
        outline(commit, name, files[name].size, folder / name)
    tensors = {name: entry for file in weight_files(folder) for name, entry in header(file).items()}
    check_tensors(config, without_wrapper(tensors, family_of(config)))
    return f"{len(tensors)} tensors, {_megabytes(sum(files[name].size for name in names))}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _weight_file(definition: Definition, commit: Commit, listing: List) -> str:
    """The weights among a commit's files; where they are pickled only, the error says which pull request has others."""
    names = list(listing(commit))
    try:
        return weight_file(names, definition)
    except UserError as error:
        if PICKLE not in names:
            raise
        raise UserError(f"{error}; {_converted_elsewhere(commit, listing)}") from None


def _converted_elsewhere(commit: Commit, listing: List) -> str:
    """Which pull request has the weights that a commit lacks."""
    for ref, revision in list(_pull_requests(commit).items())[:MOST_PULL_REQUESTS]:
        if WEIGHTS in listing(named_commit(commit.repository, revision, commit.repo_type)):
            return f"{ref} has {WEIGHTS} at commit {revision}: look at its author before you pin it"
    return f"none of its pull requests has {WEIGHTS}"


def _pull_request_note(commit: Commit) -> Iterator[str]:
    """That a commit is the last one of a pull request, which anyone may have opened."""
    for ref, revision in _pull_requests(commit).items():
        if revision == commit.revision:
            yield f"the commit is that of {ref}: look at its author"


def _pull_requests(commit: Commit) -> dict[str, str]:
    """Commits of pull requests; none where the hub does not list them, as some mirrors do not."""
    try:
        return pull_requests(commit)
    except HubUnreachable:
        raise
    except UserError:
        return {}


# Tasks


def _check_task(definition: Definition, listing: List, problems: list[str]) -> Iterator[str]:
    """Yield what was found of a task's data, and add what is wrong to the problems."""
    source = TASK_SOURCES[definition["source"]]
    place = source.hub_files(definition)
    assert place is not None
    commit = named_commit(place.repository, place.revision, "dataset")
    files = listing(commit)
    refuse_absent(commit, list(place.names.values()), files)
    yield f"{commit.repository} at {commit.revision[:12]}"
    columns = source.columns(definition)
    with tempfile.TemporaryDirectory(prefix="shallower-") as folder:
        for split, name in place.names.items():
            path = Path(folder) / name
            with _collecting(problems, Path(folder)):
                if not outline(commit, name, files[name].size, path):
                    yield f"{name} is there, its columns are not checked"
                    continue
                rows = _check_parquet(path, [*columns.text, *columns.of_labels], definition.get(f"{split}_examples", 1))
                yield f"{split} has {rows:,} rows"


def _check_parquet(path: Path, used: list[str], examples: int) -> int:
    """Number of rows of a parquet file, by its footer; the columns that are used must be there, and enough rows."""
    try:
        with pq.ParquetFile(path) as file:
            names, rows = file.schema_arrow.names, file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: cannot be read as parquet ({reason}); choose another revision or file") from None
    check_columns(path, names, used)
    if rows < examples:
        raise UserError(f"{path}: has {rows} rows, the study asks for {examples}; ask for fewer")
    return rows

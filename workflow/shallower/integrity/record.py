"""The record of a finished study: its settings, code, models, data and runs, and the checksums of all its files.

The record is provenance.json; SHA256SUMS is what `sha256sum -c` reads in the study's folder. Both are about the files
of the study: what an earlier version of it left behind is not listed, and is unknown to `verify`.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from shallower.core import layout
from shallower.core.code_digest import code_digest, code_files
from shallower.core.files import read_json, sha256_of, write_json, write_text
from shallower.core.provenance import code_state
from shallower.core.runs import DROPPED, Run, earlier_manifests
from shallower.core.variants import TRIMMED
from shallower.integrity.delivered import FIGURES as VARIANT_FIGURES
from shallower.integrity.delivered import delivered_record, files_of_deliveries
from shallower.models.folder import CONFIG, TOKENIZER_FILES, WEIGHTS

# Not at run time: verifying a study needs none of its checks.
if TYPE_CHECKING:
    from shallower.study.study import Study

RECORD = "provenance.json"
SUMS = "SHA256SUMS"
HASHING_THREADS = 4

# Written by `make provenance` after the study is finished, from Snakemake's own metadata.
WRITTEN_LATER = (layout.PROVENANCE_PAGE,)
# A model on the way to a run (in dropped/, frozen/ or stage{n}/) is deleted after its use; its manifests stay.
INTERMEDIATE_FILES = (WEIGHTS, CONFIG, *TOKENIZER_FILES)


def record_study(study: Study, library: Path, root: str | Path = ".") -> None:
    """Write provenance.json and SHA256SUMS of a finished study.

    `library` is the folder of the pipeline's code, `root` the one that results/ and resources/ are in. Raises UserError
    when a manifest or a run's layers.json is missing or cannot be read.
    """
    root = Path(root)
    results_dir = root / layout.STUDY.format(study=study.name)
    models = {name: study.model_key(name) for name in study.models}
    tasks = {name: study.task_key(name) for name in study.tasks}
    record = {
        "study": dict(study.config),
        "code": code_state(library) | {"steps": step_digests(library)},
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {package.name: package.version for package in distributions()},
        "models": {name: _source(root, key, layout.MODEL.format(model_key=key)) for name, key in models.items()},
        "tasks": {name: _source(root, key, layout.TASK.format(task_key=key)) for name, key in tasks.items()},
        "runs": [
            _run_record(root, run)
            | {"tokens": _tokens_folder(models[run.model], tasks[run.task], study.max_length(run.task))}
            for run in study.runs
        ],
    }
    record["calibration"] = {
        name: _calibration_record(study, root, name) for name in tasks if study.chooses_by_calibration(name)
    }
    record["unlabelled"] = {name: found for name in tasks if (found := _unlabelled_record(study, root, name))}
    # Only there where a task has test examples, so that other records stay as they are.
    if tested := {name: found for name in tasks if (found := _test_record(study, root, name))}:
        record["test"] = tested
    if study.config.get("deliver"):
        pairs = dict.fromkeys((run.model, run.task) for run in study.runs if not run.is_baseline)
        record["delivered"] = delivered_record(study.config, pairs, root)
        record["trimmed"] = _trimmed_record(study, root, pairs)
    record["tokens"] = {
        name: sha256_of(root / layout.RESOURCES / name)
        for name in tokens_files(record)
        if (root / layout.RESOURCES / name).is_file()
    }
    write_json(results_dir / RECORD, record)
    write_sums(results_dir, files_of_study(results_dir, record))


def step_digests(library: Path) -> dict[str, str]:
    """The digest of the code behind each script, as the workflow passes it to the script's rule."""
    scripts = sorted((library / "scripts").glob("*.py"))
    return {script.stem: code_digest(code_files(script, library), library) for script in scripts}


def files_of_study(results_dir: Path, record: Mapping[str, Any]) -> list[str]:
    """Files that belong to a recorded study, relative to its folder and sorted, except SHA256SUMS itself.

    Files of runs that the study does not have are left out, as are models that are only there on the way to others.
    """
    belongs = Membership(record)
    return [name for name in present_files(results_dir) if belongs(name) and not belongs.intermediate(name)]


def tokens_files(record: Mapping[str, Any]) -> list[str]:
    """The tokens that a recorded study's runs are trained, taught, scored and chosen on, whether or not they exist.

    Names are relative to the folder of resources.
    """
    folders = sorted({run["tokens"] for run in record["runs"]})
    of_splits = [f"{folder}/{split}.safetensors" for folder in folders for split in layout.SPLITS]
    others = [*record["calibration"].values(), *record["unlabelled"].values(), *record.get("test", {}).values()]
    others += record.get("trimmed", [])
    return of_splits + [name for entry in others for name in entry["tokens"]]


def present_files(results_dir: Path) -> Iterator[str]:
    """All files of a study's folder, relative to it and sorted, except SHA256SUMS and what is written later."""
    names = (path.relative_to(results_dir).as_posix() for path in results_dir.rglob("*") if path.is_file())
    return (name for name in sorted(names) if name not in (SUMS, *WRITTEN_LATER))


class Membership:
    """Says which files of a study's folder belong to the study, by its runs."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.keeps_models: bool = record["study"]["keep_models"]
        # What an earlier version of the study recommended is no part of one without a budget.
        self.strangers = set() if record["study"].get("budget") else {_in_study(layout.RECOMMENDED)}
        # Likewise what is of test examples.
        tested = record.get("test", {})
        if not tested:
            self.strangers |= set(map(_in_study, (layout.TEST_RESULTS, layout.TEST_RESAMPLES, layout.TEST_TEXTS)))
        self.delivers = bool(record["study"].get("deliver"))
        if not self.delivers:
            self.strangers.add(_in_study(layout.VARIANTS_TABLE))
        self.untested = {
            PurePosixPath(run["folder"]) / layout.TEST for run in record["runs"] if run["task"] not in tested
        }
        self.runs = [PurePosixPath(run["folder"]) for run in record["runs"]]
        self.files, self.folders = files_of_deliveries(record)
        self.folders |= {_in_study(layout.TABLES), *self.runs}
        # What a study of this name had once, and has no more, is no part of it.
        if record["study"].get("reproduction"):
            self.folders.add(_in_study(layout.PAPER))
        else:
            self.strangers |= {PurePosixPath("states.csv"), PurePosixPath("scores.csv")}
        if record["study"].get("oracle"):
            self.folders.add(_in_study(layout.ORACLE))
        for run in record["runs"]:
            names = {axis: run[axis] for axis in ("model", "task", "arm")}
            self.files |= {
                _in_study(f"{layout.MODEL_RESULTS}/cost.json", **names),
                _in_study(f"{layout.TASK_RESULTS}/reloaded.csv", **names),
                _in_study(f"{layout.ARM}/comparison.json", **names),
            }
            self.folders |= {_in_study(layout.SCORES, **names), _in_study(layout.FIGURES, **names)}

    def __call__(self, name: str) -> bool:
        """Whether a file, named relative to the study's folder, is part of the study."""
        path = PurePosixPath(name)
        if path in self.strangers or path.parent in self.untested:
            return False
        if not self.delivers and path.match(VARIANT_FIGURES):
            return False
        return len(path.parts) == 1 or path in self.files or not self.folders.isdisjoint(path.parents)

    def intermediate(self, name: str) -> bool:
        """Whether a file is of a model that is not kept once the study is finished."""
        path = PurePosixPath(name)
        if path.name not in INTERMEDIATE_FILES and path.parent.name != DROPPED:
            return False
        below_a_run = any(run in path.parent.parents for run in self.runs)
        return below_a_run or (path.name == WEIGHTS and not self.keeps_models)


def _in_study(pattern: str, **names: Any) -> PurePosixPath:
    return PurePosixPath(layout.inside(layout.STUDY, pattern).format(**names))


def write_sums(results_dir: Path, names: Iterable[str]) -> None:
    """Write SHA256SUMS: a line for each file, as `sha256sum` writes them."""
    names = list(names)
    # Threads, as hashing releases Python's lock, and waits for the disk.
    with ThreadPoolExecutor(HASHING_THREADS) as pool:
        sums = pool.map(sha256_of, (results_dir / name for name in names))
        write_text(results_dir / SUMS, "".join(f"{sha256}  {name}\n" for sha256, name in zip(sums, names, strict=True)))


def _source(root: Path, key: str, folder: str) -> dict[str, Any]:
    """A downloaded model or task: the key that its folder is named after, and its manifest."""
    return {"key": key, "manifest": read_json(root / folder / "manifest.json")}


def _calibration_record(study: Study, root: Path, task: str) -> dict[str, Any]:
    """The calibration examples of a task: their folder, manifest and files of tokens; relative to the resources."""
    named = {"examples": study.calibration_examples(task)}
    return _part_record(
        study, root, task, layout.CALIBRATION, layout.CALIBRATION_DATA, layout.CALIBRATION_TOKENS, named
    )


def _unlabelled_record(study: Study, root: Path, task: str) -> dict[str, Any] | None:
    """The same of the texts without labels that a teacher answers; None for a task without.

    Texts that are made from the training texts have tokens alone.
    """
    if (key := study.unlabelled_key(task)) is not None:
        patterns = (layout.UNLABELLED_DATA, layout.UNLABELLED_TOKENS)
        return _part_record(study, root, task, layout.UNLABELLED, *patterns, {"unlabelled": key})
    if (key := study.augmentation_key(task)) is not None:
        return {"tokens": _part_tokens(study, task, layout.AUGMENTED, layout.AUGMENTED_TOKENS, {"augmented": key})}
    return None


def _test_record(study: Study, root: Path, task: str) -> dict[str, Any] | None:
    """The same of the test examples of a task; None for a task without."""
    if (key := study.test_key(task)) is None:
        return None
    return _part_record(study, root, task, layout.TEST, layout.TEST_DATA, layout.TEST_TOKENS, {"test": key})


def _trimmed_record(study: Study, root: Path, pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """The same of the trimmed tokenizers of models and tasks, where the study has any."""
    deliver, found = study.config["deliver"], []
    for model, task in pairs if TRIMMED in deliver["vocabularies"] else []:
        keys = {"model_key": study.model_key(model), "task_key": study.task_key(task)}
        sizes = {"max_length": study.max_length(task), "trimmed": study.trimmed_key(task)}
        folder = layout.TRIMMED.format(**keys, **sizes)
        place = layout.inside(layout.RESOURCES, folder)
        manifest = read_json(root / folder / "manifest.json")
        found.append({"folder": place, "manifest": manifest, "tokens": [f"{place}/validation.safetensors"]})
    return found


def _part_record(
    study: Study, root: Path, task: str, name: str, data: str, tokens: str, named: Mapping[str, Any]
) -> dict[str, Any]:
    """Folder, manifest and files of tokens of examples `name`; `named` fills in the patterns `data` and `tokens`."""
    folder = data.format(task_key=study.task_key(task), **named)
    return {
        "folder": layout.inside(layout.RESOURCES, folder),
        "manifest": read_json(root / folder / "manifest.json"),
        "tokens": _part_tokens(study, task, name, tokens, named),
    }


def _part_tokens(study: Study, task: str, name: str, folder: str, named: Mapping[str, Any]) -> list[str]:
    """Files of tokens of examples `name`, one for each model; `named` fills in the pattern `folder`."""
    pattern = f"{layout.inside(layout.RESOURCES, folder)}/{name}.safetensors"
    keys = {"task_key": study.task_key(task), "max_length": study.max_length(task), **named}
    return [pattern.format(model_key=study.model_key(model), **keys) for model in study.models]


def _tokens_folder(model_key: str, task_key: str, max_length: int) -> str:
    pattern = layout.inside(layout.RESOURCES, layout.TOKENS)
    return pattern.format(model_key=model_key, task_key=task_key, max_length=max_length)


def _run_record(root: Path, run: Run) -> dict[str, Any]:
    """What made a run: its place in the grid, its layers, and the manifests of its trainings, the last one first."""
    folder = root / run.directory
    names = {axis: getattr(run, axis) for axis in ("model", "task", "arm", "seed")}
    return {
        **names,
        **{axis: getattr(run, axis) for axis in ("origin", "strategy", "amount")},
        "folder": _in_study(layout.RUN, **names).as_posix(),
        "layers": read_json(folder / "layers.json"),
        "manifest": read_json(folder / "manifest.json"),
        "before": {path.parent.name: read_json(path) for path in earlier_manifests(folder)},
    }

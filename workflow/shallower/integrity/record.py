"""What made a study: one record of its settings, code, models, data and runs, and the hashes of all its files.

The record is provenance.json; SHA256SUMS is what `sha256sum -c` reads in the study's folder. Both are about the files
of the study as it is: what a run left that is no longer in the study is not listed, and is unknown to `verify`.
"""

import csv
import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from typing import Any

from shallower.core.code_digest import code_digest, code_files
from shallower.core.files import read_json, sha256_of, write_json, write_text
from shallower.core.provenance import code_state

RECORD = "provenance.json"
SUMS = "SHA256SUMS"

# Written by `make provenance` when the study is finished, from Snakemake's own notes.
LATER = ("provenance.html",)
# A model on its way to a run (in dropped/, frozen/ or stage{n}/) is deleted after its use; the manifests of trainings
# stay.
DROPPED = "dropped"
PASSING_FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json")


def record_study(
    results_dir: str | Path,
    config: Mapping[str, Any],
    models: Iterable[Path],
    tasks: Iterable[Path],
    library: Path,
) -> None:
    """Write provenance.json and SHA256SUMS of the finished study in `results_dir`.

    `config` is the study with its defaults filled in, `models` and `tasks` are the manifests of what it was made from,
    `library` is the folder of the pipeline's code. Raises UserError when a run lacks its manifest.
    """
    results_dir = Path(results_dir)
    with open(results_dir / "runs.csv", encoding="utf-8", newline="") as file:
        runs = list(csv.DictReader(file))
    record = {
        "study": dict(config),
        "code": code_state(library) | {"steps": step_digests(library)},
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {package.name: package.version for package in distributions()},
        "models": _sources(models),
        "tasks": _sources(tasks),
        "runs": [_run_record(results_dir, run) for run in runs],
    }
    record["tokens"] = {path.as_posix(): sha256_of(path) for path in tokens_files(record) if path.is_file()}
    write_json(results_dir / RECORD, record)
    write_sums(results_dir, files_of_study(results_dir, record))


def step_digests(library: Path) -> dict[str, str]:
    """The digest of the code behind each script, as the workflow gives it to the script's rule."""
    scripts = sorted((library / "scripts").glob("*.py"))
    return {script.stem: code_digest(code_files(script, library), library) for script in scripts}


def files_of_study(results_dir: Path, record: Mapping[str, Any]) -> list[str]:
    """Files that belong to a recorded study, relative to its folder and sorted, but for SHA256SUMS itself.

    Left out are files of runs that the study does not have, and models that are only there on the way to others.
    """
    belongs = Membership(record)
    return [name for name in present_files(results_dir) if belongs(name) and not belongs.passing(name)]


def tokens_files(record: Mapping[str, Any]) -> list[Path]:
    """The tokens that a recorded study's runs learnt from and were scored on, whether or not they are there."""
    folders = {tokens_folder(record, run) for run in record["runs"]}
    return [folder / f"{split}.safetensors" for folder in sorted(folders) for split in ("train", "validation")]


def tokens_folder(record: Mapping[str, Any], run: Mapping[str, Any]) -> Path:
    """Folder of the tokens of a recorded run."""
    model, task = (Path(record[kind][run[kind[:-1]]]["folder"]) for kind in ("models", "tasks"))
    length = run["manifest"]["settings"]["max_length"]
    return model.parents[1] / "tokens" / model.name / task.name / f"length{length}"


def present_files(results_dir: Path) -> Iterator[str]:
    """All files of a study's folder, relative to it and sorted, but for SHA256SUMS and what is made later."""
    names = (path.relative_to(results_dir).as_posix() for path in results_dir.rglob("*") if path.is_file())
    return (name for name in sorted(names) if name not in (SUMS, *LATER))


class Membership:
    """Tells which files of a study's folder are the study's own, by its runs."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.keeps_models: bool = record["study"]["keep_models"]
        self.runs = [PurePosixPath(run["folder"]) for run in record["runs"]]
        self.files: set[PurePosixPath] = set()
        self.folders = {PurePosixPath("tables"), PurePosixPath("paper"), *self.runs}
        for run, folder in zip(record["runs"], self.runs, strict=True):
            pair = PurePosixPath(run["model"], run["task"])
            self.files |= {PurePosixPath(run["model"], "cost.json"), pair / "reloaded.csv"}
            self.files.add(folder.parent / "comparison.json")
            self.folders |= {pair / "scores", "figures" / pair}

    def __call__(self, name: str) -> bool:
        """Whether a file, named relative to the study's folder, is of the study."""
        path = PurePosixPath(name)
        return len(path.parts) == 1 or path in self.files or not self.folders.isdisjoint(path.parents)

    def passing(self, name: str) -> bool:
        """Whether a file is of a model that is not kept once the study is finished."""
        path = PurePosixPath(name)
        if path.name not in PASSING_FILES and path.parent.name != DROPPED:
            return False
        below_a_run = any(run in path.parent.parents for run in self.runs)
        return below_a_run or (path.name == "model.safetensors" and not self.keeps_models)


def write_sums(results_dir: Path, names: Iterable[str]) -> None:
    """Write SHA256SUMS: a line for each file, as `sha256sum` writes them."""
    lines = (f"{sha256_of(results_dir / name)}  {name}\n" for name in names)
    write_text(results_dir / SUMS, "".join(lines))


def _sources(manifests: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Folder and manifest of each downloaded model or task, by its name in the study."""
    found = {}
    for path in manifests:
        manifest = read_json(path)
        found[manifest["source"]["name"]] = {"folder": path.parent.as_posix(), "manifest": manifest}
    return found


def _run_record(results_dir: Path, run: Mapping[str, str]) -> dict[str, Any]:
    """What made a run: its place in the grid, its layers, and the manifests of its trainings, the last one first."""
    folder = results_dir / Path(run["directory"]).relative_to(Path("results") / run["study"])
    before = [path for path in sorted(folder.glob("*/manifest.json")) if path.parent.name != DROPPED]
    return {
        **{name: run[name] for name in ("model", "task", "origin", "strategy", "amount", "seed")},
        "folder": folder.relative_to(results_dir).as_posix(),
        "layers": read_json(folder / "layers.json"),
        "manifest": read_json(folder / "manifest.json"),
        "before": {path.parent.name: read_json(path) for path in before},
    }

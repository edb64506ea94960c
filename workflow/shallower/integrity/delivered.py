"""What a study's record has of the models that it delivers, which files belong to these, and how they are verified.

The entry of a model and task in the record:

    {"model", "task", "candidates": [{"folder", "sha256"}, ...], "variants": {FOLDER: MANIFEST, ...},
     "recommended": FOLDER, or "" for none, "delivered": MANIFEST}

Folders are relative to that of the study.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from shallower.core import errors, layout
from shallower.core.files import read_json
from shallower.core.variants import (
    FULL,
    INT8,
    ONNX,
    TORCH,
    Variant,
    made_runtimes,
    record_of_making,
    records_of_making,
)
from shallower.delivery.candidates import read_candidates
from shallower.delivery.variant_folders import MODEL_FILES, folder_of, in_variants
from shallower.models.folder import MANIFEST, WEIGHTS
from shallower.study.study import has_test

# The records of the steps that make what else is in the folder of a variant than the model.
MAKERS_OF_FILES = {"predictions.parquet": "predicted", "metrics.json": "evaluated", "resamples.npy": "evaluated"}
# Figures that only studies with delivered models have.
FIGURES = "figures/*/*/score-by-variant.*"

Entry = Mapping[str, Any]


def delivered_record(config: Mapping[str, Any], pairs: Iterable[tuple[str, str]], root: Path) -> list[dict[str, Any]]:
    """The entries of models and tasks of a finished study with `deliver`; `root` is the folder that results/ is in.

    Raises UserError when a file is missing or cannot be read.
    """
    study, deliver = config["study"], config["deliver"]
    with open(root / layout.RECOMMENDED.format(study=study), newline="", encoding="utf-8") as file:
        recommended = {(row["model"], row["task"]): row["directory"] for row in csv.DictReader(file)}
    found = []
    for model, task in pairs:
        names = {"study": study, "model": model, "task": task}
        candidates = read_candidates(root / layout.VARIANTS.format(**names) / "candidates.json")
        variants = in_variants(candidates, made_runtimes(deliver["runtimes"]), deliver["vocabularies"])
        folders = [folder_of(candidate.run, variant) for candidate, variant in variants]
        found.append(
            {
                "model": model,
                "task": task,
                "candidates": [{"folder": _inside(one.run.directory), "sha256": one.sha256} for one in candidates],
                "variants": {_inside(folder): read_json(root / folder / MANIFEST) for folder in folders},
                "recommended": _inside(recommended.get((model, task), "")),
                "delivered": read_json(root / layout.DELIVERED.format(**names) / MANIFEST),
            }
        )
    return found


def _inside(path: str | Path) -> str:
    """A path below results/{study}, relative to that; "" for none."""
    return "/".join(PurePosixPath(path).parts[len(PurePosixPath(layout.STUDY).parts) :])


def _variants(entry: Entry) -> str:
    return layout.inside(layout.STUDY, layout.VARIANTS).format(model=entry["model"], task=entry["task"])


def _delivered(entry: Entry) -> str:
    return layout.inside(layout.STUDY, layout.DELIVERED).format(model=entry["model"], task=entry["task"])


# --- which files belong to a study -----------------------------------------------------------------------------------


def files_of_deliveries(record: Mapping[str, Any]) -> tuple[set[PurePosixPath], set[PurePosixPath]]:
    """Files of a recorded study, and folders with all in them, that it has for the sake of delivered models."""
    files, folders = set(), set()
    deliver = record["study"].get("deliver") or {}
    for entry in record.get("delivered", []):
        made = records_of_making(deliver["runtimes"], deliver["vocabularies"])
        tested = has_test(next(task for task in record["study"]["tasks"] if task["name"] == entry["task"]))
        names = ["candidates", *made, "predicted", "evaluated", "serving"]
        names += ["test-predicted", "test-evaluated"] if tested else []
        files |= {PurePosixPath(_variants(entry), f"{name}.json") for name in names}
        folders |= {*map(PurePosixPath, entry["variants"]), PurePosixPath(_delivered(entry))}
    return files, folders


def output_behind(name: str, record: Mapping[str, Any]) -> str:
    """The output of a rule with which a file is made that is none itself; both relative to the study's folder.

    Of models in their variants it is the record of the step that makes them, of delivered folders the manifest.
    """
    path = PurePosixPath(name)
    for entry in record.get("delivered", []):
        if path.is_relative_to(_delivered(entry)):
            return f"{_delivered(entry)}/{MANIFEST}"
        if path.parent.as_posix() in entry["variants"]:
            variant = Variant(runtime=path.parent.name, vocabulary=path.parent.parent.name)
            maker = MAKERS_OF_FILES.get(path.name, record_of_making(variant))
            return f"{_variants(entry)}/{maker}.json"
        if path.parent.name == layout.TEST and path.parent.parent.as_posix() in entry["variants"]:
            return f"{_variants(entry)}/test-{MAKERS_OF_FILES.get(path.name, 'evaluated')}.json"
    return name


# --- contradictions --------------------------------------------------------------------------------------------------


def delivery_faults(record: Mapping[str, Any], sums: Mapping[str, str]) -> Iterator[str]:
    """Contradictions between runs, candidates, their variants and what is delivered, and the recorded checksums."""
    place = layout.STUDY.format(study=record["study"]["study"])
    of_runs = {run["folder"]: run["manifest"]["sha256"] for run in record["runs"]}

    def again(name: str) -> str:
        return f"make it again: {errors.snakemake_command('--forcerun', f'{place}/{output_behind(name, record)}')}"

    for entry in record.get("delivered", []):
        made = of_runs | {folder: manifest["sha256"] for folder, manifest in entry["variants"].items()}
        yield from _candidate_faults(entry, of_runs, again)
        for folder, manifest in entry["variants"].items():
            source = _source(folder)
            if manifest.get("made_from") != made.get(source, {}).get(_model_file(source, entry)):
                yield f"wrong weights: {folder} is not made from the model in {source}; {again(f'{folder}/{MANIFEST}')}"
            yield from _changed(folder, manifest, sums, again)
        yield from _changed(_delivered(entry), entry["delivered"], sums, again)
        yield from _delivered_faults(entry, made, again)


def _candidate_faults(entry: Entry, of_runs: Mapping[str, Any], again: Callable[[str], str]) -> Iterator[str]:
    file = f"{_variants(entry)}/candidates.json"
    for candidate in entry["candidates"]:
        folder = candidate["folder"]
        if of_runs.get(folder, {}).get(WEIGHTS) != candidate["sha256"]:
            yield f"wrong candidate: {file} does not match the weights of {folder}; {again(file)}"


def _changed(folder: str, manifest: Entry, sums: Mapping[str, str], again: Callable[[str], str]) -> Iterator[str]:
    """Files whose recorded checksum is not that of their folder's manifest."""
    for name, digest in manifest["sha256"].items():
        if sums.get(path := f"{folder}/{name}", digest) != digest:
            yield f"wrong file: {path} does not match the folder's {MANIFEST}; {again(path)}"


def _delivered_faults(entry: Entry, made: Mapping[str, Any], again: Callable[[str], str]) -> Iterator[str]:
    """What is delivered that is not the recommended model, or not the files that this has now."""
    folder, manifest = _delivered(entry), entry["delivered"]
    made_from = manifest.get("made_from", {"run": "", "files": {}})
    trained = _inside(made_from["run"])
    run = _run(trained) if trained in entry["variants"] else trained
    if run != entry["recommended"]:
        yield (
            f"wrong model: {folder} has {run or 'none'}, but {entry['recommended'] or 'none'} is recommended; "
            f"{again(f'{folder}/{MANIFEST}')}"
        )
        return
    for name, path in made_from["files"].items():
        source = PurePosixPath(_inside(path))
        now = made.get(source.parent.as_posix(), {}).get(source.name, manifest["sha256"][name])
        if manifest["sha256"][name] != now:
            yield f"wrong model: {folder}/{name} is not what {source} is now; {again(f'{folder}/{MANIFEST}')}"


def _source(folder: str) -> str:
    """The folder of the model that one in a variant is made from: trimmed and exported ones from torch's."""
    path = PurePosixPath(folder)
    runtime, vocabulary = path.name, path.parent.name
    if runtime == INT8:
        return path.with_name(ONNX).as_posix()
    if runtime == TORCH or vocabulary == FULL:
        return _run(folder)
    return path.with_name(TORCH).as_posix()


def _run(folder: str) -> str:
    """The folder of the run that a variant's folder is of: {model}/{task}/variants/{arm}/{seed}/..."""
    model, task, _, *arm_and_seed = PurePosixPath(folder).parts[:-2]
    return "/".join([model, task, *arm_and_seed])


def _model_file(folder: str, entry: Entry) -> str:
    return MODEL_FILES[PurePosixPath(folder).name] if folder in entry["variants"] else WEIGHTS

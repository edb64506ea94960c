"""Is a finished study still as it was made? Its files are hashed again, and what each says it was made of is compared.

SHA256SUMS tells whether a file has changed since the study was put on record; the manifests tell whether each run was
made of the model, the data and the weights that the study has.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of
from shallower.core.runs import BASELINE
from shallower.integrity.record import RECORD, SUMS, Membership, present_files, tokens_folder
from shallower.surgery.origins import ORIGINS

WEIGHTS = "model.safetensors"


def verify(results_dir: str | Path, resources_dir: str | Path | None = None) -> int:
    """Check the study in `results_dir` and, where they are there, the models, tasks and tokens in `resources_dir`.

    Returns the number of files that were hashed. Raises UserError with everything that is changed, missing, unknown
    or made of something else, each with what to do; also when the study has no record.
    """
    results_dir = Path(results_dir)
    sums = _read_sums(results_dir / SUMS)
    if RECORD not in sums:
        raise UserError(f"{results_dir / SUMS}: does not list {RECORD}; run snakemake with --forcerun record_study")
    record = read_json(results_dir / RECORD)
    hashed = {name: sha256_of(results_dir / name) for name in sums if (results_dir / name).is_file()}
    resources = dict(_recorded_resources(record, Path(resources_dir))) if resources_dir else {}
    faults = [
        *_file_faults(results_dir, record, sums, hashed),
        *_resource_faults(resources),
        # Of files as they are on record: those that changed since are told already.
        *_chain_faults(record, sums),
    ]
    if faults:
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        name = record["study"]["study"]
        raise UserError("\n".join([f"{count} in study {name} ({results_dir}):", *(f"  {fault}" for fault in faults)]))
    return len(hashed) + len(resources)


def _read_sums(path: Path) -> dict[str, str]:
    """SHA-256 by file name, from a file that sha256sum understands."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split("  ", maxsplit=1) for line in lines)}
    except FileNotFoundError:
        raise UserError(f"{path}: file not found; a study has it once snakemake has finished") from None
    except ValueError:
        raise UserError(f"{path}: not as sha256sum writes it; run snakemake with --forcerun record_study") from None


def _file_faults(
    results_dir: Path, record: Mapping[str, Any], sums: Mapping[str, str], hashed: Mapping[str, str]
) -> Iterator[str]:
    place = f"results/{record['study']['study']}"
    for name, digest in sums.items():
        again = f"put it back from a copy, or make it and all that follows again: --forcerun {place}/{name}"
        if name == RECORD:
            again = "put it back from a copy, or write it anew: --forcerun record_study"
        if name not in hashed:
            yield f"missing: {name}; {again}"
        elif hashed[name] != digest:
            yield f"changed: {name}; {again}"
    belongs = Membership(record)
    for name in present_files(results_dir):
        if name in sums or belongs.passing(name):
            continue
        if belongs(name):
            yield f"unknown: {name}; it came after the study was put on record: move or delete it, or run snakemake"
        else:
            yield f"unknown: {name}; it is of nothing that the study has: move or delete it"


def _recorded_resources(record: Mapping[str, Any], folder: Path) -> Iterator[tuple[Path, str]]:
    """Files of the study's models, tasks and tokens with their recorded SHA-256; those of folders that are there."""
    for kind in ("models", "tasks"):
        for source in record[kind].values():
            place = folder / kind / Path(source["folder"]).name
            if place.is_dir():
                yield from ((place / name, digest) for name, digest in source["manifest"]["sha256"].items())
    for name, digest in record["tokens"].items():
        place = folder.joinpath("tokens", *Path(name).parts[-4:])
        if place.parent.is_dir():
            yield place, digest


def _resource_faults(resources: Mapping[Path, str]) -> Iterator[str]:
    for path, digest in resources.items():
        if not path.is_file():
            yield f"missing: {path}; put it back from a copy, or let snakemake make it: snakemake {path}"
        elif sha256_of(path) != digest:
            yield f"changed: {path}; delete its folder, and run snakemake: what was made of it may have changed, too"


def _chain_faults(record: Mapping[str, Any], sums: Mapping[str, str]) -> Iterator[str]:
    """What does not fit together among the study's models, tasks and runs, by their manifests and recorded hashes."""
    runs = {run["folder"]: run for run in record["runs"]}
    for folder, run in runs.items():
        model, task = (record[kind][run[kind[:-1]]]["manifest"]["sha256"] for kind in ("models", "tasks"))
        tokens = record["tokens"].get((tokens_folder(record, run) / "train.safetensors").as_posix())
        baseline = runs[f"{run['model']}/{run['task']}/baseline/seed{run['seed']}"]
        again = f"train it again: --forcerun results/{record['study']['study']}/{folder}/{WEIGHTS}"
        weights = run["manifest"]["sha256"][WEIGHTS]
        if sums.get(f"{folder}/{WEIGHTS}", weights) != weights:
            yield f"swapped: {folder}/{WEIGHTS} is not the model that the run's manifest.json names; {again}"
        for name, training, source in _trainings(run, model[WEIGHTS], baseline):
            place = f"{folder}/{name}manifest.json"
            digests = training["sha256"]
            made_from = training["tokens_made_from"]["sha256"]
            if source != _start(training):
                yield f"other start: {place} names other weights to start from than the study has; {again}"
            if digests["task"] != task["task.json"] or made_from["train.parquet"] != task["train.parquet"]:
                yield f"other data: {place} names other data than the study's task {run['task']}; {again}"
            if made_from["tokenizer.json"] != model["tokenizer.json"]:
                yield f"other tokenizer: {place} names another one than that of model {run['model']}; {again}"
            if tokens is not None and digests["tokens"] != tokens:
                yield f"other tokens: {place} names other tokens than those in resources; {again}"


def _trainings(
    run: Mapping[str, Any], pretrained: str, baseline: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """The trainings of a run: the sub-folder of each, its manifest, and the checksum of its starting weights."""
    source = pretrained
    if run["origin"] != BASELINE:
        origin = ORIGINS[run["origin"]]
        if origin.from_baseline:
            source = baseline["manifest"]["sha256"][WEIGHTS]
        for preparation in origin.preparations(len(run["layers"]["dropped_layers"])):
            manifest = run["before"][preparation.folder]
            yield f"{preparation.folder}/", manifest, source
            source = manifest["sha256"][WEIGHTS]
    yield "", run["manifest"], source


def _start(training: Mapping[str, Any]) -> str:
    """The weights that a training started from, before layers were dropped from them."""
    dropped_from = training["dropped_from"]
    return dropped_from[0] if dropped_from else training["sha256"]["starting_model"]

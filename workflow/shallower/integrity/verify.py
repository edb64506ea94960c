"""Verify a finished study: its files against their checksums, and its manifests against each other.

SHA256SUMS shows whether a file has changed since the study was recorded; the manifests show whether each run was made
from the model, the data and the weights that the study has.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from shallower.core import layout
from shallower.core.errors import UserError, snakemake_command
from shallower.core.files import read_json, sha256_of
from shallower.core.runs import BASELINE
from shallower.core.wording import counted
from shallower.integrity.delivered import delivery_faults, output_behind
from shallower.integrity.record import RECORD, SUMS, Membership, present_files
from shallower.models.folder import WEIGHTS
from shallower.surgery.origins import ORIGINS

_RECORD_AGAIN = f"write it again: {snakemake_command('--forcerun', 'record_study')}"


def verify(results_dir: str | Path, resources_dir: str | Path | None = None) -> int:
    """Check the study in `results_dir` and, where they exist, its models, tasks and tokens in `resources_dir`.

    Returns the number of files that were checked. Raises UserError with everything that is changed, missing, unknown or
    made from something else, each with a remedy; also when the study has no record.
    """
    results_dir = Path(results_dir)
    sums = read_sums(results_dir / SUMS)
    if RECORD not in sums:
        raise UserError(f"{results_dir / SUMS}: does not list {RECORD}; {_RECORD_AGAIN}")
    record = read_json(results_dir / RECORD)
    hashed = {name: sha256_of(results_dir / name) for name in sums if (results_dir / name).is_file()}
    resources = dict(_recorded_resources(record, Path(resources_dir))) if resources_dir else {}
    faults = [
        *_file_faults(results_dir, record, sums, hashed),
        *_resource_faults(resources),
        # By the recorded checksums: files that changed since then are reported above.
        *_chain_faults(record, sums),
        *delivery_faults(record, sums),
    ]
    if faults:
        name = record["study"]["study"]
        heading = f"{counted(len(faults), 'fault')} in study {name} ({results_dir}):"
        raise UserError("\n".join([heading, *(f"  {fault}" for fault in faults)]))
    return len(hashed) + len(resources)


def read_sums(path: Path) -> dict[str, str]:
    """SHA-256 by file name, from a file that sha256sum understands."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split("  ", maxsplit=1) for line in lines)}
    except FileNotFoundError:
        raise UserError(f"{path}: file not found; a study has it once snakemake has finished") from None
    except ValueError:
        raise UserError(f"{path}: not as sha256sum writes it; {_RECORD_AGAIN}") from None


def _file_faults(
    results_dir: Path, record: Mapping[str, Any], sums: Mapping[str, str], hashed: Mapping[str, str]
) -> Iterator[str]:
    place = layout.STUDY.format(study=record["study"]["study"])
    for name, digest in sums.items():
        output = f"{place}/{output_behind(name, record)}"
        again = f"recreate it and all that depends on it: {snakemake_command('--forcerun', output)}"
        again = f"restore it from a copy, or {_RECORD_AGAIN if name == RECORD else again}"
        if name not in hashed:
            yield f"missing: {name}; {again}"
        elif hashed[name] != digest:
            yield f"changed: {name}; {again}"
    belongs = Membership(record)
    for name in present_files(results_dir):
        if name in sums or belongs.intermediate(name):
            continue
        if belongs(name):
            yield f"unknown: {name}; newer than the record of the study: move or delete it, or run snakemake"
        else:
            yield f"unknown: {name}; not part of this study: move or delete it"


def _recorded_resources(record: Mapping[str, Any], folder: Path) -> Iterator[tuple[Path, str]]:
    """Files of the study's models, tasks and tokens with their recorded SHA-256; those of folders that exist."""
    models, tasks = (layout.inside(layout.RESOURCES, pattern) for pattern in (layout.MODEL, layout.TASK))
    sources = [(models.format(model_key=model["key"]), model["manifest"]) for model in record["models"].values()]
    sources += [(tasks.format(task_key=task["key"]), task["manifest"]) for task in record["tasks"].values()]
    # Records of before there were texts without labels do not have them.
    parts = [*record["calibration"].values(), *record.get("unlabelled", {}).values(), *record.get("test", {}).values()]
    parts += record.get("trimmed", [])
    sources += [(entry["folder"], entry["manifest"]) for entry in parts if "folder" in entry]
    for place, manifest in sources:
        if (folder / place).is_dir():
            yield from ((folder / place / name, digest) for name, digest in manifest["sha256"].items())
    for name, digest in record["tokens"].items():
        if (folder / name).parent.is_dir():
            yield folder / name, digest


def _resource_faults(resources: Mapping[Path, str]) -> Iterator[str]:
    for path, digest in resources.items():
        if not path.is_file():
            yield f"missing: {path}; restore it from a copy, or recreate it: {snakemake_command(path)}"
        elif sha256_of(path) != digest:
            yield f"changed: {path}; delete its folder and run snakemake: what was made from it may be wrong, too"


def _chain_faults(record: Mapping[str, Any], sums: Mapping[str, str]) -> Iterator[str]:
    """Contradictions between the manifests of the study's models, tasks and runs, and their recorded checksums."""
    baselines = {
        (run["model"], run["task"], run["seed"]): run for run in record["runs"] if run["arm"] == layout.BASELINE_ARM
    }
    for run in record["runs"]:
        folder = run["folder"]
        model, task = (record[kind][run[kind[:-1]]]["manifest"]["sha256"] for kind in ("models", "tasks"))
        tokens = record["tokens"].get(f"{run['tokens']}/train.safetensors")
        baseline = baselines[run["model"], run["task"], run["seed"]]
        target = f"{layout.STUDY.format(study=record['study']['study'])}/{folder}/{WEIGHTS}"
        again = f"train it again: {snakemake_command('--forcerun', target)}"
        weights = run["manifest"]["sha256"][WEIGHTS]
        if sums.get(f"{folder}/{WEIGHTS}", weights) != weights:
            yield f"wrong weights: {folder}/{WEIGHTS} does not match the run's manifest.json; {again}"
        for name, training, source in _trainings(run, model[WEIGHTS], baseline):
            place = f"{folder}/{name}manifest.json"
            digests = training["sha256"]
            made_from = training["tokens_made_from"]["sha256"]
            if source != _start(training):
                yield f"wrong starting weights: {place} does not match the study; {again}"
            if digests["task"] != task["task.json"] or made_from["train.parquet"] != task["train.parquet"]:
                yield f"wrong data: {place} does not match the study's task {run['task']}; {again}"
            if made_from["tokenizer.json"] != model["tokenizer.json"]:
                yield f"wrong tokenizer: {place} does not match that of model {run['model']}; {again}"
            unlabelled = _unlabelled(record, run, training)
            if _unlabelled_of(training) != (unlabelled and unlabelled["data"]):
                yield f"wrong texts without labels: {place} does not match the study's task {run['task']}; {again}"
            asked = {"tokens": tokens, layout.UNLABELLED: unlabelled and unlabelled["tokens"]}
            if any(digest is not None and digests.get(name) != digest for name, digest in asked.items()):
                yield f"wrong tokens: {place} does not match those in resources; {again}"


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


def _unlabelled_of(training: Mapping[str, Any]) -> str | None:
    """SHA-256 of the texts without labels that a training learnt from, or of the tokens that these were made from.

    None for most trainings.
    """
    if not (made_from := training.get("unlabelled_made_from")):
        return None
    digests = made_from["sha256"]
    digest: str = digests.get(f"{layout.UNLABELLED}.parquet") or digests["train.safetensors"]
    return digest


def _unlabelled(
    record: Mapping[str, Any], run: Mapping[str, Any], training: Mapping[str, Any]
) -> dict[str, str | None] | None:
    """The texts without labels that a training should have learnt from: those of its task, if it has a teacher.

    SHA-256 of their `data`, or of the tokens that they were made from, and of their `tokens`, as far as these are on
    record; None for most trainings.
    """
    entry = record.get("unlabelled", {}).get(run["task"])
    if entry is None or training.get("settings", {}).get("distill") is None:
        return None
    folder = PurePosixPath(run["tokens"])
    (name,) = (name for name in entry["tokens"] if folder in PurePosixPath(name).parents)
    if "manifest" in entry:
        data = entry["manifest"]["sha256"][f"{layout.UNLABELLED}.parquet"]
    else:
        data = record["tokens"].get(f"{run['tokens']}/train.safetensors", _unlabelled_of(training))
    return {"data": data, "tokens": record["tokens"].get(name)}


def _start(training: Mapping[str, Any]) -> str:
    """The weights that a training started from, before layers were dropped from them."""
    dropped_from = training["dropped_from"]
    return dropped_from[0] if dropped_from else training["sha256"]["starting_model"]

"""Delivered models in a study's record: which files belong, and every contradiction is named with its remedy."""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from shallower.core.files import read_json, sha256_of, write_json, write_text
from shallower.core.runs import Run
from shallower.core.variants import INT8, ONNX, TORCH, TRIMMED, Variant
from shallower.delivery.candidates import Candidate, write_candidates
from shallower.delivery.variant_folders import MODEL_FILES, folder_of, write_folder_manifest
from shallower.integrity.delivered import (
    delivered_record,
    delivery_faults,
    files_of_deliveries,
    output_behind,
)

BASE = Run("s", "m", "t", "baseline", "none", "0", 1)
TOP = Run("s", "m", "t", "finetuned", "top", "1", 1)
CONFIG = {
    "study": "s",
    "tasks": [{"name": "t"}],
    "deliver": {"runtimes": [ONNX, INT8], "vocabularies": ["full", TRIMMED]},
}
DELIVERED = Path("results/s/delivered/m/t")
VARIANTS = "m/t/variants"


def made(run: Run, variant: Variant, made_from: str) -> str:
    """A model in a variant, with predictions; gives its checksum."""
    folder, name = folder_of(run, variant), MODEL_FILES[variant.runtime]
    write_text(folder / name, f"{run.arm} {variant.title}")
    write_text(folder / "predictions.parquet", f"of {variant.title}")
    write_folder_manifest(folder, [name], made_from=made_from)
    write_folder_manifest(folder, ["predictions.parquet"])
    return sha256_of(folder / name)


def deliver(run: Run, variant: Variant) -> None:
    """The folder of a run with the int8 form of a vocabulary."""
    trained = folder_of(run, variant._replace(runtime=TORCH))
    files = {"model.safetensors": trained / "model.safetensors"}
    files["onnx/model-int8.onnx"] = folder_of(run, variant) / "model-int8.onnx"
    for name, source in files.items():
        write_text(DELIVERED / name, source.read_text())
    manifest = {
        "made_from": {"run": str(trained), "files": {name: str(path) for name, path in files.items()}},
        "sha256": {name: sha256_of(DELIVERED / name) for name in files},
    }
    write_json(DELIVERED / "manifest.json", manifest)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study with a trimmed model delivered; the working directory is its root."""
    monkeypatch.chdir(tmp_path)
    candidates = []
    for run, layers in ((BASE, (0, 1)), (TOP, (0,))):
        write_text(Path(run.directory, "model.safetensors"), run.arm)
        weights = sha256_of(Path(run.directory, "model.safetensors"))
        write_json(Path(run.directory, "manifest.json"), {"sha256": {"model.safetensors": weights}})
        candidates.append(Candidate(run, 2, layers, weights))
        for vocabulary, source in (("full", weights), (TRIMMED, made(run, Variant(TORCH, TRIMMED), weights))):
            made(run, Variant(INT8, vocabulary), made(run, Variant(ONNX, vocabulary), source))
    Path("results/s/m/t/variants").mkdir(exist_ok=True)
    write_candidates("results/s/m/t/variants/candidates.json", candidates)
    write_text(Path("results/s/recommended.csv"), f"model,task,directory\nm,t,{TOP.directory}\n")
    deliver(TOP, Variant(INT8, TRIMMED))


def recorded() -> tuple[dict[str, Any], dict[str, str]]:
    """The record, and the checksums of all files."""
    runs = [
        {
            "folder": run.directory.removeprefix("results/s/"),
            "manifest": read_json(Path(run.directory, "manifest.json")),
        }
        for run in (BASE, TOP)
    ]
    # As it is read again.
    delivered = json.loads(json.dumps(delivered_record(CONFIG, [("m", "t")], Path())))
    files = (path for path in Path("results/s").rglob("*") if path.is_file())
    sums = {path.relative_to("results/s").as_posix(): sha256_of(path) for path in files}
    return {"study": CONFIG, "runs": runs, "delivered": delivered}, sums


def test_a_sound_study_has_no_faults_and_every_file_belongs(study):
    record, sums = recorded()
    assert list(delivery_faults(record, sums)) == []
    files, folders = files_of_deliveries(record)
    of_deliveries = [name for name in sums if name.startswith((VARIANTS, "delivered"))]
    assert len(of_deliveries) == 1 + 2 * 5 * 3 + 3
    for name in map(PurePosixPath, of_deliveries):
        assert name in files or not folders.isdisjoint(name.parents), name
    assert PurePosixPath(VARIANTS, "quantised-trimmed.json") in files
    assert PurePosixPath(VARIANTS, "finetuned/top-2/seed1/full/onnx") not in folders


def test_a_study_of_int8_alone_has_what_it_is_made_from(study, monkeypatch):
    monkeypatch.setitem(CONFIG["deliver"], "runtimes", [INT8])
    record, sums = recorded()
    assert list(delivery_faults(record, sums)) == []
    _, folders = files_of_deliveries(record)
    assert PurePosixPath(VARIANTS, "finetuned/top-1/seed1/full/onnx") in folders


@pytest.mark.parametrize("has_test", [False, True])
def test_records_of_test_examples_belong_where_a_task_has_some(study, has_test):
    record, _ = recorded()
    record["study"] = CONFIG | {"tasks": [{"name": "t"} | ({"test_file": "test.csv"} if has_test else {})]}
    files, _ = files_of_deliveries(record)
    for name in ("test-predicted.json", "test-evaluated.json"):
        assert (PurePosixPath(VARIANTS, name) in files) == has_test


def test_a_study_that_delivers_nothing_has_no_such_files():
    assert files_of_deliveries({"study": {}, "runs": []}) == (set(), set())


def test_where_nothing_is_recommended_the_folder_says_so(study):
    write_text(Path("results/s/recommended.csv"), "model,task,directory\nm,t,\n")
    write_json(DELIVERED / "manifest.json", {"recommended": None, "sha256": {}})
    assert list(delivery_faults(*recorded())) == []


TRIMMED_TOP = f"{VARIANTS}/finetuned/top-1/seed1/trimmed"


def rewritten(path: str, text: str = "other") -> Callable[[], None]:
    """Another file, as its folder's manifest has it."""

    def change() -> None:
        file = Path("results/s", path)
        write_text(file, text)
        manifest = read_json(file.parent / "manifest.json")
        write_json(file.parent / "manifest.json", manifest | {"sha256": {file.name: sha256_of(file)}})

    return change


BASELINE, BEST = "m/t/baseline/seed1", "m/t/finetuned/top-1/seed1"
EXPORTS = f"{VARIANTS}/baseline/seed1"


def again(output: str) -> str:
    """The end of a message, with the command that makes an output again."""
    return f"; make it again: snakemake --cores all --forcerun results/s/{output} (and"


FAULTS = {
    "a baseline that was trained again": (
        rewritten(f"{BASELINE}/model.safetensors"),
        [
            f"wrong candidate: {VARIANTS}/candidates.json does not match the weights of {BASELINE}"
            + again(f"{VARIANTS}/candidates.json"),
            f"wrong weights: {EXPORTS}/full/onnx is not made from the model in {BASELINE}"
            + again(f"{VARIANTS}/exported-full.json"),
            f"wrong weights: {EXPORTS}/trimmed/torch is not made from the model in {BASELINE}"
            + again(f"{VARIANTS}/trimmed.json"),
        ],
    ),
    "an export that was made again": (
        rewritten(f"{TRIMMED_TOP}/onnx/model.onnx"),
        [
            f"wrong weights: {TRIMMED_TOP}/onnx-int8 is not made from the model in {TRIMMED_TOP}/onnx"
            + again(f"{VARIANTS}/quantised-trimmed.json"),
        ],
    ),
    "a changed export": (
        lambda: write_text(Path("results/s", TRIMMED_TOP, "onnx/model.onnx"), "damaged"),
        [
            f"wrong file: {TRIMMED_TOP}/onnx/model.onnx does not match the folder's manifest.json"
            + again(f"{VARIANTS}/exported-trimmed.json"),
        ],
    ),
    "changed predictions of a variant": (
        lambda: write_text(Path("results/s", TRIMMED_TOP, "onnx/predictions.parquet"), "damaged"),
        [
            f"wrong file: {TRIMMED_TOP}/onnx/predictions.parquet does not match the folder's manifest.json"
            + again(f"{VARIANTS}/predicted.json"),
        ],
    ),
    "a changed file of a delivered folder": (
        lambda: write_text(DELIVERED / "onnx/model-int8.onnx", "damaged"),
        [
            "wrong file: delivered/m/t/onnx/model-int8.onnx does not match the folder's manifest.json"
            + again("delivered/m/t/manifest.json"),
        ],
    ),
    "a delivered folder of another run": (
        lambda: deliver(BASE, Variant(INT8, TRIMMED)),
        [
            f"wrong model: delivered/m/t has {BASELINE}, but {BEST} is recommended"
            + again("delivered/m/t/manifest.json")
        ],
    ),
    "a delivered folder of before": (
        rewritten(f"{TRIMMED_TOP}/onnx-int8/model-int8.onnx"),
        [f"wrong model: delivered/m/t/onnx/model-int8.onnx is not what {TRIMMED_TOP}/onnx-int8/model-int8.onnx is now"],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_contradiction_is_named_with_its_remedy(name: str, study):
    change, expected = FAULTS[name]
    change()
    faults = list(delivery_faults(*recorded()))
    assert len(faults) == len(expected), faults
    for text in expected:
        assert sum(fault.startswith(text) for fault in faults) == 1, (text, faults)


def test_files_that_are_no_outputs_are_made_with_a_rule_that_has_one(study):
    record, _ = recorded()
    assert output_behind("delivered/m/t/README.md", record) == "delivered/m/t/manifest.json"
    assert output_behind(f"{TRIMMED_TOP}/torch/tokenizer.json", record) == f"{VARIANTS}/trimmed.json"
    assert output_behind(f"{TRIMMED_TOP}/onnx/resamples.npy", record) == f"{VARIANTS}/evaluated.json"
    assert output_behind("results.csv", record) == "results.csv"

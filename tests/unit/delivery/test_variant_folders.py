"""Folders of variants: where they are, what is recorded of them, and what is left behind is removed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of, write_json, write_text
from shallower.core.runs import Run
from shallower.core.variants import (
    AS_TRAINED,
    INT8,
    ONNX,
    TORCH,
    TRIMMED,
    Variant,
    measured_runtimes,
    records_of_making,
)
from shallower.delivery.candidates import Candidate
from shallower.delivery.texts import read_texts
from shallower.delivery.variant_folders import (
    folder_of,
    in_variants,
    variants_of,
    verified_candidate,
    write_folder_manifest,
    write_made,
)

PLACE = Path("results/s/m/t/variants")


def candidate(amount: str, sha256: str = "sha") -> Candidate:
    return Candidate(Run("s", "m", "t", "finetuned", "top", amount, 1), 4, (0,), sha256)


def make(one: Candidate, variant: Variant, made_from: str | None = None) -> Path:
    folder = folder_of(one.run, variant)
    write_text(folder / "model.onnx", f"{one.run.arm} {variant.title}")
    write_folder_manifest(folder, ["model.onnx"], made_from)
    return folder


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_was_made_is_named_with_its_checksums():
    pairs = [(candidate("1"), Variant(ONNX)), (candidate("2"), Variant(ONNX, TRIMMED))]
    folders = [make(*pair) for pair in pairs]
    write_made(PLACE / "exported-full.json", pairs)
    assert read_json(PLACE / "exported-full.json")["folders"] == {
        str(folder): {"model.onnx": sha256_of(folder / "model.onnx")} for folder in folders
    }


def test_folders_of_arms_that_are_no_candidates_any_more_are_removed():
    kept, left = candidate("1"), candidate("2")
    folders = {(one, variant): make(one, variant) for one in (kept, left) for variant in (Variant(ONNX), Variant(INT8))}
    trimmed = make(left, Variant(ONNX, TRIMMED))
    write_made(PLACE / "exported-full.json", [(kept, Variant(ONNX))])
    # Only in the variant that was made: each step clears its own.
    assert [folder.exists() for folder in folders.values()] == [True, True, False, True]
    assert trimmed.exists() and folders[kept, Variant(ONNX)].is_dir()


def test_a_manifest_keeps_what_other_steps_recorded():
    folder = make(candidate("1"), Variant(ONNX), made_from="the weights")
    write_text(folder / "predictions.parquet", "answers")
    write_folder_manifest(folder, ["predictions.parquet"])
    manifest = read_json(folder / "manifest.json")
    assert manifest["made_from"] == "the weights"
    assert manifest["sha256"] == {name: sha256_of(folder / name) for name in ("model.onnx", "predictions.parquet")}


def test_a_candidate_is_the_model_that_was_chosen():
    run = candidate("1").run
    write_text(Path(run.directory, "model.safetensors"), "weights")
    write_json(Path(run.directory, "config.json"), {})
    chosen = candidate("1", sha256_of(Path(run.directory, "model.safetensors")))
    assert verified_candidate(chosen) == Path(run.directory)
    with pytest.raises(UserError, match="not the model that was chosen as a candidate; run the study again"):
        verified_candidate(candidate("1", "0" * 64))


def test_the_model_as_it_was_trained_is_always_measured_and_has_the_folder_of_its_run():
    run = candidate("1").run
    assert folder_of(run, AS_TRAINED) == Path(run.directory)
    assert variants_of([ONNX], [TRIMMED]) == [AS_TRAINED, Variant(ONNX, TRIMMED)]
    found = in_variants([candidate("1")], [TORCH, ONNX], ["full", TRIMMED])
    assert [variant for _, variant in found] == [Variant(ONNX), Variant(TORCH, TRIMMED), Variant(ONNX, TRIMMED)]


def test_torch_is_measured_asked_for_or_not():
    assert measured_runtimes([INT8]) == [TORCH, INT8]
    assert measured_runtimes([INT8, ONNX, TORCH]) == [TORCH, ONNX, INT8]


@pytest.mark.parametrize(
    ("runtimes", "vocabularies", "records"),
    [
        ([TORCH], ["full"], []),
        ([TORCH, INT8], ["full"], ["exported-full", "quantised-full"]),
        ([TORCH, ONNX], ["full", TRIMMED], ["trimmed", "exported-full", "exported-trimmed"]),
    ],
)
def test_steps_that_make_models_are_those_of_the_variants(runtimes, vocabularies, records):
    assert records_of_making(runtimes, vocabularies) == records


@pytest.mark.parametrize("has_pair", [False, True])
def test_texts_are_found_by_the_ids_of_examples(has_pair: bool):
    columns = {"id": [7, 3], "text": ["good", "bad"], "text_pair": ["a", "b"], "label": [1, 0]}
    pq.write_table(pa.table(columns), "validation.parquet")
    expected = {7: ["good", "a"], 3: ["bad", "b"]} if has_pair else {7: ["good"], 3: ["bad"]}
    assert read_texts("validation.parquet", has_pair) == expected

"""The script: candidates and texts in, what each variant costs out."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_processes import FAKE

from scripts import run_script
from shallower.core.files import read_json, write_json
from shallower.core.runs import Run
from shallower.core.variants import INT8, TORCH, Variant
from shallower.delivery.candidates import Candidate, write_candidates
from shallower.delivery.variant_folders import folder_of, model_file
from shallower.serving import measure, served_models
from shallower.serving.processes import ServingProcess

FULL, TOP = ("baseline", "none", "0"), ("finetuned", "top", "1")


def candidate(arm: tuple[str, str, str], seed: int, layers: int) -> Candidate:
    return Candidate(Run("s", "bert", "sst2", *arm, seed), 2, tuple(range(layers)), "sha")


def write_model(folder: Path, size: int) -> None:
    write_json(folder / "config.json", {"model_type": "bert"})
    write_json(folder / "tokenizer.json", {})
    write_json(folder / "tokenizer_config.json", {"pad_token": "[PAD]"})
    (folder / "model.safetensors").write_bytes(bytes(size))


@pytest.mark.parametrize(("has_pair", "at_once"), [(False, 2), (True, 2), (False, 1)])
def test_every_arm_is_measured_in_every_variant_next_to_the_full_model(tmp_path, monkeypatch, has_pair, at_once):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(served_models, "MOST_AT_ONCE", at_once)
    candidates = [candidate(FULL, 1, 2), candidate(FULL, 2, 2), candidate(TOP, 1, 1), candidate(TOP, 2, 1)]
    for one in candidates:
        write_model(folder_of(one.run, Variant()), 1000 * len(one.kept_layers))
        exported = model_file(one.run, Variant(INT8))
        exported.parent.mkdir(parents=True)
        exported.write_bytes(bytes(300 * len(one.kept_layers)))
    write_candidates("candidates.json", candidates)
    columns = {"text": ["good", "bad", "old tree"]} | ({"text_pair": ["a", "b", "c"]} if has_pair else {})
    pq.write_table(pa.table({"id": [0, 1, 2], **columns, "label": [1, 0, 1]}), "validation.parquet")
    write_json("task.json", {"target": "classification", "has_pair": has_pair})
    asked = []

    def fake(name, settings, most_threads):
        asked.append((name, " ".join(settings["example"]) if has_pair else settings["example"]))
        return ServingProcess(name, {**settings, "runtime": "torch", "path": "0.001"}, most_threads, FAKE)

    monkeypatch.setattr(measure, "ServingProcess", fake)
    run_script(
        "measure_serving",
        candidates=Path("candidates.json"),
        runtimes=[TORCH, INT8],
        vocabularies=["full"],
        texts=Path("validation.parquet"),
        task=Path("task.json"),
        max_length=8,
        batch_sizes=[1, 4],
        threads=[1],
        device="cpu",
        repeats=3,
        texts_measured=4,
        starts=1,
        output=Path("serving.json"),
    )
    # The first seed of each arm; the full model once for all that are served at the same time.
    full, top = "baseline", "finetuned/top-1"
    names = [f"{full}, torch, full vocabulary", f"{full}, ONNX int8, full vocabulary"]
    names += [f"{top}, torch, full vocabulary", f"{top}, ONNX int8, full vocabulary"]
    assert sorted(name for name, _ in asked) == sorted([names[0]] * (2 // at_once - 1) + names)
    assert {example for _, example in asked} == {"good a" if has_pair else "good"}
    record = read_json("serving.json")
    assert [(row["origin"], row["runtime"]) for row in record["variants"]] == [
        ("baseline", "torch"), ("baseline", "onnx-int8"), ("finetuned", "torch"), ("finetuned", "onnx-int8"),
    ]  # fmt: skip
    sizes = [row["bytes"] for row in record["variants"]]
    # All but the weights is the same in all folders.
    assert (sizes[0] - sizes[2], sizes[1] - sizes[3], sizes[0] - sizes[1]) == (1000, 300, 1400)
    assert [time["batch_size"] for time in record["variants"][3]["times"]] == [1, 4]
    assert record["texts"] == 3
    assert record["machine"]["versions"]["python"].startswith("3.")

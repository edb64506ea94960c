"""The script: arguments in, one file out."""

import importlib.util
from argparse import Namespace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_processes import FAKE

from shallower.core.files import read_json, write_json
from shallower.serving import measure
from shallower.serving.processes import ServingProcess

SCRIPT = Path(__file__).parents[3] / "workflow" / "scripts" / "measure_serving.py"


@pytest.mark.parametrize("has_pair", [False, True])
def test_every_variant_answers_the_tasks_own_texts(tmp_path, monkeypatch, has_pair):
    folder = tmp_path / "model"
    write_json(folder / "config.json", {"model_type": "bert"})
    write_json(folder / "tokenizer.json", {})
    write_json(folder / "tokenizer_config.json", {"pad_token": "[PAD]"})
    (folder / "model.safetensors").write_bytes(bytes(1000))
    columns = {"text": ["good", "bad", "old tree"]} | ({"text_pair": ["a", "b", "c"]} if has_pair else {})
    pq.write_table(pa.table({**columns, "label": [1, 0, 1]}), tmp_path / "validation.parquet")
    write_json(tmp_path / "task.json", {"has_pair": has_pair})
    common = {"runtime": "torch", "path": str(folder), "tokenizer": str(folder / "tokenizer.json"), "max_length": 8}
    write_json(tmp_path / "variants.json", [{"name": "full", **common}, {"name": "other", **common}])
    asked = []

    def fake(name, settings):
        asked.append(settings["example"])
        return ServingProcess(name, {**settings, "path": "0.001"}, FAKE)

    monkeypatch.setattr(measure, "ServingProcess", fake)
    spec = importlib.util.spec_from_file_location("measure_serving_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(
        Namespace(
            variants=tmp_path / "variants.json",
            texts=tmp_path / "validation.parquet",
            task=tmp_path / "task.json",
            batch_sizes=[1, 4],
            threads=[1],
            device="cpu",
            repeats=3,
            texts_measured=4,
            starts=1,
            confidence=0.9,
            output=tmp_path / "serving.json",
        )
    )
    record = read_json(tmp_path / "serving.json")
    assert asked == [("good", "a") if has_pair else "good"] * 2
    assert [(row["variant"], row["batch_size"]) for row in record["rows"]] == [
        ("full", 1), ("other", 1), ("full", 4), ("other", 4),
    ]  # fmt: skip
    assert record["variants"][0]["bytes"] > 1000
    assert record["confidence"] == 0.9
    assert record["machine"]["versions"]["python"].startswith("3.")

"""The folder of a delivered model: what is in it, and what keeps it from being made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import convert_model_to_external_data

from shallower.core.errors import UserError
from shallower.core.files import read_json, sha256_of
from shallower.core.variants import ONNX, TORCH
from shallower.delivery.check import check_folder
from shallower.delivery.description import Form, Inputs
from shallower.delivery.folder import delivered_config, delivered_tokenizer, make_folder
from shallower.delivery.parity import Examples

FILES = {
    "README.md",
    "config.json",
    "manifest.json",
    "model.safetensors",
    "onnx/model-int8.onnx",
    "onnx/model.onnx",
    "parity.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_has_all_files_and_says_what_made_them(material, delivered_folder):
    manifest = read_json(delivered_folder / "manifest.json")
    assert files_of(delivered_folder) == FILES
    assert manifest["sha256"] == {name: sha256_of(delivered_folder / name) for name in FILES - {"manifest.json"}}
    assert (manifest["model"], manifest["task"], manifest["seed"]) == ("minilm", "mrpc", 1)
    assert manifest["forms"] == ["torch", "onnx", "onnx-int8"]
    assert manifest["made_from"]["run"] == str(material.run_dir)
    assert [path.name for path in delivered_folder.parent.iterdir()] == ["mrpc"]  # nothing is left of the making


def test_a_later_run_of_the_study_changes_nothing(material, tmp_path):
    folder = material.make(tmp_path / "mrpc")
    for name in ("model.safetensors", "onnx/model.onnx"):
        assert (folder / name).stat().st_nlink == 1 and not (folder / name).is_symlink()


def test_a_new_folder_takes_the_place_of_the_old_one(material, tmp_path):
    folder = material.make(tmp_path / "mrpc")
    (folder / "left-over.txt").write_text("of before")
    (tmp_path / ".mrpc.999999999.part").mkdir()  # of a process that was killed
    material.make(folder, seed=2)
    assert files_of(folder) == FILES
    assert read_json(folder / "manifest.json")["seed"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mrpc"]


def test_label_names_of_the_task_are_in_the_configuration(delivered_folder, pairs_folder):
    config = read_json(delivered_folder / "config.json")
    assert config["id2label"] == {"0": "bad", "1": "good"} and config["label2id"] == {"bad": 0, "good": 1}
    of_regression = read_json(pairs_folder / "config.json")
    assert "id2label" not in of_regression and of_regression["num_labels"] == 1


def test_only_names_change_in_the_configuration(material):
    stored = read_json(material.run_dir / "config.json")
    changed = delivered_config(stored | {"num_labels": 2}, material.delivered)
    assert changed == stored


def test_the_tokenizer_makes_what_the_model_was_trained_on_unasked(material):
    inputs = Inputs(64, "<pad>", 5, pad_token_type_id=3, padding_side="left", token_types=False)
    config = delivered_tokenizer(
        {"model_max_length": 512, "pad_token": "<pad>"}, replace(material.delivered, inputs=inputs)
    )
    assert config == {
        "model_max_length": 64,
        "model_input_names": ["input_ids", "attention_mask"],
        "padding_side": "left",
        "pad_token": "<pad>",
        "pad_token_type_id": 3,
    }


@pytest.mark.slow
def test_a_large_model_comes_with_the_second_file_of_its_weights(material, tmp_path):
    """As torch's export leaves it where there are more than two gigabytes."""
    graph = onnx.load(material.onnx[ONNX])
    convert_model_to_external_data(graph, location="model.onnx.data", size_threshold=256)
    onnx.save(graph, tmp_path / "model.onnx")
    files = [tmp_path / name for name in ("model.onnx", "model.onnx.data")]
    size = sum(file.stat().st_size for file in files)
    delivered = replace(material.delivered, forms=(material.delivered.form(TORCH), Form(ONNX, size)), recommended=ONNX)
    make_folder(tmp_path / "mrpc", delivered, material.run_dir, material.examples, {ONNX: files[0]})
    assert files_of(tmp_path / "mrpc") == FILES - {"onnx/model-int8.onnx"} | {"onnx/model.onnx.data"}
    assert not any(finding.problem for finding in check_folder(tmp_path / "mrpc"))
    (tmp_path / "mrpc/onnx/model.onnx.data").unlink()
    assert "model.onnx.data" in next(check_folder(tmp_path / "mrpc")).problem


# --- what is refused ---


def test_an_export_that_answers_otherwise_is_not_delivered(material, tmp_path):
    wrong = Examples(material.examples.texts, material.examples.logits + np.float32(0.001))
    with pytest.raises(UserError, match=r"minilm, mrpc: onnx/model.onnx is up to 0.001 off .* export it again"):
        material.make(tmp_path / "mrpc", wrong)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_cannot_be_read_is_named(material, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    forms = (material.delivered.form(TORCH), Form(ONNX, 8))
    delivered = replace(material.delivered, forms=forms, recommended=ONNX)
    with pytest.raises(UserError, match=r"minilm, mrpc: onnx/model.onnx: the form onnx does not answer"):
        make_folder(tmp_path / "mrpc", delivered, material.run_dir, material.examples, {ONNX: tmp_path / "model.onnx"})
    assert not (tmp_path / "mrpc").exists()


def test_a_file_that_changed_since_it_was_measured_is_named(material, tmp_path):
    forms = tuple(replace(form, size=form.size + 1) for form in material.delivered.forms)
    with pytest.raises(UserError, match=r"model.safetensors: \d+ bytes, but \d+ were measured"):
        material.make(tmp_path / "mrpc", forms=forms)


def test_a_failure_leaves_the_folder_of_before(material, tmp_path):
    folder = material.make(tmp_path / "mrpc")
    wrong = Examples(material.examples.texts, material.examples.logits + 1)
    with pytest.raises(UserError):
        material.make(folder, wrong, seed=2)
    assert read_json(folder / "manifest.json")["seed"] == 1 and files_of(folder) == FILES


def test_forms_that_do_not_belong_together_are_an_error(material):
    with pytest.raises(ValueError, match="without 'torch'"):
        replace(material.delivered, forms=material.delivered.forms[1:])
    with pytest.raises(ValueError, match=r"without .* 'onnx'"):
        replace(material.delivered, forms=material.delivered.forms[:1], recommended="onnx")

"""What the tables of families say, against transformers itself."""

from pathlib import Path

import pytest
from transformers import AutoConfig

import tiny
from shallower.core.files import read_json
from shallower.models.encoder_families import expected_tensors
from shallower.models.families import FAMILIES
from shallower.models.weight_files import header


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_names_and_shapes_of_tensors(tmp_path: Path, family: str) -> None:
    tiny.make_model(tmp_path, family, num_layers=3, labels=3)
    expected = expected_tensors(read_json(tmp_path / "config.json"))
    stored = {name: entry["shape"] for name, entry in header(tmp_path / "model.safetensors").items()}
    assert stored[f"{FAMILIES[family].output_layer}.weight"] == [3, 32]
    outside = {name for name in stored if name not in expected}
    assert {name: stored[name] for name in stored if name not in outside} == {
        name: shape for name, (_, shape) in expected.items()
    }
    heads = (
        "classifier.",
        "pre_classifier.",
        "logits_proj.",
        "sequence_summary.",
        "pooler.",
        f"{family}.pooler.",
        "score.",
    )
    assert all(name.startswith(heads) for name in outside), outside
    assert all(name in variants for name, (variants, _) in expected.items())


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_tensors_without_a_prefix(tmp_path: Path, family: str) -> None:
    bare = header(tiny.make_model(tmp_path, family, bare=True) / "model.safetensors")
    expected = expected_tensors(read_json(tmp_path / "config.json"))
    assert [name for name, (variants, _) in expected.items() if not bare.keys() & set(variants)] == []


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_what_a_missing_setting_means(family: str) -> None:
    """Padding token and token types, where config.json does not say."""
    default, entry = AutoConfig.for_model(family), FAMILIES[family]
    bare = {"model_type": family}
    assert entry.padding_id(bare) == default.pad_token_id
    if (number := entry.num_token_types(bare)) is not None:
        assert number == default.type_vocab_size


def test_decoders_are_left_to_transformers(tmp_path: Path) -> None:
    config = read_json(tiny.make_model(tmp_path, "bert") / "config.json")
    assert expected_tensors(config) and not expected_tensors(config | {"is_decoder": True})

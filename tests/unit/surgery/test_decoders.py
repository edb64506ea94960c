"""Decoders from a checkpoint to answers, against transformers: two forms of each, of settings as published ones have.

The full model's layers are bypassed within transformers, whose own head then answers; everything else about decoders is
in the tests that run for all families.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

import tiny
from shallower.core.files import read_json
from shallower.engine.batches import cls_positions, make_batch
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.classifiers.transformers_classifier import TransformersClassifier
from shallower.engine.devices import Compute
from shallower.engine.dropout import Dropout
from shallower.engine.prediction import predict
from shallower.engine.tokens import TokenSet
from shallower.models.encoder_families import expected_tensors
from shallower.models.families import FAMILIES
from shallower.models.folder import WEIGHTS
from shallower.models.weight_files import header
from shallower.surgery.drop_layers import drop_layers
from tiny_decoders import DECODERS, SECOND_FORMS
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)
NUM_LAYERS = 5
# Of kinds that differ from those of the first layers, wherever kinds take turns.
KEPT = [1, 2, 4]
FORMS = [(family, form) for family in DECODERS for form in ("first", "second")]


@pytest.fixture(scope="module", params=FORMS, ids=["-".join(form) for form in FORMS])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a classifier, in two files as on the hub."""
    family, form = request.param
    settings = SECOND_FORMS[family] if form == "second" else None
    folder = tmp_path_factory.mktemp("full") / family
    return tiny.make_model(folder, family, NUM_LAYERS, labels=3, settings=settings, max_shard_size="60KB")


@pytest.fixture(scope="module")
def dropped(full: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dropped")
    drop_layers(full, KEPT, folder)
    return folder


@pytest.fixture(scope="module")
def tokens(full: Path) -> TokenSet:
    return make_tokens(full, 6, pair=True)[0]


@contextmanager
def bypassed(model: Any, kept: list[int]) -> Iterator[None]:
    """Layers that are not kept give back their input."""

    def give_back_input(_: Any, arguments: Any, output: Any) -> Any:
        return (arguments[0], *output[1:]) if isinstance(output, tuple) else arguments[0]

    layers = tiny.layers_of(model)
    hooks = [layers[layer].register_forward_hook(give_back_input) for layer in range(len(layers)) if layer not in kept]
    yield
    for hook in hooks:
        hook.remove()


def alone(model: Any, tokens: TokenSet) -> np.ndarray:
    """Logits by transformers of each example by itself, without padding and without its cache."""
    logits = []
    for start, stop in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True):
        ids = torch.from_numpy(tokens.input_ids[start:stop]).long()[None]
        with torch.no_grad():
            logits.append(model(input_ids=ids).logits[0].numpy())
    return np.stack(logits)


def test_answers_are_those_of_the_full_model_with_layers_bypassed(
    full: Path, dropped: Path, tokens: TokenSet, caplog: pytest.LogCaptureFixture
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(full).eval()
    everything = alone(model, tokens)
    with bypassed(model, KEPT):
        expected = alone(model, tokens)
    with bypassed(model, [0, 1, 2]):
        others = alone(model, tokens)
    caplog.clear()
    shallow, info = AutoModelForSequenceClassification.from_pretrained(dropped, output_loading_info=True)
    assert not any(info.values()) and not caplog.records
    np.testing.assert_allclose(alone(shallow.eval(), tokens), expected, rtol=0, atol=1e-5)
    for different in (everything, others):
        assert np.abs(expected - different).max() > 1e-3
    # In batches that are padded, by the pipeline's own classifier.
    np.testing.assert_allclose(predict(load_for_prediction(dropped), tokens, CPU), expected, rtol=0, atol=1e-5)


def test_kept_tensors_are_the_same_and_known(full: Path, dropped: Path) -> None:
    before = {name: tensor for file in sorted(full.glob("*.safetensors")) for name, tensor in load_file(file).items()}
    after = load_file(dropped / WEIGHTS)
    family = FAMILIES[read_json(full / "config.json")["model_type"]]
    for name, tensor in before.items():
        layer = family.layer_of(name)
        if layer is None:
            assert torch.equal(after.pop(name), tensor)
        elif layer in KEPT:
            assert torch.equal(after.pop(family.moved_to(name, KEPT.index(layer))), tensor)
    assert not after
    shapes = {name: entry["shape"] for name, entry in header(dropped / WEIGHTS).items()}
    expected = {name: shape for name, (_, shape) in expected_tensors(read_json(dropped / "config.json")).items()}
    assert shapes == expected | {"score.weight": [3, 32]}


def test_lists_of_one_entry_a_layer_keep_those_of_kept_layers(full: Path, dropped: Path) -> None:
    before, after = read_json(full / "config.json"), read_json(dropped / "config.json")
    lists = [key for key, value in before.items() if isinstance(value, list) and len(value) == NUM_LAYERS]
    assert {"gpt2": [], "llama": [], "smollm3": ["layer_types", "no_rope_layers"]}.get(
        before["model_type"], ["layer_types"]
    ) == lists
    for key in lists:
        assert after[key] == [before[key][layer] for layer in KEPT]
    # Older files leave the lists out, and say the same in other words.
    older = {key: value for key, value in before.items() if key not in lists}
    if before["model_type"] == "gemma3_text":
        older["sliding_window_pattern"] = 3 if before["head_dim"] == 8 else 2  # as the two forms have it
    shortened = FAMILIES[before["model_type"]].shortened_config(older, KEPT)
    assert {key: shortened[key] for key in lists} == {key: after[key] for key in lists}


@pytest.mark.parametrize("padding_side", ["right", "left"])
def test_the_vector_is_that_of_the_token_that_the_head_reads(full: Path, tokens: TokenSet, padding_side: str) -> None:
    """transformers' own head, applied to the vector, gives its logits, also where texts end with the padding token."""
    ids = tokens.input_ids.copy()
    ids[tokens.offsets[1] - 1] = tokens.pad_token_id
    ids[tokens.offsets[3] - 3 : tokens.offsets[3]] = tokens.pad_token_id
    changed = replace(tokens, input_ids=ids, padding_side=padding_side)
    model = AutoModelForSequenceClassification.from_pretrained(full).eval()
    classifier = TransformersClassifier(model)
    examples = np.arange(6)
    with torch.no_grad():
        outputs = classifier.compute(changed, examples, Dropout(), with_vectors=True)
        batch = make_batch(changed, examples)
        mask = None if batch.attention_mask is None else torch.from_numpy(batch.attention_mask)
        theirs = model(input_ids=torch.from_numpy(batch.input_ids), attention_mask=mask, use_cache=False).logits
        assert outputs.vectors is not None
        np.testing.assert_allclose(outputs.logits, theirs, rtol=0, atol=1e-5)
        np.testing.assert_allclose(model.score(outputs.vectors), theirs, rtol=0, atol=1e-5)
    positions = cls_positions(batch, changed)
    assert (batch.input_ids[examples, positions] != changed.pad_token_id).all()
    lengths = np.diff(tokens.offsets)
    ends = lengths - 1 if padding_side == "right" else np.full(6, lengths.max() - 1)
    assert (ends - positions).tolist() == [1, 0, 3, 0, 0, 0]


def test_tokenizers_pad_as_published_ones_do() -> None:
    sides = {family: tiny.make_tokenizer(family).padding_side for family in DECODERS}
    assert sides == {"gpt2": "right", "llama": "left", "qwen2": "right", "qwen3": "right"} | {
        "gemma2": "left",
        "gemma3_text": "left",
        "smollm3": "right",
    }


def test_a_model_that_sees_both_ways_still_does_with_fewer_layers(tmp_path):
    """As EmbeddingGemma: transformers halves the window when it reads config.json, and doubles it when it writes."""
    settings = {"use_bidirectional_attention": True, "sliding_window": 4}
    source = tiny.make_model(tmp_path / "source", "gemma3_text", NUM_LAYERS, labels=3, settings=settings)
    tokens = make_tokens(source, 6, pair=True)[0]
    load_for_prediction(source, tokens.padding_side).save(source, saved := tmp_path / "saved")
    drop_layers(saved, KEPT, dropped := tmp_path / "dropped")
    config = read_json(dropped / "config.json")
    assert {key: config[key] for key in settings} == settings
    full, causal = (
        AutoModelForSequenceClassification.from_pretrained(source, use_bidirectional_attention=both).eval()
        for both in (True, False)
    )
    with bypassed(full, KEPT), bypassed(causal, KEPT):
        expected, other = alone(full, tokens), alone(causal, tokens)
    assert np.abs(expected - other).max() > 1e-2
    np.testing.assert_allclose(
        predict(load_for_prediction(dropped, tokens.padding_side), tokens, CPU), expected, rtol=0, atol=2e-5
    )

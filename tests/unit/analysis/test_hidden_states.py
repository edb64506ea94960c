"""The [CLS] token's vector at every depth: the right token, the right example, whatever shares a batch."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from shallower.analysis import hidden_states as sentence_vectors
from shallower.analysis.hidden_states import in_order, load_encoder, vectors_by_depth
from shallower.core.errors import UserError
from shallower.engine.batches import cls_positions, make_batch
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.models.families import FAMILIES
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)


def as_they_are(vectors):
    return vectors


def alone(model, family, tokens, example):
    """The vectors of one example, without padding: [L + 1, hidden]."""
    start, stop = tokens.offsets[example : example + 2]
    inputs = {"input_ids": torch.from_numpy(tokens.input_ids[start:stop]).long()[None]}
    if tokens.token_type_ids is not None and tiny.takes_token_types(model):
        inputs["token_type_ids"] = torch.from_numpy(tokens.token_type_ids[start:stop]).long()[None]
    return np.stack([state[0, tiny.place_read(family)].numpy() for state in tiny.states_of_layers(model, inputs)])


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_vectors_are_each_examples_own(tmp_path, monkeypatch, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, labels=2), 12, pair=True)
    model = load_encoder(tmp_path)
    monkeypatch.setitem(sentence_vectors.TOKEN_BUDGET, "cpu", 60)  # a few batches
    vectors = in_order(model, tokens, CPU, as_they_are)
    assert vectors.shape == (5, 12, 32)
    assert vectors.dtype == np.float32
    for example in range(12):
        np.testing.assert_allclose(vectors[:, example], alone(model, family, tokens, example), rtol=0, atol=1e-5)
    chosen = np.array([7, 2, 11])
    few = in_order(model, tokens, CPU, as_they_are, chosen)
    np.testing.assert_allclose(few, vectors[:, chosen], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_deepest_vector_is_what_the_model_gives(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 1)
    model = load_encoder(tmp_path)
    with torch.no_grad():
        given = model(**model_inputs(model, make_batch(tokens, np.arange(1)), "cpu")).last_hidden_state[0]
    deepest = torch.from_numpy(in_order(model, tokens, CPU, as_they_are)[-1, 0])
    if norm := FAMILIES[family].final_norm:
        deepest = model.get_submodule(norm)(deepest).detach()
    np.testing.assert_allclose(deepest, given[tiny.place_read(family)], rtol=0, atol=1e-5)


def test_reading_vectors_leaves_gradients_on_for_others(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert"), 3)
    for _ in vectors_by_depth(load_encoder(tmp_path), tokens, CPU):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def test_no_examples_are_an_error(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert"), 3)
    none = dataclasses.replace(tokens, offsets=tokens.offsets[:1], labels=tokens.labels[:0], ids=tokens.ids[:0])
    with pytest.raises(UserError, match="no examples"):
        in_order(load_encoder(tmp_path), none, CPU, as_they_are)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_cls_token_is_found_behind_or_before_the_padding(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 10)
    batch = make_batch(tokens, np.arange(10))
    positions = cls_positions(batch, tokens)
    width = batch.input_ids.shape[1]
    if tokens.cls_token_id is None:
        ends = width - 1 if tokens.padding_side == "left" else np.diff(tokens.offsets) - 1
        assert (positions == ends).all()
    else:
        assert positions.tolist() == [width - 1 if family == "xlnet" else 0] * 10
        assert (batch.input_ids[np.arange(10), positions] == tokens.cls_token_id).all()


def test_a_text_that_spells_the_cls_token_out_does_not_mislead(tmp_path):
    for family, expected in (("bert", 0), ("xlnet", -1)):
        tokens, _ = make_tokens(tiny.make_model(tmp_path / family, family), 3)
        tokens.input_ids[tokens.offsets[:-1] + 2] = tokens.cls_token_id
        batch = make_batch(tokens, np.arange(3))
        assert cls_positions(batch, tokens).tolist() == [expected % batch.input_ids.shape[1]] * 3


def test_an_example_without_the_cls_token_is_named(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert"), 3)
    tokens.input_ids[tokens.offsets[1]] = 9
    with pytest.raises(UserError, match="example 101"):
        cls_positions(make_batch(tokens, np.arange(3)), tokens)


def test_missing_weights_are_an_error(tmp_path):
    tiny.make_model(tmp_path, "bert")
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["bert.encoder.layer.1.output.dense.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"layer\.1\.output"):
        load_encoder(tmp_path)

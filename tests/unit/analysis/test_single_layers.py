"""Layers run one at a time give what a model gives from which the others were really dropped."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from shallower.analysis import hidden_states
from shallower.analysis.hidden_states import load_encoder
from shallower.analysis.single_layers import PackedLayers, TransformersLayers, load_layers
from shallower.core.errors import UserError
from shallower.engine.batches import make_batch
from shallower.engine.classifiers.loading import load_for_prediction
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.engine.prediction import predict
from shallower.models.encoder_families import ENCODERS
from shallower.models.folder import TOKENIZER_FILES
from shallower.models.stack import Stack
from shallower.surgery.drop_layers import drop_layers
from shallower.surgery.subsets import every_subset, walk
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)
CLOSE = {"rtol": 0, "atol": 2e-5}


def dropped_model(folder, kept):
    """A folder of the model that has only some layers of another."""
    target = folder / f"kept-{'-'.join(map(str, kept))}"
    drop_layers(folder, kept, target)
    for name in TOKENIZER_FILES:
        shutil.copy(folder / name, target / name)
    return target


def means(folder, tokens):
    """Mean of each example's last hidden states, by transformers, one example at a time."""
    model = load_encoder(folder)
    found = []
    for example in range(len(tokens.labels)):
        with torch.no_grad():
            states = model(**model_inputs(model, make_batch(tokens, np.array([example])), "cpu")).last_hidden_state
        found.append(states[0].mean(dim=0).numpy())
    return np.stack(found)


def vectors_read(folder, tokens):
    """The vector that the head reads of each example, of the last hidden states by transformers."""
    model = load_encoder(folder)
    place = tiny.place_read(model.config.model_type)
    found = []
    for example in range(len(tokens.labels)):
        with torch.no_grad():
            states = model(**model_inputs(model, make_batch(tokens, np.array([example])), "cpu")).last_hidden_state
        found.append(states[0, place].numpy())
    return np.stack(found)


def check(folder, tokens, kept, outputs):
    dropped = dropped_model(folder, kept)
    logits = predict(load_for_prediction(dropped, tokens.padding_side), tokens, CPU)
    np.testing.assert_allclose(outputs.logits, logits, **CLOSE)
    np.testing.assert_allclose(outputs.vectors["cls"], vectors_read(dropped, tokens), **CLOSE)
    np.testing.assert_allclose(outputs.vectors["mean"], means(dropped, tokens), **CLOSE)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_subset_is_the_model_that_keeps_it(tmp_path, monkeypatch, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, num_layers=3, labels=3), 9, pair=True)
    monkeypatch.setitem(hidden_states.TOKEN_BUDGET, "cpu", 60)  # a few batches
    runner = load_layers(tmp_path, tokens, CPU, with_head=True)
    assert (runner.num_layers, runner.shares_layers) == (3, family == "albert")
    assert isinstance(runner, PackedLayers if family in ENCODERS else TransformersLayers)
    found = dict(walk(every_subset(Stack(3)), runner.run))
    for kept in [(0, 1, 2), (1,), (0, 2), (1, 2)]:
        check(tmp_path, tokens, kept, found[kept])
    np.testing.assert_allclose(
        found[0, 1, 2].logits, predict(load_for_prediction(tmp_path, tokens.padding_side), tokens, CPU), **CLOSE
    )


def test_bert_computed_by_transformers_is_the_same(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", settings={"hidden_act": "silu"}, labels=2), 6)
    runner = load_layers(tmp_path, tokens, CPU, with_head=True)
    assert isinstance(runner, TransformersLayers)
    check(tmp_path, tokens, (0, 3), dict(walk([(0, 3)], runner.run))[0, 3])


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    folder = tiny.make_model(tmp_path_factory.mktemp("deep"), "roberta", num_layers=7, regression=True)
    tokens, _ = make_tokens(folder, 6, regression=True)
    return folder, tokens


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(st.integers(0, 6), min_size=1).map(lambda layers: tuple(sorted(layers))))
def test_subsets_at_random(deep, kept):
    folder, tokens = deep
    runner = load_layers(folder, tokens, CPU, with_head=True)
    check(folder, tokens, kept, dict(walk([kept], runner.run))[kept])


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_pretrained_model_has_vectors_and_no_logits(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 5)
    runner = load_layers(tmp_path, tokens, CPU, with_head=False)
    outputs = dict(walk([(0, 1, 2, 3)], runner.run))[0, 1, 2, 3]
    assert outputs.logits is None
    np.testing.assert_allclose(outputs.vectors["cls"], vectors_read(tmp_path, tokens), **CLOSE)


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_missing_weights_and_no_examples_are_errors(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 3)
    with pytest.raises(UserError, match="missing"):
        load_layers(tmp_path, tokens, CPU, with_head=True)
    tokens, _ = make_tokens(tmp_path, 2)
    none = type(tokens)(**{**vars(tokens), "labels": tokens.labels[:0], "offsets": tokens.offsets[:1]})
    with pytest.raises(UserError, match="no calibration examples"):
        load_layers(tmp_path, none, CPU, with_head=False)

"""How much layers change the hidden states, found in every family."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from shallower.analysis import hidden_states as sentence_vectors
from shallower.analysis.hidden_states import load_encoder
from shallower.analysis.layer_scores import angular_distances, block_influence, contribution_scores
from shallower.engine.batches import make_batch
from shallower.engine.devices import Compute
from token_sets import make_tokens

CPU = Compute("cpu", "fp32", 1)
LAYERED = [name for name in tiny.FAMILIES if name != "albert"]


def hooked_cosines(model, family, tokens):
    """The same scores, example by example, from what each layer module itself takes and gives."""
    cosines = []
    for layer in tiny.layers_of(model):

        def hook(_, inputs, keywords, outputs):
            before = inputs[0] if inputs else next(iter(keywords.values()))
            after = outputs[0] if isinstance(outputs, tuple) else outputs
            # One example without padding: the [CLS] token stands at an end. XLNet: [length, batch, hidden].
            place = (-1, 0) if family == "xlnet" else (0, tiny.place_read(family))
            pair = before[place], after[place]
            cosines.append(torch.nn.functional.cosine_similarity(*pair, dim=0).item())

        layer.register_forward_hook(hook, with_kwargs=True)
    for example in range(len(tokens.labels)):
        start, stop = tokens.offsets[example : example + 2]
        inputs = {"input_ids": torch.from_numpy(tokens.input_ids[start:stop]).long()[None]}
        if tokens.token_type_ids is not None and tiny.takes_token_types(model):
            inputs["token_type_ids"] = torch.from_numpy(tokens.token_type_ids[start:stop]).long()[None]
        with torch.no_grad():
            model(**inputs)
    return np.reshape(cosines, (len(tokens.labels), -1)).mean(axis=0)


@pytest.mark.parametrize("labels", [None, 2])
@pytest.mark.parametrize("family", LAYERED)
def test_scores_are_those_of_the_layers_themselves(tmp_path, family, labels):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family, labels=labels), 10, pair=True)
    scores = contribution_scores(load_encoder(tmp_path), tokens, CPU)
    assert len(scores) == 4
    assert len({round(score, 6) for score in scores}) == 4
    np.testing.assert_allclose(scores, hooked_cosines(load_encoder(tmp_path), family, tokens), atol=1e-5)


def test_albert_has_a_score_for_each_pass_through_its_layer(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "albert"), 10)
    model = load_encoder(tmp_path)
    scores = contribution_scores(model, tokens, CPU)
    batch = make_batch(tokens, np.arange(10))
    mask = torch.from_numpy(batch.attention_mask)
    with torch.no_grad():
        states = model(torch.from_numpy(batch.input_ids), mask, output_hidden_states=True).hidden_states
        expected = [
            torch.nn.functional.cosine_similarity(before[:, 0], after[:, 0]).mean().item()
            for before, after in itertools.pairwise(states)
        ]
        assert torch.equal(states[-1], model(torch.from_numpy(batch.input_ids), mask).last_hidden_state)
    assert scores == pytest.approx(expected, abs=1e-5)
    assert len(scores) == 4


def test_a_layer_that_does_nothing_scores_one(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "bert", bare=True), 10)
    tensors = load_file(tmp_path / "model.safetensors")
    for name in tensors:
        if name.startswith("encoder.layer.2."):
            tensors[name] = torch.zeros_like(tensors[name])
        # The layer below leaves a vector of mean 0 and variance 1, which a plain layer norm leaves alone.
        if name.startswith(("encoder.layer.1.output.LayerNorm", "encoder.layer.2")) and "LayerNorm" in name:
            tensors[name] = torch.full_like(tensors[name], float(name.endswith("weight")))
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    scores = contribution_scores(load_encoder(tmp_path), tokens, CPU)
    assert scores[2] == pytest.approx(1, abs=1e-5)
    assert max(scores[0], scores[1], scores[3]) < 0.999


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_scores_do_not_depend_on_batches(tmp_path, monkeypatch, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 10, pair=True)
    model = load_encoder(tmp_path)
    together = contribution_scores(model, tokens, CPU)
    monkeypatch.setitem(sentence_vectors.TOKEN_BUDGET, "cpu", 1)
    assert contribution_scores(model, tokens, CPU) == pytest.approx(together, abs=1e-5)


def states_of_examples(folder, tokens):
    """The hidden states [L + 1, tokens, hidden] of each example alone, without padding, as transformers gives them."""
    model = load_encoder(folder)
    for example in range(len(tokens.labels)):
        start, stop = tokens.offsets[example : example + 2]
        inputs = {"input_ids": torch.from_numpy(tokens.input_ids[start:stop]).long()[None]}
        if tokens.token_type_ids is not None and tiny.takes_token_types(model):
            inputs["token_type_ids"] = torch.from_numpy(tokens.token_type_ids[start:stop]).long()[None]
        yield torch.stack(tiny.states_of_layers(model, inputs))[:, 0].double().numpy()


def cosines(one, other):
    return (one * other).sum(axis=-1) / (np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_block_influence_is_of_all_tokens_but_padding(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 10, pair=True)
    alone = np.concatenate(
        [cosines(states[:-1], states[1:]) for states in states_of_examples(tmp_path, tokens)], axis=1
    )

    scores = block_influence(load_encoder(tmp_path), tokens, CPU)

    np.testing.assert_allclose(scores, 1 - alone.mean(axis=1), atol=1e-5)
    of_cls = contribution_scores(load_encoder(tmp_path), tokens, CPU)
    assert np.abs(1 - np.array(of_cls) - scores).max() > 1e-3


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_angular_distances_are_of_every_block_of_layers(tmp_path, family):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, family), 10, pair=True)
    cls = tiny.place_read(family)
    vectors = np.stack([states[:, cls] for states in states_of_examples(tmp_path, tokens)], axis=1)

    distances = angular_distances(load_encoder(tmp_path), tokens, CPU)

    assert [len(row) for row in distances] == [4, 3, 2, 1]
    for size, row in enumerate(distances, start=1):
        angles = np.arccos(cosines(vectors[:-size], vectors[size:])) / np.pi
        np.testing.assert_allclose(row, angles.mean(axis=1), atol=1e-4)

"""The encoder: transformers' logits and gradients, from packed tokens."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny
from shallower.core.files import read_json, write_json
from shallower.engine.batches import make_batch
from shallower.engine.classifiers import packed_encoder
from shallower.engine.classifiers.loading import load_for_prediction, load_for_training
from shallower.engine.classifiers.packed_batch import filled_size, pack
from shallower.engine.classifiers.packed_classifier import PackedClassifier
from shallower.engine.classifiers.packed_encoder import attention, round_together
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.dropout import Dropout
from shallower.models.encoder_families import ENCODERS, encoder_config
from token_sets import make_tokens

# Others have the tensors of RoBERTa, by the same names.
PACKED = ("bert", "roberta", "distilbert", "electra")
EXAMPLES = np.arange(6)


def both(folder, family, change=None, **task):
    """The same weights in the encoder and in transformers' model, and the tokens of a task."""
    source = tiny.make_model(folder / "source", family)
    write_json(source / "config.json", read_json(source / "config.json") | (change or {}))
    tokens, definition = make_tokens(source, 6, **task)
    classifier = load_for_training(source, definition, seed=1)
    assert isinstance(classifier, PackedClassifier)
    classifier.save(source, folder / "saved")
    return classifier, load_checked(folder / "saved"), tokens


def reference_logits(model, tokens, examples):
    return model(**model_inputs(model, make_batch(tokens, examples), "cpu")).logits


@pytest.mark.parametrize("train_used_embeddings_only", [False, True])
@pytest.mark.parametrize("task", [{}, {"pair": True}, {"regression": True}])
@pytest.mark.parametrize("family", ENCODERS)
def test_logits_and_gradients_are_those_of_transformers(tmp_path, family, task, train_used_embeddings_only):
    classifier, model, tokens = both(tmp_path, family, **task)
    assert len(set(np.diff(tokens.offsets))) > 1  # something to pad
    names = classifier._names
    classifier.begin_training(tokens, "cpu", train_used_embeddings_only)
    logits, labels = classifier.forward(tokens, EXAMPLES, Dropout())
    expected = reference_logits(model, tokens, EXAMPLES)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    assert labels.tolist() == tokens.labels.tolist()

    direction = torch.arange(float(logits.numel())).reshape(logits.shape)
    (logits * direction).sum().backward()
    (expected * direction).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    compared = set()
    for own, parameter in classifier.module.named_parameters():
        module, _, kind = own.rpartition(".")
        theirs = torch.cat([gradients[f"{name}.{kind}"] for name in names[module]])
        if own == "word_embeddings.weight" and train_used_embeddings_only:
            assert not theirs[np.setdiff1d(np.arange(len(theirs)), tokens.input_ids)].any()
            theirs = theirs[np.unique(tokens.input_ids)]
        torch.testing.assert_close(parameter.grad, theirs, rtol=1e-4, atol=1e-4)
        compared |= {f"{name}.{kind}" for name in names[module]}
    assert compared == set(gradients)


@pytest.mark.parametrize("train_used_embeddings_only", [False, True])
@pytest.mark.parametrize("family", PACKED)
def test_padding_tokens_inside_texts(tmp_path, family, train_used_embeddings_only):
    """Positions and gradients are those of transformers, which does not train what it looks up for them."""
    classifier, model, tokens = both(tmp_path, family)
    input_ids = tokens.input_ids.copy()
    for place in (tokens.offsets[0] + 2, tokens.offsets[0] + 3, tokens.offsets[2] + 1, tokens.offsets[4] - 2):
        input_ids[place] = tokens.pad_token_id
    tokens = replace(tokens, input_ids=input_ids)
    classifier.begin_training(tokens, "cpu", train_used_embeddings_only)
    logits, _ = classifier.forward(tokens, EXAMPLES, Dropout())
    expected = reference_logits(model, tokens, EXAMPLES)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    (logits[:, 0].sum() - logits[:, 1].sum()).backward()
    (expected[:, 0].sum() - expected[:, 1].sum()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    for own in ("word_embeddings", "position_embeddings"):
        theirs = gradients[f"{classifier._names[own][0]}.weight"]
        ours = getattr(classifier.module, own).weight.grad
        if own == "word_embeddings" and train_used_embeddings_only:
            theirs = theirs[np.unique(input_ids)]
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("bert", {"hidden_act": "relu"}),
        ("roberta", {"hidden_act": "gelu_new"}),
        ("distilbert", {"activation": "relu"}),
        ("electra", {"hidden_act": "relu"}),
    ],
)
def test_other_activations(tmp_path, family, change):
    classifier, model, tokens = both(tmp_path, family, change)
    logits, _ = classifier.forward(tokens, EXAMPLES, Dropout())
    torch.testing.assert_close(logits, reference_logits(model, tokens, EXAMPLES), rtol=0, atol=1e-5)


RATES = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "roberta": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "electra": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout"),
}


@pytest.mark.parametrize("family", PACKED)
def test_dropout_has_the_distribution_of_transformers(tmp_path, family):
    """Mean and spread of the logits over many draws, with one rate above 0 at a time."""
    draws = np.tile(EXAMPLES, 400)
    for moving in RATES[family]:
        change = {rate: 0.4 if rate == moving else 0.0 for rate in RATES[family]}
        classifier, model, tokens = both(tmp_path / moving, family, change)
        torch.manual_seed(0)
        with torch.no_grad():
            ours, _ = classifier.forward(tokens, draws, Dropout(seed=1, step=2))
            theirs = reference_logits(model.train(), tokens, draws)
        ours, theirs = (logits.view(400, -1) for logits in (ours, theirs))
        assert ours.std(0).min() > 1e-3
        error = (ours.var(0) / 400 + theirs.var(0) / 400).sqrt()
        assert ((ours.mean(0) - theirs.mean(0)).abs() < 5 * error).all(), moving
        torch.testing.assert_close(ours.std(0), theirs.std(0), rtol=0.25, atol=0)


@pytest.mark.parametrize("family", PACKED)
def test_rates_of_zero_drop_nothing(tmp_path, family):
    classifier, model, tokens = both(tmp_path, family, dict.fromkeys(RATES[family], 0.0))
    logits, _ = classifier.forward(tokens, EXAMPLES, Dropout(seed=1, step=2))
    torch.testing.assert_close(logits, reference_logits(model, tokens, EXAMPLES), rtol=0, atol=1e-5)


def test_bf16_is_near(tmp_path):
    classifier, model, tokens = both(tmp_path, "bert")
    classifier.begin_training(tokens, "cpu", train_used_embeddings_only=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, _ = classifier.forward(tokens, EXAMPLES, Dropout(1, 0))
        plain, _ = classifier.forward(tokens, EXAMPLES, Dropout())
    logits.float().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in classifier.module.parameters())
    torch.testing.assert_close(plain.float(), reference_logits(model, tokens, EXAMPLES), rtol=0, atol=0.05)


def test_attention_is_torchs():
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 5, 8).unbind()
    bias = torch.zeros(2, 1, 1, 5)
    bias[0, ..., 3:] = -1e9
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, bias)
    torch.testing.assert_close(attention(query, key, value, bias, 0.1, Dropout()), expected)


def one_by_one(query, key, value, query_ends, key_ends, max_queries, max_keys, rate):
    """What the GPU's attention of packed tokens computes, an example at a time."""
    assert (query_ends.diff().max(), key_ends.diff().max(), rate) == (max_queries, max_keys, 0)
    contexts = []
    for place in range(len(key_ends) - 1):
        asked, given = (slice(*ends[place : place + 2]) for ends in (query_ends, key_ends))
        parts = (part.transpose(0, 1) for part in (query[asked], key[given], value[given]))
        contexts.append(torch.nn.functional.scaled_dot_product_attention(*parts).transpose(0, 1))
    return torch.cat(contexts)


@pytest.mark.parametrize("filled_up", [False, True])
@pytest.mark.parametrize("family", PACKED)
def test_attention_of_packed_tokens_as_on_a_gpu(tmp_path, monkeypatch, family, filled_up):
    classifier, model, tokens = both(tmp_path, family)
    batch = pack(tokens, EXAMPLES, "cpu", None, classifier.module.config.padding_id, filled_up)
    ends = torch.cat([batch.starts, torch.tensor([len(batch.input_ids)])]).int()
    batch = replace(batch, ends=ends, counts=torch.arange(len(ends), dtype=torch.int32))
    monkeypatch.setattr(packed_encoder, "HALVES", (torch.float32,))
    monkeypatch.setattr(packed_encoder, "has_packed_attention", lambda: True)
    monkeypatch.setattr(packed_encoder, "packed_attention", one_by_one)
    logits, _ = classifier.module(batch, Dropout())
    assert batch.ends.diff().max() == batch.max_length
    torch.testing.assert_close(logits, reference_logits(model, tokens, EXAMPLES), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", PACKED)
def test_a_batch_that_is_filled_up_has_the_same_logits_and_gradients(tmp_path, family):
    classifier, _, tokens = both(tmp_path, family)
    padding_id = classifier.module.config.padding_id
    results = []
    for filled_up in (False, True):
        batch = pack(tokens, EXAMPLES, "cpu", None, padding_id, filled_up)
        classifier.module.zero_grad()
        logits, vectors = classifier.module(batch, Dropout())
        assert vectors.shape == (6, classifier.module.config.hidden_size)
        (logits * torch.arange(12.0).view(6, 2)).sum().backward()
        results.append(
            [logits.detach(), vectors.detach(), *(parameter.grad for parameter in classifier.module.parameters())]
        )
    assert len(batch.input_ids) % 128 == 0
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_batches_are_filled_up_to_one_of_a_few_sizes():
    sizes = {1: 128, 127: 128, 128: 256, 1000: 1024, 1024: 1280, 1151: 1280, 2000: 2048, 2100: 2560, 9000: 9216}
    assert {size: filled_size(size) for size in sizes} == sizes
    assert all(size < filled_size(size) <= max(1.25 * size, size + 128) for size in range(1, 5000))
    assert len({filled_size(size) for size in range(1, 4097)}) == 17


def test_rounding_together_is_what_autocast_does_one_by_one():
    weights = [torch.nn.Parameter(torch.randn(shape)) for shape in ((3, 4), (3,), (5, 3), (2, 2))]
    weights[1].requires_grad_(False)
    rounded = round_together(weights, torch.bfloat16)
    assert all(torch.equal(one, weight.to(torch.bfloat16)) for one, weight in zip(rounded, weights, strict=True))
    assert [one.requires_grad for one in rounded] == [True, False, True, True]
    states = torch.randn(2, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = torch.nn.functional.linear(states, rounded[0], rounded[1])
        torch.nn.functional.linear(hidden, rounded[2]).sum().backward()
    gradients = [weight.grad for weight in weights]
    for weight in weights:
        weight.grad = None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = torch.nn.functional.linear(states, weights[0], weights[1])
        torch.nn.functional.linear(hidden, weights[2]).sum().backward()
    assert gradients[1] is gradients[3] is None
    for ours, weight in zip(gradients, weights, strict=True):
        assert ours is weight.grad or (ours.dtype == torch.float32 and torch.equal(ours, weight.grad))


@pytest.mark.parametrize(
    "change", [{"hidden_act": "silu"}, {"position_embedding_type": "relative_key"}, {"is_decoder": True}]
)
def test_what_the_encoder_does_not_know_it_leaves_to_transformers(tmp_path, change):
    config = read_json(tiny.make_model(tmp_path, "bert", labels=2) / "config.json")
    assert encoder_config(config) is not None
    assert encoder_config(config | change) is None
    write_json(tmp_path / "config.json", config | {"hidden_act": "silu"})
    tokens, _ = make_tokens(tmp_path, 6)
    classifier = load_for_prediction(tmp_path)
    assert not isinstance(classifier, PackedClassifier)
    logits, _ = classifier.forward(tokens, EXAMPLES, Dropout())
    torch.testing.assert_close(logits, reference_logits(load_checked(tmp_path), tokens, EXAMPLES), rtol=0, atol=1e-5)


def test_padding_on_the_left_is_left_to_transformers(tmp_path):
    tiny.make_model(tmp_path, "bert", labels=2)
    assert not isinstance(load_for_prediction(tmp_path, padding_side="left"), PackedClassifier)

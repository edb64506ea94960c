"""XLNet's last layer for the [CLS] token only: the same logits and gradients, with less computed."""

import numpy as np
import torch

import tiny
from shallower.engine.batches import make_batch
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.classifiers.xlnet_last_token import compute_cls_token_only
from token_sets import make_tokens

EXAMPLES = np.arange(6)


def test_logits_and_gradients_stay_the_same(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "xlnet", labels=2), 6, pair=True)
    model = load_checked(tmp_path)
    batch = make_batch(tokens, EXAMPLES)
    assert batch.attention_mask is not None

    def logits_and_gradients():
        model.zero_grad()
        logits = model(**model_inputs(model, batch, "cpu")).logits
        (logits * torch.arange(12.0).reshape(6, 2)).sum().backward()
        return logits.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    logits, gradients = logits_and_gradients()
    assert compute_cls_token_only(model, tokens.padding_side)
    few_logits, few_gradients = logits_and_gradients()
    torch.testing.assert_close(few_logits, logits, rtol=0, atol=1e-6)
    assert few_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(few_gradients[name], gradient, rtol=1e-4, atol=1e-4)


def test_the_last_feed_forward_network_sees_one_token_an_example(tmp_path):
    tokens, _ = make_tokens(tiny.make_model(tmp_path, "xlnet", labels=2), 6)
    model = load_checked(tmp_path)
    seen = {}
    for layer in (2, 3):
        model.transformer.layer[layer].ff.layer_1.register_forward_pre_hook(
            lambda _, inputs, layer=layer: seen.update({layer: inputs[0].shape[:-1].numel()})
        )
    compute_cls_token_only(model, tokens.padding_side)
    batch = make_batch(tokens, EXAMPLES)
    model(**model_inputs(model, batch, "cpu"))
    assert seen == {2: batch.input_ids.size, 3: 6}


def test_other_models_and_an_unusual_padding_side_are_left_alone(tmp_path):
    model = load_checked(tiny.make_model(tmp_path / "xlnet", "xlnet", labels=2))
    assert compute_cls_token_only(model, "right") == []
    model = load_checked(tiny.make_model(tmp_path / "albert", "albert", labels=2))
    assert compute_cls_token_only(model, "right") == []

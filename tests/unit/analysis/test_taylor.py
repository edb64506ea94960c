"""Taylor importance: the gradients are those that transformers has for the mean loss of all examples."""

import numpy as np
import pytest
import torch
from torch.nn import functional

import tiny
from shallower.analysis import taylor
from shallower.analysis.taylor import taylor_importance
from shallower.core.errors import UserError
from shallower.core.files import read_json
from shallower.engine.batches import make_batch
from shallower.engine.classifiers.loading import load_for_training
from shallower.engine.classifiers.transformers_classifier import load_checked
from shallower.engine.classifiers.transformers_models import model_inputs
from shallower.engine.devices import Compute
from shallower.models.families import FAMILIES
from token_sets import make_tokens, write_task

CPU = Compute("cpu", "fp32", 1)
OWN_LAYERS = [name for name in tiny.FAMILIES if not FAMILIES[name].shares_layers]


def fine_tuned(folder, family, **task):
    """A tiny model with a head for a task, saved as a fine-tuned one; its tokens and task."""
    tokens, definition = make_tokens(tiny.make_model(folder / "start", family), 12, **task)
    classifier = load_for_training(folder / "start", definition, 3, tokens.padding_side)
    model = folder / "model"
    classifier.save(folder / "start", model)
    return model, tokens, definition


def expected_importance(model_dir, tokens, regression):
    model = load_checked(model_dir).eval()
    family = FAMILIES[model.config.model_type]
    batch = make_batch(tokens, np.arange(len(tokens.labels)))
    logits, labels = model(**model_inputs(model, batch, "cpu")).logits, torch.from_numpy(batch.labels)
    loss = functional.mse_loss(logits[:, 0], labels) if regression else functional.cross_entropy(logits, labels)
    loss.backward()
    scores = np.zeros(family.num_layers(model.config.to_dict()))
    for name, parameter in model.named_parameters():
        if (layer := family.layer_of(name)) is not None and parameter.grad is not None:
            scores[layer] += (parameter.grad * parameter.detach()).abs().sum().item()
    return scores


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("family", OWN_LAYERS)
def test_scores_are_sums_of_gradients_times_weights(tmp_path, family, regression, monkeypatch):
    model, tokens, definition = fine_tuned(tmp_path, family, pair=True, regression=regression)
    expected = expected_importance(model, tokens, regression)
    for budget in (1024, 1):  # in one batch, and one by one
        monkeypatch.setitem(taylor.TOKEN_BUDGET, "cpu", budget)
        classifier = load_for_training(model, definition, 0, tokens.padding_side)
        np.testing.assert_allclose(taylor_importance(classifier, tokens, CPU), expected, rtol=1e-3)


def test_gradients_that_are_not_finite_are_refused(tmp_path):
    model, tokens, definition = fine_tuned(tmp_path, "bert")
    classifier = load_for_training(model, definition, 0)
    with torch.no_grad():
        classifier.layer_parameters(2)[0].fill_(float("nan"))
    with pytest.raises(UserError, match=r"gradients of layers .* are not finite"):
        taylor_importance(classifier, tokens, CPU)


def test_the_script_takes_the_head_of_the_fine_tuned_model(tmp_path, step):
    model, tokens, definition = fine_tuned(tmp_path, "bert")
    write_task(tmp_path, tokens, definition)
    options = ["--model-dir", model, "--tokens", tmp_path / "tokens.safetensors", "--task", tmp_path / "task.json"]
    options += ["--threads", "1", "--device", "cpu", "--output", tmp_path / "scores.json"]
    step("score_gradients", *options, folder=tmp_path)
    found = read_json(tmp_path / "scores.json")
    assert (found["method"], found["num_examples"]) == ("taylor", 12)
    np.testing.assert_allclose(found["scores"], expected_importance(model, tokens, regression=False), rtol=1e-3)

"""The compact embedding: the same vectors and gradients for the tokens that occur, the rest untouched."""

import numpy as np
import pytest
import torch
from torch import nn

import tiny
from shallower.engine.classifiers.compact_embedding import CompactEmbedding, compact_embedding, restore_embedding
from shallower.engine.classifiers.transformers_classifier import load_checked


def test_vectors_and_gradients_are_those_of_the_original():
    torch.manual_seed(0)
    original = nn.Embedding(20, 4, padding_idx=2)
    compact = CompactEmbedding(original, np.array([2, 5, 11]))
    ids = torch.tensor([[5, 11, 2], [11, 11, 2]])
    direction = torch.rand(2, 3, 4)
    assert torch.equal(compact(ids), original(ids))
    (original(ids) * direction).sum().backward()
    (compact(ids) * direction).sum().backward()
    assert torch.equal(compact.weight.grad, original.weight.grad[[2, 5, 11]])
    assert not compact.weight.grad[0].any()  # the padding token


def test_a_token_that_was_not_announced_is_an_error():
    compact = CompactEmbedding(nn.Embedding(20, 4), np.array([2, 5]))
    with pytest.raises(IndexError):
        compact(torch.tensor([3]))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_swapped_into_a_model_and_back(tmp_path, family):
    model = load_checked(tiny.make_model(tmp_path, family, labels=2))
    before = model.get_input_embeddings().weight.detach().clone()
    names = [name for name, _ in model.named_parameters()]
    used = np.array([0, 1, 5, 9, 30])
    compact_embedding(model, used)
    compact = model.get_input_embeddings()
    assert isinstance(compact, CompactEmbedding)
    assert [name for name, _ in model.named_parameters()] == names
    assert compact.weight.shape == (5, before.shape[1])
    with torch.no_grad():
        compact.weight += 1
    restore_embedding(model)
    after = model.get_input_embeddings()
    assert isinstance(after, nn.Embedding)
    expected = before.clone()
    expected[used] += 1
    assert torch.equal(after.weight, expected)
    assert [name for name, _ in model.named_parameters()] == names

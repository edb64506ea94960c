"""Dropout: the right share, the right scale, the same for the same seed and step."""

import pytest
import torch
from torch import nn

from shallower.engine.dropout import Dropout, DropoutModule, replace_dropout, restore_dropout

STATES = torch.ones(400, 500)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_share_and_scale(rate):
    dropped = Dropout(1, 0)(STATES, rate)
    # Of 200,000 numbers; four standard deviations.
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=4 * (rate * (1 - rate) / 2e5) ** 0.5)
    kept = dropped[dropped != 0]
    assert kept.unique().tolist() == pytest.approx([1 / (1 - rate)], rel=1e-4)
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)


def test_rows_and_columns_are_hit_alike():
    dropped = (Dropout(1, 0)(STATES, 0.1) == 0).float()
    assert dropped.mean(0).max() < 0.18
    assert dropped.mean(1).max() < 0.18


def test_seed_and_step_decide():
    one = Dropout(1, 3)(STATES, 0.1)
    assert torch.equal(Dropout(1, 3)(STATES, 0.1), one)
    assert not torch.equal(Dropout(1, 4)(STATES, 0.1), one)
    assert not torch.equal(Dropout(2, 3)(STATES, 0.1), one)
    dropout = Dropout(1, 3)
    assert not torch.equal(dropout(STATES, 0.1), dropout(STATES, 0.1))


def test_nothing_is_dropped_without_a_seed_or_a_rate():
    assert Dropout()(STATES, 0.5) is STATES
    assert Dropout(1)(STATES, 0.0) is STATES
    assert torch.equal(Dropout().add(STATES, STATES, 0.5), 2 * STATES)


def test_adding_is_dropping_and_adding():
    states, residual = (torch.randn(40, 50, requires_grad=True) for _ in range(2))
    total = Dropout(1, 0).add(states, residual, 0.3)
    torch.testing.assert_close(total, Dropout(1, 0)(states, 0.3) + residual)
    direction = torch.randn(40, 50)
    gradients = torch.autograd.grad((total * direction).sum(), [states, residual])
    expected = torch.autograd.grad(((Dropout(1, 0)(states, 0.3) + residual) * direction).sum(), [states, residual])
    torch.testing.assert_close(gradients, expected)


def test_modules_are_replaced_and_put_back():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4)), nn.Dropout(0.25)).train()
    replaced = replace_dropout(model)
    assert [module.original_rate for module in replaced] == [0.25, 0.5]
    assert [module.p for module in replaced] == [0, 0], "without the dropout of a step nothing is dropped"
    assert isinstance(model[1][0], DropoutModule)
    inputs = torch.randn(64, 4)
    quiet = model(inputs)
    for module in replaced:
        module.dropout = Dropout(1, 0)
    assert not torch.equal(model(inputs), quiet)
    assert torch.equal(model.eval()(inputs), quiet)
    restore_dropout(model.train())
    assert type(model[1][0]) is type(model[2]) is nn.Dropout
    assert (model[1][0].p, model[2].p) == (0.5, 0.25)
    assert model[2].training

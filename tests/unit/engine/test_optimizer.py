"""AdamW: torch's numbers, step by step."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from shallower.engine.optimizer import MOMENTS, AdamW

LIBRARY = Path(__file__).parents[3] / "workflow"


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("max_grad_norm", [0.5, 100.0])
def test_steps_are_those_of_torchs_optimizer_after_clipping(weight_decay, max_grad_norm):
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape)) for shape in ((5, 4), (5,), (3, 5))]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    optimizer = AdamW(ours, weight_decay)
    groups = [{"params": [theirs[0], theirs[2]], "weight_decay": weight_decay}, {"params": [theirs[1]]}]
    expected = torch.optim.AdamW(groups, weight_decay=0.0, fused=False)
    for step in range(5):
        # A parameter without a gradient stays as it is.
        moved = range(3) if step else range(2)
        for place in moved:
            ours[place].grad = torch.randn_like(ours[place])
            theirs[place].grad = ours[place].grad.clone()
        for group in expected.param_groups:
            group["lr"] = 0.1 / (step + 1)
        norm = optimizer.step(0.1 / (step + 1), max_grad_norm)
        assert norm.item() == pytest.approx(nn.utils.clip_grad_norm_(theirs, max_grad_norm).item())
        expected.step()
        expected.zero_grad()
        assert all(parameter.grad is None for parameter in ours)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert {name: value.item() for name, value in optimizer.state[ours[2]].items() if name == "step"} == {"step": 4}
    assert all(set(state) == set(MOMENTS) for state in optimizer.state.values())


def test_frozen_parameters_are_left_out():
    frozen = nn.Parameter(torch.ones(2, 2), requires_grad=False)
    assert AdamW([frozen], 0.1).groups == [([], 0.1), ([], 0.0)]


def test_a_training_step_does_not_import_torchs_compiler():
    program = (
        "import sys, torch\n"
        "from shallower.engine.optimizer import AdamW\n"
        "from shallower.engine.classifiers.packed_encoder import Encoder\n"
        "parameter = torch.nn.Parameter(torch.ones(2, 2)); parameter.sum().backward()\n"
        "AdamW([parameter], 0.0).step(0.1, 1.0)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(LIBRARY)}).returncode == 0

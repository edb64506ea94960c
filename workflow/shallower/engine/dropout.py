"""Dropout, drawn where it is cheap.

torch draws its dropout masks on a CPU one number after another, on one thread: 12 ns a value, which is a tenth of a
training step of a small model on one core and much more on several. The generator here draws four 16-bit numbers at a
time for less than 1 ns a value. On a GPU torch's own dropout is used.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.autograd.function import BackwardCFunction
from torch.nn import functional

# Rates are exact to 1 / RESOLUTION; the scale of what is kept is exact for the rate in use.
RESOLUTION = 1 << 16


class Dropout:
    """The dropout of one training step, a function of the seed and the step alone; `Dropout()` drops nothing."""

    def __init__(self, seed: int | None = None, step: int = 0) -> None:
        self._generator = np.random.SFC64([seed, step]) if seed is not None else None

    def __call__(self, states: torch.Tensor, rate: float) -> torch.Tensor:
        """States of any shape with a share `rate` of them set to 0 and the others scaled up."""
        if self._generator is None or rate == 0:
            return states
        if states.is_cuda:
            return functional.dropout(states, rate)
        return states * _mask(self._generator, states.shape, rate)

    def add(self, states: torch.Tensor, residual: torch.Tensor, rate: float) -> torch.Tensor:
        """`residual` plus the states after dropout, in one pass where that is faster."""
        if self._generator is None or rate == 0 or states.is_cuda:
            return residual + self(states, rate)
        return _MaskedAdd.apply(states, residual, _mask(self._generator, states.shape, rate))

    def rate(self, rate: float) -> float:
        """The rate for functions that drop out themselves."""
        return rate if self._generator is not None else 0.0


def _mask(generator: np.random.SFC64, shape: torch.Size, rate: float) -> torch.Tensor:
    """fp32 factors: 0 or the scale of what is kept."""
    size = shape.numel()
    cut = round(rate * RESOLUTION)
    numbers = generator.random_raw(-(-size // 4)).view(np.int16)[:size]
    kept = numbers >= np.int16(cut - RESOLUTION // 2)
    return torch.from_numpy(np.multiply(kept, np.float32(RESOLUTION / (RESOLUTION - cut)))).view(shape)


class _MaskedAdd(torch.autograd.Function):
    """residual + states * mask, reading each once."""

    apply: ClassVar[Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]]

    @staticmethod
    def forward(
        ctx: BackwardCFunction, states: torch.Tensor, residual: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(mask)
        return torch.addcmul(residual, states, mask)

    @staticmethod
    def backward(ctx: BackwardCFunction, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        (mask,) = ctx.saved_tensors
        return gradient * mask, gradient, None


class DropoutModule(nn.Module):
    """Stands in for an `nn.Dropout` of a model that is not ours."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.original_rate = rate
        self.dropout = Dropout()

    @property
    def p(self) -> float:
        """The rate, for attention that drops out by a function of torch (GPT-2's)."""
        return self.dropout.rate(self.original_rate)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.dropout(states, self.original_rate) if self.training else states


def replace_dropout(model: nn.Module) -> list[DropoutModule]:
    """Put a `DropoutModule` in the place of every `nn.Dropout`; give each its `dropout` before every step."""
    replaced = []
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                stand_in = DropoutModule(child.p).train(child.training)
                setattr(module, name, stand_in)
                replaced.append(stand_in)
    return replaced


def restore_dropout(model: nn.Module) -> None:
    """Undo `replace_dropout`."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, DropoutModule):
                setattr(module, name, nn.Dropout(child.original_rate).train(child.training))


def attention_rates(model: nn.Module) -> list[tuple[nn.Module, float]]:
    """The modules of a model that is not ours whose attention drops out at a rate of its own, and these rates.

    Such a module has its rate as `attention_dropout`, to be set to `Dropout.rate` of it before every step.
    """
    found = ((module, getattr(module, "attention_dropout", 0.0)) for module in model.modules())
    return [(module, rate) for module, rate in found if isinstance(rate, float) and rate > 0]

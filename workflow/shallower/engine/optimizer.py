"""AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019) by torch's fused kernel.

The numbers are those of `torch.optim.AdamW(fused=True)`, whose class imports torch's compiler when it is first used:
three seconds of computing in every training. Also, the kernel scales gradients while it reads them, which spares
clipping a pass over all of them.
"""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.adamw import adamw

BETAS = (0.9, 0.999)
EPSILON = 1e-8
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class AdamW:
    """The optimizer of some parameters, of which matrices decay and vectors, such as biases and norms, do not.

    Attributes:
        state: of each parameter that has had a gradient, what `MOMENTS` names: the number of its steps (float32
            scalar), and running means of its gradient and of its square.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], weight_decay: float) -> None:
        trained: list[torch.Tensor] = [parameter for parameter in parameters if parameter.requires_grad]
        self.groups = [
            ([parameter for parameter in trained if parameter.ndim > 1], weight_decay),
            ([parameter for parameter in trained if parameter.ndim <= 1], 0.0),
        ]
        self.state: dict[torch.Tensor, dict[str, torch.Tensor]] = {}

    def step(self, learning_rate: float, max_grad_norm: float) -> torch.Tensor:
        """Update the parameters, gradients clipped to a norm, and forget the gradients; returns their norm, a scalar.

        Does not wait for a GPU.
        """
        trained = [one for parameters, _ in self.groups for one in parameters]
        norm = nn.utils.get_total_norm([one.grad for one in trained if one.grad is not None])
        scale = (norm / max_grad_norm).clamp(min=1.0)
        for parameters, weight_decay in self.groups:
            gradients = {one: one.grad for one in parameters if one.grad is not None}
            states = [self._state(parameter) for parameter in gradients]
            adamw(
                list(gradients),
                list(gradients.values()),
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                max_exp_avg_sqs=[],
                state_steps=[state["step"] for state in states],
                fused=True,
                grad_scale=scale,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=learning_rate,
                weight_decay=weight_decay,
                eps=EPSILON,
                maximize=False,
            )
            for parameter in gradients:
                parameter.grad = None
        return norm

    def _state(self, parameter: torch.Tensor) -> dict[str, torch.Tensor]:
        if parameter not in self.state:
            self.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                **{name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")},
            }
        return self.state[parameter]

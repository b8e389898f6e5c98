"""The Muon optimiser in float32, for processors that only emulate bfloat16.

`torch.optim.Muon` orthogonalises in bfloat16, which there takes several times longer than the forward and
backward pass together. Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers"; the step
is scaled to the size of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training").
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.775, 2.0315)  # of the quintic that drives singular values towards 1


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """The matrix [a, b] with all its singular values brought near 1 (0.7 to 1.2), by Newton-Schulz."""
    a, b, c = _COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for matrices [a, b]."""

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move every matrix along its orthogonalised momentum."""
        for group in self.param_groups:
            momentum, rate = group["momentum"], group["lr"]
            for matrix in group["params"]:
                mean = self.state[matrix].setdefault("mean", torch.zeros_like(matrix))
                mean.lerp_(matrix.grad, 1 - momentum)
                update = orthogonalised(matrix.grad.lerp(mean, momentum))
                matrix.mul_(1 - rate * group["weight_decay"])
                matrix.add_(update, alpha=-0.2 * rate * max(matrix.shape) ** 0.5)

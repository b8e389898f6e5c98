"""The one place that multiplies by weights, and the form in which it wants them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def packed(weight: Tensor) -> Tensor:
    """A weight [out, in] laid out for few rows at a time where that is faster; else itself.

    oneDNN then multiplies 2 to 32 rows in about two thirds of the time of plain float32.
    """
    plain = weight.device.type != "cpu" or weight.dtype != torch.float32
    if plain or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return weight
    found: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, 16)
    return found


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x [T, in] times weight [out, in] transposed -> [T, out]; the weight plain or packed."""
    if weight.is_mkldnn and len(x):
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
        return found
    if weight.is_mkldnn:
        return x.new_empty(0, weight.shape[0])
    return F.linear(x, weight)

"""Linear layers that read their weights at the memory's own speed when there are few rows, on a CPU.

While somebody speaks, and while an answer is written, every step multiplies all weights with few rows: one
for a token that is decoded, some for speech of half a second. PyTorch then computes ``x @ W.T``, for which
oneDNN rearranges ``W`` on its way. ``W @ x.T`` reads it as it lies, and a single row is a matrix times a
vector: on two cores with AMX, 12 GB/s become 17 and more of the 23 that the memory gives. The sums are the
same, in float32 and rounded once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MAX_ROWS = 64
"""Above it the arithmetic takes longer than the weights do."""


class FewRowsLinear(nn.Linear):
    """``nn.Linear`` without a bias; see the module's description."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        rows = input.numel() // self.in_features
        if rows == 1:
            return torch.mv(self.weight, input.reshape(-1)).view(*input.shape[:-1], -1)
        if not 0 < rows <= MAX_ROWS:
            return super().forward(input)
        product = torch.mm(self.weight, input.reshape(rows, -1).t())
        # Attention is slow on what does not lie in order.
        return product.t().contiguous().view(*input.shape[:-1], -1)


def use_few_rows(model: Any, *, wanted: bool = True) -> None:
    """Let a model's linear layers be `FewRowsLinear` where it pays: bfloat16 on a CPU.

    Args:
        model: Any module.
        wanted: False makes them plain ones again.
    """
    old, new = (nn.Linear, FewRowsLinear) if wanted else (FewRowsLinear, nn.Linear)
    for module in model.modules():
        if type(module) is not old or module.bias is not None:
            continue
        weight = module.weight.data
        if type(weight) is not Tensor:  # stored in fewer bits
            continue
        if weight.device.type == "cpu" and weight.dtype is torch.bfloat16:
            module.__class__ = new

"""Which tokens a token may attend to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def attention_mask(
    lengths: Sequence[int], queries: int, window: int | None, *, device: torch.device
) -> Tensor | None:
    """The mask of a batch whose rows, of unequal length, are padded on the left.

    Args:
        lengths: Tokens of each row before the new ones.
        queries: New tokens, the same number in each row.
        window: How far a token sees, itself included; None without limit.
        device: Where the mask is to be.

    Returns:
        Booleans of shape (rows, 1, queries, keys), True where a query may look; None where a single token of
        each row sees all its keys.
    """
    held = [length if window is None else min(length, window - 1) for length in lengths]
    if queries == 1 and len(set(held)) == 1:
        return None
    keys = max(held) + queries
    # Positions are counted from each row's oldest key; what lies before it is padding.
    offset = torch.tensor([max(held) - row for row in held], device=device)[:, None, None]
    key = torch.arange(keys, device=device)[None, None, :] - offset
    query = (
        torch.arange(queries, device=device)[None, :, None] + torch.tensor(held, device=device)[:, None, None]
    )
    allowed = (key >= 0) & (key <= query)
    if window is not None:
        allowed &= key > query - window
    return allowed[:, None]


def additive(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """The mask as numbers to add to the logits, for the ``eager`` attention."""
    if mask is None:
        return None
    zero = torch.zeros((), dtype=dtype, device=mask.device)
    return torch.where(mask, zero, torch.finfo(dtype).min)

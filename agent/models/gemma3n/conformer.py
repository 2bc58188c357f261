"""The conformer blocks of the audio tower, fed piece by piece.

A frame attends to itself and the 12 frames before it, and the depthwise convolution reaches 4 frames back;
the blocks of 12 in which the reference computes attention are an optimisation, not part of the model. So the
keys and values of 12 frames and the convolution's input of 4 carry over, and the result is the same.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class _WindowAttention:
    """``Gemma3nAudioAttention`` over a window that slides by one frame."""

    def __init__(self, attention: Any) -> None:
        self._attention = attention
        self._past: int = attention.max_past_horizon
        shape = (self._past, attention.num_heads, attention.head_dim)
        weight = attention.k_proj.weight
        self._keys = weight.new_zeros(shape)
        self._values = weight.new_zeros(shape)
        self._seen = 0
        """Frames before this piece, as far as the window reaches."""
        self._positions = _relative_positions(attention.relative_position_embedding, weight.dtype)
        scale = F.softplus(attention.per_dim_scale)
        self._scale = attention.q_scale, scale

    def __call__(self, x: Tensor) -> Tensor:
        """Attend; (frames, hidden) in and out."""
        module = self._attention
        frames = x.shape[0]
        shape = (frames, module.num_heads, module.head_dim)
        queries = module.q_proj(x).view(shape) * self._scale[0] * self._scale[1]
        keys = torch.cat([self._keys, module.k_proj(x).view(shape)])
        values = torch.cat([self._values, module.v_proj(x).view(shape)])
        self._keys, self._values = keys[frames:].clone(), values[frames:].clone()
        key_windows = keys.unfold(0, self._past + 1, 1)  # frames, heads, head_dim, window
        value_windows = values.unfold(0, self._past + 1, 1)
        logits = torch.matmul(queries.unsqueeze(2), key_windows).squeeze(2)
        logits = logits + torch.einsum("nhd,fhd->nhf", queries, self._positions)
        cap = module.softcap
        logits = torch.tanh(logits / cap) * cap
        logits = logits.masked_fill(self._before_the_clip(frames, x.device), torch.finfo(logits.dtype).min)
        weights = logits.softmax(-1, dtype=torch.float32).to(values.dtype)
        self._seen = min(self._past, self._seen + frames)
        return torch.matmul(value_windows, weights.unsqueeze(-1)).squeeze(-1).flatten(1)

    def _before_the_clip(self, frames: int, device: torch.device) -> Tensor:
        """Which places of each window lie before the first frame, shape (frames, 1, window)."""
        window = torch.arange(self._past + 1, device=device)
        position = torch.arange(frames, device=device)[:, None] + window
        return (position < self._past - self._seen)[:, None]


def _relative_positions(embedding: Any, dtype: torch.dtype) -> Tensor:
    """The projected sinusoids of a window, oldest first, shape (window, heads, head_dim)."""
    device = embedding.pos_proj.weight.device
    distances = torch.arange(embedding.max_backward, -1, -1, device=device).float()
    angles = distances[:, None] * embedding.inv_timescales.to(device).view(1, -1).float()
    signal = torch.cat([angles.sin(), angles.cos()], dim=-1).to(dtype)
    projected: Tensor = embedding.pos_proj(signal)
    return projected.view(-1, embedding.num_heads, embedding.head_dim)


class _BlockStream:
    """One conformer block: half feed-forward, attention, light convolution, half feed-forward, norm."""

    def __init__(self, block: Any) -> None:
        self._block = block
        self._attend = _WindowAttention(block.attention.attn)
        convolution = block.lconv1d
        self._conv_tail: Tensor = convolution.linear_start.weight.new_zeros(
            (convolution.causal_padding, convolution.depthwise_conv1d.in_channels)
        )

    def __call__(self, x: Tensor) -> Tensor:
        block = self._block
        x = self._attention(block.ffw_layer_start(x))
        x = block.ffw_layer_end(self._convolution(x))
        normed: Tensor = block.norm(_clip(x, block.gradient_clipping))
        return normed

    def fork(self) -> _BlockStream:
        forked = copy(self)
        forked._attend = copy(self._attend)
        return forked

    def _attention(self, x: Tensor) -> Tensor:
        part = self._block.attention
        attended = self._attend(part.pre_attn_norm(_clip(x, part.gradient_clipping)))
        attended = _clip(part.post(attended), part.gradient_clipping)
        normed: Tensor = part.post_norm(attended)
        return x + normed

    def _convolution(self, x: Tensor) -> Tensor:
        part = self._block.lconv1d
        gated = F.glu(part.linear_start(part.pre_layer_norm(x)), dim=-1)
        gated = torch.cat([self._conv_tail, gated])
        self._conv_tail = gated[x.shape[0] :].clone()
        mixed: Tensor = part.depthwise_conv1d(gated.T[None])[0].T
        mixed = F.silu(part.conv_norm(_clip(mixed, part.gradient_clipping)))
        mixed = part.linear_end(mixed)
        return x + mixed


def _clip(x: Tensor, limit: Tensor) -> Tensor:
    return torch.clamp(x, -limit, limit)


class ConformerStream:
    """All blocks over the frames of one clip.

    Args:
        blocks: The tower's ``conformer``.
    """

    def __init__(self, blocks: Any) -> None:
        self._blocks = [_BlockStream(block) for block in blocks]

    def feed(self, frames: Tensor) -> Tensor:
        """Encode the next frames, (n, hidden) in and out."""
        for block in self._blocks:
            frames = block(frames)
        return frames

    def fork(self) -> ConformerStream:
        """A stream that goes on from here by itself: states are replaced, never written to."""
        forked = copy(self)
        forked._blocks = [block.fork() for block in self._blocks]
        return forked

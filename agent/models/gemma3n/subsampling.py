"""The two strided convolutions in front of the conformer, fed piece by piece.

Both pad at the end only, so a frame of output waits for at most two more frames of input. Their group norms
are cumulative over the clip: every frame is normalised with the statistics of all frames up to it, of which
a running sum, a count and a sum of squares carry over.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _CumulativeNormStream:
    """``Gemma3nAudioCumulativeGroupNorm`` with its running statistics kept between pieces.

    The squared differences are summed from the mean *as it was at each frame*, which is not the variance of
    textbooks but is what the model was trained with.
    """

    def __init__(self, norm: Any) -> None:
        self._norm = norm
        self._sum: Tensor | float = 0.0
        self._count = 0
        self._squares: Tensor | float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise frames; (1, frames, frequencies, channels) in and out, computed in float32."""
        values = x.float()
        axes = (2, 3)
        per_frame = values.shape[2] * values.shape[3]
        counts = torch.arange(1, values.shape[1] + 1, device=x.device, dtype=torch.float32) * per_frame
        counts = (counts + self._count).view(1, -1, 1, 1)
        sums = self._sum + values.sum(axes, keepdim=True).cumsum(1)
        mean = sums / counts
        squares = self._squares + (values - mean).pow(2).sum(axes, keepdim=True).cumsum(1)
        normed = (values - mean) * torch.rsqrt(squares / counts + self._norm.eps)
        self._sum, self._squares = sums[:, -1:], squares[:, -1:]
        self._count += values.shape[1] * per_frame
        scaled: Tensor = normed * self._norm.weight.float()
        return scaled.to(x.dtype)


class _ConvStream:
    """One convolution block: kernel and stride in time, norm over the clip, ReLU."""

    def __init__(self, block: Any) -> None:
        self._conv: nn.Conv2d = block.conv
        self._kernel: int = block.conv.kernel_size[0]
        self._stride: int = block.conv.stride[0]
        self._frequency_padding = (block.manual_padding[0], block.manual_padding[1])
        self._end_padding: int = block.manual_padding[3]
        self._norm = _CumulativeNormStream(block.norm)
        self._pending: Tensor | None = None

    def feed(self, x: Tensor, *, end: bool = False) -> Tensor:
        """Convolve as far as the frames reach; (1, channels, frames, frequencies) in and out."""
        if self._pending is not None:
            x = torch.cat([self._pending, x], dim=2)
        if end:
            x = F.pad(x, (0, 0, 0, self._end_padding))
        frames = max(0, (x.shape[2] - self._kernel) // self._stride + 1)
        self._pending = x[:, :, frames * self._stride :].clone()
        if not frames:
            return self._nothing(x)
        x = F.pad(x[:, :, : (frames - 1) * self._stride + self._kernel], self._frequency_padding)
        y = self._conv(x.to(self._conv.weight.dtype))
        return F.relu(self._norm(y.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)

    def fork(self) -> _ConvStream:
        forked = copy(self)
        forked._norm = copy(self._norm)
        return forked

    def _nothing(self, x: Tensor) -> Tensor:
        bins = x.shape[3] + sum(self._frequency_padding)
        bins = (bins - self._conv.kernel_size[1]) // self._conv.stride[1] + 1
        return x.new_empty((1, self._conv.out_channels, 0, bins), dtype=self._conv.weight.dtype)


class SubsamplingStream:
    """Mel frames of one clip to conformer frames, one for every four; carries at most four frames.

    Args:
        projection: The tower's ``subsample_conv_projection``.
    """

    def __init__(self, projection: Any) -> None:
        self._linear: nn.Linear = projection.input_proj_linear
        self._first = _ConvStream(projection.conv_0)
        self._second = _ConvStream(projection.conv_1)

    def feed(self, mel: Tensor, *, end: bool = False) -> Tensor:
        """Take mel frames, shape (frames, bins), and return the conformer frames now due, (n, hidden).

        Args:
            mel: The frames.
            end: The clip ends with them.
        """
        x = self._second.feed(self._first.feed(mel[None, None], end=end), end=end)
        flat = x.permute(0, 2, 3, 1).flatten(2)[0]
        projected: Tensor = self._linear(flat)
        return projected

    def fork(self) -> SubsamplingStream:
        """A stream that goes on from here by itself."""
        forked = copy(self)
        forked._first, forked._second = self._first.fork(), self._second.fork()
        return forked

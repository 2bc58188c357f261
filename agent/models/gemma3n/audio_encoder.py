"""Speech to soft tokens while it is being said: one token for every 160 ms, exact to rounding."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hearsight.agent.models.gemma3n.conformer import ConformerStream
from hearsight.agent.models.gemma3n.mel import PADDING_MULTIPLE, LogMelStream, Waveform
from hearsight.agent.models.gemma3n.subsampling import SubsamplingStream


class StreamingAudioEncoder:
    """The soft tokens of one clip, as they fall due.

    Whatever the sizes in which samples arrive, the tokens are those that the model's own
    ``get_audio_features`` gives for the whole clip. What carries over between calls is bounded: one window of
    samples, a few mel frames, and the last 12 frames of every conformer block.

    Args:
        model: A ``Gemma3nForConditionalGeneration``.
        extractor: Its processor's ``feature_extractor``.
        step_tokens: Run the conformer once so many tokens are due. Every run reads all its weights, so that
            on a CPU a larger step costs less and leaves more to do at the end.

    Attributes:
        tokens: How many soft tokens have been returned.
    """

    def __init__(self, model: Any, extractor: Any, *, step_tokens: int = 1) -> None:
        tower = model.model.audio_tower
        self._embed = model.model.embed_audio
        self._mel = LogMelStream(extractor)
        self._subsampling = SubsamplingStream(tower.subsample_conv_projection)
        self._conformer = ConformerStream(tower.conformer)
        self._reduction: int = tower.config.conf_reduction_factor
        self._step_tokens = step_tokens
        weight = tower.subsample_conv_projection.input_proj_linear.weight
        self._device, self._dtype = weight.device, weight.dtype
        self._pending: Tensor = weight.new_empty((0, weight.shape[0]))
        self._until_due = 0
        """How many of the frames to come lie before the next one that is a token."""
        self.tokens = 0

    @torch.inference_mode()
    def feed(self, samples: Waveform) -> Tensor:
        """Take more of the clip, and return the soft tokens that fell due, shape (n, text hidden)."""
        return self._encode(self._mel.feed(samples), end=False)

    @torch.inference_mode()
    def finish(self, samples: Waveform) -> Tensor:
        """Take the last of the clip, if any, and return all soft tokens still due, in one step."""
        return self._encode(np.concatenate([self._mel.feed(samples), self._mel.flush()]), end=True)

    def fork(self) -> StreamingAudioEncoder:
        """An encoder that goes on from here by itself, to end the clip while the speaker may go on."""
        forked = copy(self)
        forked._mel = self._mel.fork()
        forked._subsampling = self._subsampling.fork()
        forked._conformer = self._conformer.fork()
        return forked

    def _encode(self, mel: np.ndarray[Any, np.dtype[np.float32]], *, end: bool) -> Tensor:
        frames = torch.from_numpy(mel).to(self._device, self._dtype)
        self._pending = torch.cat([self._pending, self._subsampling.feed(frames, end=end)])
        due = -(-(self._pending.shape[0] - self._until_due) // self._reduction)
        if due < (1 if end else self._step_tokens):
            return self._nothing()
        # The frames after the last one that is a token change no token but later ones: they wait.
        ready = self._until_due + (due - 1) * self._reduction + 1
        encoded = self._conformer.feed(self._pending[:ready])
        soft = encoded[self._until_due :: self._reduction]
        self._pending = self._pending[ready:].clone()
        self._until_due = self._reduction - 1
        self.tokens += due
        embedded: Tensor = self._embed(inputs_embeds=soft[None])[0]
        return embedded

    def _nothing(self) -> Tensor:
        projection: nn.Linear = self._embed.embedding_projection
        return projection.weight.new_empty((0, projection.out_features))


def soft_token_count(samples: int, extractor: Any, *, reduction: int = 16) -> int:
    """How many soft tokens the encoder makes of a clip of so many samples.

    Args:
        samples: Length of the clip at 16 kHz.
        extractor: The processor's ``feature_extractor``.
        reduction: Mel frames to a token: two strides of 2, then every fourth frame.
    """
    padded = samples + -samples % PADDING_MULTIPLE
    frames: int = (padded - (extractor.frame_length + 1)) // extractor.hop_length + 1
    return max(0, -(-frames // reduction))

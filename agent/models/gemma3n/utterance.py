"""One utterance as it is heard: samples in, the soft tokens of its clips out, at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from hearsight.agent.models.gemma3n.adapter import AudioEncoder, Gemma3nAdapter
from hearsight.agent.models.gemma3n.clips import ClipCutter
from hearsight.agent.models.gemma3n.mel import Waveform
from hearsight.agent.models.gemma3n.prompt import AudioPadding, AudioToken, Token
from hearsight.streams.events import Samples

_FULL_SCALE = 32_768.0


@dataclass(slots=True)
class _Clip:
    encoder: AudioEncoder | None
    """None once nothing more will come."""
    samples: int = 0
    soft: list[Tensor] = field(default_factory=list)
    """Tokens that further speech does not change."""
    encoded: int = 0
    """How many they are."""
    ending: Tensor | None = None
    """The tokens after them, were the clip to end where it is."""
    ended_at: int = 0

    def add(self, soft: Tensor) -> None:
        if soft.shape[0]:
            self.soft.append(soft)
            self.encoded += soft.shape[0]


class Utterance:
    """Speech of one item.

    ``hear`` may be called from another thread than the rest.

    Args:
        item_id: Its name.
        adapter: Encodes it.
    """

    def __init__(self, item_id: str, adapter: Gemma3nAdapter) -> None:
        self.item_id = item_id
        self.samples = 0
        """Samples heard, at 16 kHz."""
        self._adapter = adapter
        self._waiting: deque[Samples] = deque()
        self._cutter = ClipCutter()
        self._clips = [_Clip(adapter.audio_encoder())]

    def hear(self, samples: Samples) -> None:
        """Take more of it, int16."""
        self.samples += samples.size
        self._waiting.append(samples)

    @property
    def waiting(self) -> bool:
        """Whether samples are waiting to be encoded."""
        return bool(self._waiting)

    def encode(self, max_samples: int) -> None:
        """Encode what is waiting, so much of it at most (but one chunk at least)."""
        taken: list[Samples] = []
        while self._waiting and sum(chunk.size for chunk in taken) < max_samples:
            taken.append(self._waiting.popleft())
        if not taken:
            return
        wave = np.concatenate(taken).astype(np.float32) / np.float32(_FULL_SCALE)
        for run, ends in self._cutter.feed(wave):
            self._feed(run)
            if ends:
                self._end()
                self._clips.append(_Clip(self._adapter.audio_encoder()))

    def end(self) -> None:
        """Encode the rest as if the utterance ended here; it may go on all the same."""
        self._end()

    def settle(self) -> None:
        """It is over for good: keep its tokens, and none of the encoders' state, a megabyte for each clip.

        Speech that has not been ended yet is left as it is; and should there be more all the same, it is a
        clip of its own.
        """
        last = self._clips[-1]
        heard = last.samples + self._cutter.held_back.size
        if self._waiting or last.encoder is None or last.ended_at != heard:
            return
        for clip in self._clips:
            clip.encoder = None
        self._cutter = ClipCutter()

    def tokens(self, *, open_end: bool = False) -> list[list[Token]]:
        """The tokens of each clip in the prompt.

        Args:
            open_end: Leave out what depends on the utterance ending where it is.
        """
        return [
            self._clip_tokens(number, clip, open_end and number == len(self._clips) - 1)
            for number, clip in enumerate(self._clips)
        ]

    def soft(self, tokens: Sequence[AudioToken]) -> Tensor:
        """The soft tokens of that name, shape (n, hidden)."""
        clips = {token.clip for token in tokens}
        soft = {number: self._all_soft(self._clips[number]) for number in clips}
        return torch.stack([soft[token.clip][token.place] for token in tokens])

    def _feed(self, run: Waveform) -> None:
        if self._clips[-1].encoder is None:
            self._clips.append(_Clip(self._adapter.audio_encoder()))
        clip = self._clips[-1]
        assert clip.encoder is not None
        clip.samples += run.size
        clip.add(clip.encoder.feed(run))

    def _end(self) -> None:
        clip = self._clips[-1]
        held = self._cutter.held_back
        ended_at = clip.samples + held.size
        if clip.encoder is None or clip.ended_at == ended_at:
            return
        silence = np.zeros(self._adapter.tail_silence_samples, np.float32)
        clip.ending = clip.encoder.fork().finish(np.concatenate([held, silence]))
        clip.ended_at = ended_at

    def _clip_tokens(self, number: int, clip: _Clip, open_end: bool) -> list[Token]:
        tokens: list[Token] = [AudioToken(self.item_id, number, place) for place in range(clip.encoded)]
        if open_end or clip.ending is None:
            return tokens
        total = clip.encoded + clip.ending.shape[0]
        tokens += [
            AudioToken(self.item_id, number, place, clip.ended_at) for place in range(clip.encoded, total)
        ]
        return tokens + [AudioPadding()] * self._adapter.padding(total)

    @staticmethod
    def _all_soft(clip: _Clip) -> Tensor:
        parts = clip.soft if clip.ending is None else [*clip.soft, clip.ending]
        return torch.cat(parts)

"""What is said in a scene, and what its client sees become of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hearsight.streams.events import OUTPUT_RATE_HZ, Samples

SPEECH = 600
"""Amplitude from which a recording counts as having begun."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something heard in the room."""

    at_s: float
    """After its cue."""
    samples: Samples
    """24 kHz."""
    after: str = "audio 1"
    """Its cue: ``start``, or a moment of the answers and its number, as `Seen.moments` has them."""

    @property
    def begins_s(self) -> float:
        """Where it is first loud."""
        loud = np.flatnonzero(np.abs(self.samples.astype(int)) > SPEECH)
        return self.at_s + (int(loud[0]) if loud.size else 0) / OUTPUT_RATE_HZ

    @property
    def ends_s(self) -> float:
        """Where it is last loud."""
        loud = np.flatnonzero(np.abs(self.samples.astype(int)) > SPEECH)
        return self.at_s + (int(loud[-1]) if loud.size else 0) / OUTPUT_RATE_HZ


@dataclass(slots=True)
class Seen:
    """Times are seconds of the client's stream, which begins anywhere."""

    moments: dict[str, float] = field(default_factory=dict)
    """``start``; ``audio 1`` and so on, when a piece of speech was first heard; ``call 1``, when a tool of
    the service began; ``ended 1``, when a response had."""
    statuses: list[str] = field(default_factory=list)
    """Of the responses that have ended."""
    announced: int = 0
    """Responses that have begun."""
    calls: list[str] = field(default_factory=list)
    """The service's own tools that have ended, or were left to themselves."""
    made: list[str] = field(default_factory=list)
    """What the tools of the household have done, in their own words; told by whoever looks after them."""
    speech_started: int = 0
    committed: int = 0
    audio_s: list[float] = field(default_factory=list)
    """When audio came."""
    spoken: dict[str, str] = field(default_factory=dict)
    """Words of the answers, by item."""
    heard: dict[str, str] = field(default_factory=dict)
    """What the service understood, by item."""
    errors: list[str] = field(default_factory=list)
    _audible: set[str] = field(default_factory=set)

    @property
    def interrupted(self) -> bool:
        """Whether an answer was stopped."""
        return "cancelled" in self.statuses

    @property
    def text(self) -> str:
        """All that was answered."""
        return " ".join(self.spoken.values())

    def mark(self, moment: str, now_s: float) -> None:
        """A moment has come; only the first time counts."""
        self.moments.setdefault(moment, now_s)

    def last_audio_s(self, after_s: float, quiet_s: float = 0.25) -> float:
        """When the last audio before a gap came, counted from a moment; 0 where none came after it."""
        last_s = after_s
        for at in self.audio_s:
            if at > last_s + quiet_s:
                break
            last_s = max(last_s, at)
        return last_s - after_s

    def next_audio_s(self, after_s: float) -> float | None:
        """When audio came again, counted from a moment."""
        return next((at - after_s for at in self.audio_s if at >= after_s), None)

    def note(self, event: dict[str, Any], now_s: float) -> None:
        """Take what the service has sent."""
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self.speech_started += 1
            case "input_audio_buffer.committed":
                self.committed += 1
            case "conversation.item.input_audio_transcription.completed":
                self.heard[event["item_id"]] = event["transcript"]
            case "response.created":
                self.announced += 1
            case "response.output_audio.delta":
                self._note_audio(event["item_id"], now_s)
            case "response.output_audio_transcript.delta":
                self.spoken[event["item_id"]] = self.spoken.get(event["item_id"], "") + event["delta"]
            case "response.mcp_call.in_progress":
                self._count("call", now_s)
            case "response.output_item.done" if event["item"]["type"] == "mcp_call":
                self.calls.append(event["item"]["name"])
            case "response.done":
                self.statuses.append(event["response"]["status"])
                self._count("ended", now_s)
            case "error":
                self.errors.append(event["error"]["message"])

    def _note_audio(self, item_id: str, now_s: float) -> None:
        self.audio_s.append(now_s)
        if item_id not in self._audible:
            self._audible.add(item_id)
            self._count("audio", now_s)

    def _count(self, kind: str, now_s: float) -> None:
        number = 1 + sum(moment.startswith(f"{kind} ") for moment in self.moments)
        self.mark(f"{kind} {number}", now_s)

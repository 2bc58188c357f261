"""The bounds and thresholds of a session that its client cannot change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Set by whoever runs the service; all durations in milliseconds of audio unless said otherwise."""

    onset_ms: int = 96
    """Speech that starts an utterance while nothing is being said."""
    barge_in_ms: int = 320
    """Speech that interrupts an answer; less is a backchannel or a noise."""
    lull_ms: int = 32
    """Silence after which what was said is written down and read, in case that was all."""
    speculate_after_ms: int = 96
    """Silence after which the end-of-turn model is asked and thinking may start."""
    speculative: bool = True
    endpoint_threshold: float = 0.5
    """Probability from which the end-of-turn model's answer means "finished"."""
    stall_ms: int = 1_500
    """Time without any audio, in mid-utterance, that counts as its end."""
    max_utterance_ms: int = 60_000
    """A longer utterance is committed in pieces and answered once, at its end."""
    max_buffered_ms: int = 600_000
    """Audio held for a client that ends its utterances itself."""
    min_commit_ms: int = 100
    """The shortest utterance that a client may commit."""
    max_held_events: int = 2_048
    """Events of a speculative answer held back; beyond, the speculation is given up."""
    max_announcements: int = 32
    frames_per_turn: int = 4
    """Pictures that join one turn."""

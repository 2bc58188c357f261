"""The bounds and thresholds of a session that its client cannot change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WakeRules:
    """When a session listens."""

    phrases: tuple[str, ...]
    """What an utterance begins with that wakes it."""
    sleep_phrases: tuple[str, ...] = ("go to sleep",)
    """What puts it to sleep when it is all that is said."""
    sleep_after_s: float = 60.0
    """Seconds after the last turn."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Set by whoever runs the service; all durations in milliseconds of audio unless said otherwise."""

    onset_ms: int = 96
    """Speech that starts an utterance while nothing is being said."""
    barge_in_ms: int = 800
    """Speech that interrupts an answer, whatever it says; less only holds it until its words are known."""
    word_ms: int = 320
    """Speech that interrupts an answer if its words cannot be had in time."""
    words_ms: int = 800
    """Time that its words are waited for."""
    doubt_ms: int = 3_000
    """Time for which an answer may be held, all in all."""
    remark_before_ms: int = 700
    """A "yes" over an answer is a mere remark while at least this much of the answer has not been heard."""
    lead_ms: int = 500
    """Audio that is sent ahead of its playback to a client whose microphone is open."""
    live_ms: int = 500
    """Time since the last audio of a microphone that is open."""
    lull_ms: int = 32
    """Silence after which what was said is written down and read, in case that was all."""
    speculate_after_ms: int = 96
    """Silence after which the end-of-turn model is asked and thinking may start."""
    speculative: bool = True
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
    wake: WakeRules | None = None
    """None: it always listens."""

"""What an operator can watch: Prometheus metrics of the server, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hearsight.streams.events import (
    AudioDelta,
    Dropped,
    Output,
    Refused,
    ResponseEnded,
    Speculated,
    SpeechDismissed,
    SpeechStopped,
    TextDelta,
)

LATENCY_BUCKETS_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class Metrics:
    """All metrics, by what they count.

    Args:
        registry: Where they are kept; a new one by default, so that two servers in one process do not clash.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        self.sessions = Gauge("hearsight_sessions", "Sessions alive, attached or waiting.", registry=r)
        self.connections = Gauge("hearsight_connections", "Open WebSocket connections.", registry=r)
        self.sessions_opened = Counter(
            "hearsight_sessions_opened", "Sessions begun.", ["protocol"], registry=r
        )
        self.sessions_resumed = Counter(
            "hearsight_sessions_resumed", "Times that a client came back to its session.", registry=r
        )
        self.refused = Counter(
            "hearsight_connections_refused", "Connections refused, by HTTP status.", ["status"], registry=r
        )
        self.closed = Counter(
            "hearsight_connections_closed", "Connections closed, by close code.", ["code"], registry=r
        )
        self.events_in = Counter("hearsight_events_received", "Messages from clients.", registry=r)
        self.events_out = Counter("hearsight_events_sent", "Messages to clients.", registry=r)
        self.bytes_in = Counter("hearsight_received_bytes", "Payload from clients.", registry=r)
        self.bytes_out = Counter("hearsight_sent_bytes", "Payload to clients.", registry=r)
        self.errors = Counter("hearsight_errors", "Errors told to clients, by code.", ["code"], registry=r)
        self.drops = Counter("hearsight_dropped", "Media dropped, by kind.", ["what"], registry=r)
        self.responses = Counter("hearsight_responses", "Answers ended, by outcome.", ["status"], registry=r)
        self.speculations = Counter(
            "hearsight_speculations",
            "Answers begun before the turn was over, by what became of them: used or wasted.",
            ["outcome"],
            registry=r,
        )
        self.dismissed = Counter(
            "hearsight_speech_dismissed",
            "Speech over an answer that did not interrupt it, by reason.",
            ["reason"],
            registry=r,
        )
        self.overload_rung = Gauge(
            "hearsight_overload_rung",
            "Given up for overload: 0 nothing, 1 frames, 2 size of pictures, 3 history, 4 new sessions.",
            registry=r,
        )
        self.overload_changes = Counter(
            "hearsight_overload_changes",
            "Changes of that rung, by the new one and the direction.",
            ["rung", "direction"],
            registry=r,
        )
        self.overload_refused = Counter(
            "hearsight_overload_refused", "New sessions refused because of overload.", registry=r
        )
        self.turn_latency = Histogram(
            "hearsight_turn_latency_seconds",
            "From the end of the user's turn to the first words or sound of the answer.",
            ["stage"],
            buckets=LATENCY_BUCKETS_S,
            registry=r,
        )

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)


class TurnClock:
    """Counts one session's outputs and times its turns.

    Args:
        metrics: Where to.
        clock: Seconds.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._turn_ended_s: float | None = None
        self._waiting_for: set[str] = set()

    def observe(self, output: Output) -> None:
        """Take note of one output."""
        match output:
            case SpeechStopped():
                self._turn_ended_s = self._clock()
                self._waiting_for = {"first_text", "first_audio"}
            case TextDelta():
                self._reached("first_text")
            case AudioDelta():
                self._reached("first_audio")
            case ResponseEnded():
                self._metrics.responses.labels(output.status).inc()
                self._waiting_for.clear()
            case Refused():
                self._metrics.errors.labels(output.code).inc()
            case Speculated():
                self._metrics.speculations.labels("used" if output.used else "wasted").inc()
            case SpeechDismissed():
                self._metrics.dismissed.labels(output.reason).inc()
            case Dropped():
                self._metrics.drops.labels(output.what).inc(output.count)
            case _:
                pass

    def _reached(self, stage: str) -> None:
        if stage in self._waiting_for and self._turn_ended_s is not None:
            self._waiting_for.discard(stage)
            self._metrics.turn_latency.labels(stage).observe(self._clock() - self._turn_ended_s)

"""What an operator can watch: Prometheus metrics of the server, in a registry of their own."""

from __future__ import annotations

from typing import Final, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from hearsight.streams.events import Status

LATENCY_BUCKETS_S: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
STAGE_BUCKETS_S: Final = (0.005, 0.01, 0.025, *LATENCY_BUCKETS_S)
LAG_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
TOKEN_BUCKETS: Final = (0, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768)

TOKEN_KINDS: Final = ("text_in", "audio_in", "picture_in", "text_out", "audio_out")

MAX_TOOLS: Final = 100
"""Tools that are counted by name; what comes after them is counted together."""
OTHER_TOOLS: Final = "(other)"


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
        self._watch_stages()
        self._watch_process()
        self._begin_at_zero()

    def _watch_stages(self) -> None:
        r = self.registry
        self.ttft = Histogram(
            "hearsight_ttft_seconds",
            "Time to first token: from the user's last word to the first words of the answer.",
            buckets=LATENCY_BUCKETS_S,
            registry=r,
        )
        self.ttfa = Histogram(
            "hearsight_ttfa_seconds",
            "Time to first audio: from the user's last word to the first sound of the answer.",
            buckets=LATENCY_BUCKETS_S,
            registry=r,
        )
        self.stages = Histogram(
            "hearsight_stage_seconds",
            "What each stage of a turn takes, and how it ended: ok, failed or cancelled.",
            ["stage", "outcome"],
            buckets=STAGE_BUCKETS_S,
            registry=r,
        )
        self.prefill_backlog = Histogram(
            "hearsight_prefill_backlog_tokens",
            "Tokens of the prompt that the model had yet to read when it was asked for an answer.",
            buckets=TOKEN_BUCKETS,
            registry=r,
        )
        self.speculation_wasted_s = Counter(
            "hearsight_speculation_wasted_seconds",
            "Time spent on answers begun before the turn was over, and thrown away.",
            registry=r,
        )
        self.tokens = Counter("hearsight_tokens", "Tokens of the answers, by kind.", ["kind"], registry=r)
        self.cached_tokens = Counter(
            "hearsight_cached_tokens", "Tokens of prompts that needed no prefill.", registry=r
        )
        self.tool_calls = Counter(
            "hearsight_tool_calls", "Calls of tools, by name and outcome.", ["tool", "outcome"], registry=r
        )
        self._tools: set[str] = set()

    def _watch_process(self) -> None:
        self.ready = Gauge("hearsight_ready", "1 while new sessions are taken.", registry=self.registry)
        self.loop_lag = Histogram(
            "hearsight_event_loop_lag_seconds",
            "By how much the event loop was late.",
            buckets=LAG_BUCKETS_S,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)  # memory, CPU time, open files
        PlatformCollector(registry=self.registry)  # the version of Python

    def _begin_at_zero(self) -> None:
        """Show what has not happened yet: a rate can be told only of what was there before."""
        for status in get_args(Status):
            self.responses.labels(status)
        for outcome in ("used", "wasted"):
            self.speculations.labels(outcome)
        for kind in TOKEN_KINDS:
            self.tokens.labels(kind)

    def count_tool_call(self, tool: str, outcome: str) -> None:
        """Count a call; only so many tools have a name here, however many there are."""
        if len(self._tools) < MAX_TOOLS:
            self._tools.add(tool)
        self.tool_calls.labels(tool if tool in self._tools else OTHER_TOOLS, outcome).inc()

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

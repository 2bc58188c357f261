"""Settings of the conversation: its turns, its context, who answers and with which tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from hearsight.config.engines import MAX_CONTEXT_TOKENS
from hearsight.config.fields import Names, Section, UserPath
from hearsight.config.mcp import McpServerSettings, check_servers

INSTRUCTIONS = """\
You are Hearsight, a voice assistant. The user speaks to you, and what you write is read aloud to them, so \
answer as people talk: one to three short sentences, plain words, no lists, no markup, no emoji, no links. \
Write numbers, times and units the way they are said. You may also be shown pictures from the user's camera: \
say what you see only when it helps to answer. Use a tool when it gives a better answer than you can from \
memory, and never pretend to have used one. When you do not know, or cannot hear or see well enough, say so \
and ask one short question."""

ToolName = Literal[
    "get_time",
    "get_date",
    "calculate",
    "set_timer",
    "list_timers",
    "cancel_timer",
    "look",
    "read_text",
    "watch",
    "stop_watching",
    "remember",
    "recall",
]
"""The built-in tools."""

ALL_TOOLS: tuple[ToolName, ...] = (
    "get_time",
    "get_date",
    "calculate",
    "set_timer",
    "list_timers",
    "cancel_timer",
    "look",
    "read_text",
    "watch",
    "stop_watching",
    "remember",
    "recall",
)


MIN_PHRASE_LETTERS = 4
"""Of a wake phrase: shorter ones are heard everywhere."""


class TurnSettings(Section):
    """When the user's turn begins and ends."""

    vad_threshold: float = Field(
        0.5, gt=0, lt=1, description="Speech probability from which 32 ms of audio count as speech."
    )
    onset_ms: int = Field(96, ge=32, le=2000, description="Speech that starts an utterance, in milliseconds.")
    prefix_padding_ms: int = Field(
        300,
        ge=0,
        le=5000,
        description="Audio kept from before the onset, in milliseconds.",
    )
    short_silence_ms: int = Field(
        300, ge=32, le=10_000, description="Silence that ends a turn which sounds finished, in milliseconds."
    )
    long_silence_ms: int = Field(
        800, ge=32, le=30_000, description="Silence that ends a turn which does not, in milliseconds."
    )
    speculate_after_ms: int = Field(
        96, ge=32, le=10_000, description="Silence after which thinking starts on trial, in milliseconds."
    )
    speculative: bool = Field(True, description="Start to think before it is sure that the turn is over.")
    barge_in_ms: int = Field(
        800,
        ge=32,
        le=5000,
        description="Speech of the user that stops the answer, whatever it says, in milliseconds. Less holds "
        "the answer until its words are known, and stops it if they are more than a remark such as 'mhm'.",
    )
    lead_ms: int = Field(
        500,
        ge=100,
        le=5000,
        description="Audio sent ahead of its playback to a client whose microphone is open, in milliseconds: "
        "what a bad network needs, and what is still heard after the answer was held.",
    )
    echo_guard: bool = Field(
        True,
        description="Do not take the service's own voice, heard again from an open speaker, for the user's.",
    )
    stall_ms: int = Field(
        1500,
        ge=100,
        le=60_000,
        description="Milliseconds without any audio from the client after which an open utterance is ended.",
    )
    endpoint_threshold: float = Field(
        0.9,
        gt=0,
        lt=1,
        description="Probability of the end-of-turn model from which the turn is over.",
    )

    @model_validator(mode="after")
    def _silences_in_order(self) -> TurnSettings:
        if not self.speculate_after_ms <= self.short_silence_ms <= self.long_silence_ms:
            raise PydanticCustomError(
                "contradiction",
                "turn.speculate_after_ms, turn.short_silence_ms and turn.long_silence_ms must not decrease "
                "in this order",
                {"keys": ["turn.speculate_after_ms", "turn.short_silence_ms", "turn.long_silence_ms"]},
            )
        return self


def _sayable(phrases: tuple[str, ...]) -> tuple[str, ...]:
    for phrase in phrases:
        if sum(character.isalpha() for character in phrase) < MIN_PHRASE_LETTERS:
            raise ValueError(
                f"{phrase!r} is too short to be told from other words: use at least "
                f"{MIN_PHRASE_LETTERS} letters, better two words such as 'hey computer'"
            )
    return phrases


Phrases = Annotated[Names[str], AfterValidator(_sayable)]


class WakeSettings(Section):
    """A phrase that wakes the service; without one it always listens."""

    phrases: Phrases = Field(
        (),
        description="What an utterance must begin with while a session is asleep, such as `hey computer`; "
        "none: sessions never sleep.",
    )
    sleep_phrases: Phrases = Field(
        ("go to sleep",), description="What puts a session to sleep when it is all that is said."
    )
    sleep_after_s: float = Field(
        60, ge=5, le=86_400, description="Seconds after the last turn until a session falls asleep."
    )


class ContextSettings(Section):
    """How much of the conversation the model sees."""

    max_tokens: int = Field(
        MAX_CONTEXT_TOKENS,
        ge=1024,
        le=MAX_CONTEXT_TOKENS,
        description="Tokens of the context, the answer included.",
    )
    reserve_tokens: int = Field(1024, ge=64, description="Tokens of the context kept free for the answer.")

    @model_validator(mode="after")
    def _room_for_the_question(self) -> ContextSettings:
        if self.reserve_tokens > self.max_tokens // 2:
            raise PydanticCustomError(
                "contradiction",
                "context.reserve_tokens must be at most half of context.max_tokens",
                {"keys": ["context.reserve_tokens", "context.max_tokens"]},
            )
        return self


class WatchSettings(Section):
    """What a session may spend on watching for something."""

    look_every_s: float = Field(
        3, ge=0.5, le=3600, description="Least seconds between two looks; only what changed is looked at."
    )
    max_looks: int = Field(200, ge=1, le=100_000, description="Looks that one watch may take.")
    max_minutes: float = Field(30, gt=0, le=1440, description="Minutes after which a watch ends.")
    reports_per_minute: int = Field(
        4, ge=1, le=60, description="Times a minute that a session's watches may speak up, all together."
    )


class AssistantSettings(Section):
    """Who answers, and how."""

    instructions: str = Field(INSTRUCTIONS, description="System prompt of a session that brings none.")
    language: str = Field(
        "en",
        pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
        description="Language spoken, as a BCP 47 tag such as `en` or `de`.",
    )
    voice: str = Field("default", min_length=1, description="Name of the voice that answers.")
    speed: float = Field(
        1.0, ge=0.25, le=4.0, description="Speaking speed, as a multiple of the voice's own."
    )
    max_output_tokens: int = Field(512, ge=1, description="Longest answer, in tokens.")
    max_tool_rounds: int = Field(
        4, ge=0, le=64, description="Rounds of tool calls in one turn; then the model must answer."
    )


class ToolSettings(Section):
    """The built-in tools, and servers that bring more."""

    enabled: Names[ToolName] = Field(ALL_TOOLS, description="Built-in tools that the model may call.")
    timeout_s: float = Field(20, gt=0, le=3600, description="Seconds that a tool may run.")
    filler_after_s: float = Field(
        1.5,
        gt=0,
        le=60,
        description="Seconds that a tool may take before the user is told that it takes a moment.",
    )
    memory_path: UserPath = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("hearsight")) / "memory.sqlite",
        description="File that holds what `remember` was told.",
    )
    mcp: Mapping[str, McpServerSettings] = Field(
        {}, description="MCP servers whose tools the model may call, each a table of its own."
    )

    @model_validator(mode="after")
    def _one_way_to_each_server(self) -> ToolSettings:
        check_servers(self.mcp)
        return self

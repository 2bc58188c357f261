"""What an engine is: something that hears, sees and writes, one *conversation* per session.

The agent holds the conversation as messages and asks for each answer with all of them. An engine keeps the
work done on a prefix of those messages (encoded media, KV cache) and reuses it as far as the next request
agrees with it; rolling back an answer is therefore nothing but asking with other messages.

Messages are LangChain messages. A ``HumanMessage`` holds content blocks:

- ``{"type": "text", "text": …}``;
- ``{"type": "audio", "file_id": item id, "samples": n at 16 kHz, "transcript": … or None}``;
- ``{"type": "image", "file_id": picture key, "caption": … or None}``.

An ``AIMessage`` holds plain text and at most one tool call, which a ``ToolMessage`` answers. One that the
user cut off carries ``response_metadata["interrupted"]``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from langchain_core.messages import BaseMessage

from hearsight.streams.events import Detail, Picture, Samples
from hearsight.tools.calls import ToolSpec


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine takes in as it is; the agent turns the rest into text first."""

    audio: bool
    """Speech goes into the model itself: an answer does not wait for a transcript."""
    pictures: bool
    """Pictures go into the model itself: an answer does not wait for captions."""


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """One round of generation."""

    messages: tuple[BaseMessage, ...]
    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``none``, ``required``, or the name of the tool to call."""
    max_tokens: int = 512
    temperature: float | None = None
    """None takes the engine's own."""


@dataclass(frozen=True, slots=True)
class GenerationEnd:
    """The last thing that a generation yields."""

    reason: Literal["stop", "length"]
    """``length`` when ``max_tokens`` cut the text."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt's, how many needed no prefill."""
    output_tokens: int = 0


Delta: TypeAlias = str | GenerationEnd
"""Text as decoded, then the end."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """What was said in an utterance."""

    text: str
    duration_s: float


class TokenCounter(Protocol):
    """How many tokens things take in an engine's own prompt, wrappers included."""

    def wrapper(self, message: BaseMessage) -> int:
        """Tokens of a message besides its contents: its role, its end, its call, notes about it."""
        ...

    def text(self, text: str) -> int:
        """Tokens of a piece of text."""
        ...

    def audio(self, samples: int, transcript: str | None) -> int:
        """Tokens of an utterance of so many samples at 16 kHz."""
        ...

    def picture(self, caption: str | None) -> int:
        """Tokens of a picture."""
        ...

    def system(self, instructions: str) -> int:
        """Tokens of the instructions and of all that stands around the conversation."""
        ...

    def tools(self, tools: Sequence[ToolSpec]) -> int:
        """Tokens of the tools' descriptions."""
        ...


class Conversation(Protocol):
    """An engine's side of one session.

    ``hear``, ``see``, ``foresee`` and ``forget`` return at once; what they start goes on in the background.
    """

    @property
    def counter(self) -> TokenCounter:
        """Counts as this conversation's prompts are built."""
        ...

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance, 16 kHz: encode it while the rest is being said."""
        ...

    def see(self, picture: Picture, *, in_depth: bool = False) -> None:
        """A picture that messages will name by its key: encode it now.

        Args:
            picture: The picture.
            in_depth: There is time to see all that is in it; otherwise an answer waits for it.
        """
        ...

    def foresee(self, pictures: Sequence[Picture]) -> None:
        """Pictures that most likely come before the user's next words: encode them while nobody speaks.

        Args:
            pictures: Oldest first; they replace those foreseen before.
        """
        ...

    def forget(self, file_id: str) -> None:
        """Drop an utterance (by item id) or a picture (by key)."""
        ...

    async def transcribe(self, item_id: str) -> Transcription:
        """What was said in an utterance, all of which has been heard.

        Raises:
            EngineError: The transcript could not be made.
        """
        ...

    async def caption(self, file_id: str) -> str:
        """What a picture shows, in a line short enough to stay in the conversation.

        Raises:
            EngineError: The picture is gone or could not be looked at.
        """
        ...

    async def overhear(self, item_id: str) -> str | None:
        """What was said so far in an utterance that goes on, for reading ahead.

        Returns:
            The text, the last word of which may be cut off; None where finding out would keep others waiting,
            or where the engine hears for itself.

        Raises:
            EngineError: It could not be found out.
        """
        ...

    async def prefill(self, request: GenerateRequest, *, unfinished: bool = False) -> None:
        """Warm the cache with all of a request but its answer, which may be asked for at any moment.

        Args:
            request: The conversation so far.
            unfinished: Its last message is still being spoken.

        Raises:
            EngineError: The model failed.
        """
        ...

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """Write the next message; closing the iterator stops the model within a token.

        Raises:
            EngineError: The model failed.
        """
        ...

    async def describe(self, picture: Picture, question: str, detail: Detail) -> str:
        """Look at a picture with a question in mind.

        Raises:
            EngineError: The picture could not be looked at.
        """
        ...

    async def read_text(self, picture: Picture) -> str:
        """The text in a picture, line by line; empty when there is none.

        Raises:
            EngineError: The picture could not be looked at.
        """
        ...

    async def aclose(self) -> None:
        """Stop what goes on and free what is held."""
        ...


class Engine(Protocol):
    """One per process; shared by its sessions."""

    @property
    def name(self) -> str:
        """As the settings call it."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What goes into the model as it is."""
        ...

    @property
    def context_limit(self) -> int:
        """Tokens that a prompt and its answer may have together."""
        ...

    def open(self, session_id: str) -> Conversation:
        """A session's own conversation."""
        ...

    async def warm_up(self, request: GenerateRequest) -> None:
        """Get ready for sessions that begin like this, before the first of them asks.

        Raises:
            EngineError: The model failed.
        """
        ...

    async def aclose(self) -> None:
        """Free the models."""
        ...

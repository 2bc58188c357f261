"""One session of the embedded engine: its ears, its eyes, and the prompt of its language model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage

from hearsight.agent.ledger import PICTURE_TOKENS, audio_tokens
from hearsight.agent.media import MediaStore
from hearsight.agent.models.base import Delta, GenerateRequest, Transcription
from hearsight.agent.models.embedded.continuation import GREEDY, Sampling
from hearsight.agent.models.embedded.grammar import call_grammar
from hearsight.agent.models.embedded.hearing import Ear, Hearing
from hearsight.agent.models.embedded.openings import Opening
from hearsight.agent.models.embedded.prompt import (
    camera_line,
    context_pieces,
    head,
    quoted,
    render,
    wrapper_pieces,
)
from hearsight.agent.models.embedded.seeing import Eye, Seeing
from hearsight.agent.models.embedded.tokens import Prompt
from hearsight.agent.router import Router, ToolCallText
from hearsight.streams.events import Detail, Picture, Samples
from hearsight.tools.calls import ToolSpec
from hearsight.tools.signature import positional_names

MAX_PICTURE_BYTES = 16 * 1024 * 1024
"""Of the pictures that one session holds, for whoever asks to have their text read later."""


class Writer(Protocol):
    """Writes on from a prompt; `LanguageModel` does."""

    def count_tokens(self, prompt: Prompt | str) -> int:
        """Tokens of a prompt."""
        ...

    def generate(
        self,
        prompt: Prompt | str,
        *,
        session_id: str,
        max_tokens: int,
        sampling: Sampling = ...,
        grammar: str | None = ...,
        opening: Opening = ...,
        until: Callable[[str], bool] = ...,
    ) -> AsyncGenerator[Delta]:
        """Go on with a prompt."""
        ...

    async def warm(self, prompt: Prompt | str, *, session_id: str, sampling: Sampling = ...) -> None:
        """Read a prompt in advance."""
        ...

    def forget(self, session_id: str) -> None:
        """A session has ended."""
        ...


class PromptCounter:
    """Counts as prompts are built, piece by piece; speech and pictures at what they are worth to Gemma 3n."""

    def __init__(self, writer: Writer, standing: str = "") -> None:
        self._writer = writer
        self._standing = standing

    def wrapper(self, message: BaseMessage) -> int:
        """Tokens of a message besides its contents."""
        tokens = self._writer.count_tokens(wrapper_pieces(message))
        if isinstance(message, ToolMessage):
            result = message.text
            tokens += self._writer.count_tokens(quoted(result)) - self._writer.count_tokens(result)
        return tokens

    def text(self, text: str) -> int:
        """Tokens of a piece of text."""
        return self._writer.count_tokens(text)

    def audio(self, samples: int, transcript: str | None) -> int:
        """As much as the speech is worth to a model that hears, or its transcript where that is longer.

        The language model reads only the transcript; but a conversation has the same length, and is cut at
        the same place, whichever engine holds it.
        """
        return max(audio_tokens(samples), self._writer.count_tokens(transcript or ""))

    def picture(self, caption: str | None) -> int:
        """Likewise: as much as a picture is worth to a model that sees, or what was recognised in it."""
        return max(PICTURE_TOKENS, self._writer.count_tokens(camera_line(caption)))

    def system(self, instructions: str) -> int:
        """Tokens of the instructions, and of where the answer begins."""
        return self._writer.count_tokens(render(GenerateRequest((), instructions), self._standing))

    def tools(self, tools: Sequence[ToolSpec]) -> int:
        """Tokens of the tools' signatures and examples: what they add to a head without tools."""
        # As in a session with instructions of its own, which is told again how to call; one without them is
        # counted about a hundred tokens high.
        own = f"{self._standing} …"
        without = self._writer.count_tokens(head(own, (), self._standing))
        return self._writer.count_tokens(head(own, tools, self._standing)) - without


class EmbeddedConversation:
    """Implements ``hearsight.agent.models.base.Conversation``.

    Args:
        session_id: Whose KV cache is used.
        writer: The language model.
        ear: Speech to text.
        eye: What looks at pictures.
        sampling: How the language model chooses its words.
        reads: Whether text in pictures is read.
        standing: Instructions of the sessions that bring none.
    """

    def __init__(
        self,
        session_id: str,
        writer: Writer,
        ear: Ear,
        eye: Eye,
        *,
        sampling: Sampling = GREEDY,
        reads: bool = True,
        standing: str = "",
    ) -> None:
        self._standing = standing
        self._session_id = session_id
        self._writer = writer
        self._sampling = sampling
        self._hearing = Hearing(ear)
        self._seeing = Seeing(eye, MediaStore(MAX_PICTURE_BYTES), reads=reads)
        # One at a time: a second prompt of the same session would be read from its start in another slot.
        self._writing = asyncio.Lock()

    @property
    def counter(self) -> PromptCounter:
        """Counts as this conversation's prompts are built."""
        return PromptCounter(self._writer, self._standing)

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance, 16 kHz; long ones are written down while they are being spoken."""
        self._hearing.hear(item_id, samples)

    def see(self, picture: Picture, *, in_depth: bool = False) -> None:
        """Begin to look at a picture; the text in it takes longest, and is read where there is time."""
        self._seeing.see(picture, read=in_depth)

    def foresee(self, pictures: Sequence[Picture]) -> None:
        """Look at pictures ahead, their text included: the cores have nothing better to do."""
        for picture in pictures:
            self._seeing.see(picture, read=True)

    def forget(self, file_id: str) -> None:
        """Drop an utterance."""
        self._hearing.forget(file_id)

    async def transcribe(self, item_id: str) -> Transcription:
        """What was said in what was heard so far.

        Raises:
            EngineError: Nothing was heard under this id, or speech to text failed.
        """
        return await self._hearing.transcribe(item_id)

    async def caption(self, file_id: str) -> str:
        """What was recognised in a picture, on one line.

        Raises:
            EngineError: The picture is gone, or could not be looked at.
        """
        return await self._seeing.caption(file_id)

    async def overhear(self, item_id: str) -> str | None:
        """What was said so far in an utterance that goes on; None while the ear is wanted elsewhere.

        Raises:
            EngineError: Speech to text failed.
        """
        return await self._hearing.overhear(item_id)

    async def prefill(self, request: GenerateRequest, *, unfinished: bool = False) -> None:
        """Read the conversation so far into the KV cache, up to where it may go on differently.

        Raises:
            EngineError: The language model failed.
        """
        spoken = request.messages and isinstance(request.messages[-1], HumanMessage)
        build = render if spoken and not unfinished else context_pieces
        prompt = build(request, self._standing)
        async with self._writing:
            await self._writer.warm(prompt, session_id=self._session_id, sampling=self._sampling)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """Write the next message.

        Raises:
            EngineError: The language model failed.
        """
        sampling = self._sampling
        if request.temperature is not None:
            sampling = Sampling(request.temperature)
        # Where no call may be made, one that is written all the same is neither completed nor the end.
        callable_tools = request.tools if request.tool_choice != "none" else ()
        async with self._writing:
            deltas = self._writer.generate(
                render(request, self._standing),
                session_id=self._session_id,
                max_tokens=request.max_tokens,
                sampling=sampling,
                grammar=_grammar(request),
                opening=Opening(callable_tools),
                until=CallEnd(callable_tools),
            )
            async with aclosing(deltas):
                async for delta in deltas:
                    yield delta

    async def describe(self, picture: Picture, question: str, detail: Detail) -> str:
        """All that can be recognised; the language model, which knows the question, picks from it.

        Raises:
            EngineError: The picture could not be looked at.
        """
        return await self._seeing.describe(picture)

    async def read_text(self, picture: Picture) -> str:
        """The text in a picture, line by line; empty when there is none.

        Raises:
            EngineError: It could not be read.
        """
        return await self._seeing.read_text(picture)

    async def aclose(self) -> None:
        """Stop what goes on and free what is held."""
        await self._hearing.aclose()
        await self._seeing.aclose()
        self._writer.forget(self._session_id)


class CallEnd:
    """Tells when a call is complete: an answer holds one, and what ends it need not be waited for."""

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self._router = Router(positional_names(tools))

    def __call__(self, text: str) -> bool:
        """Whether a call ends in this text, which follows that of the earlier calls."""
        return any(isinstance(event, ToolCallText) for event in self._router.feed(text))


def _grammar(request: GenerateRequest) -> str | None:
    """Where a call is demanded, a grammar that allows nothing else."""
    if request.tool_choice in ("auto", "none"):
        return None
    named = [tool for tool in request.tools if tool.name == request.tool_choice]
    allowed = named or list(request.tools)
    return call_grammar(allowed) if allowed else None

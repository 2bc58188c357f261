"""An engine that follows a `Script`: deterministic, instant, and strict about steps left over.

For tests and demonstrations.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage

from hearsight.agent.models.base import Capabilities, Delta, GenerateRequest, GenerationEnd, Transcription
from hearsight.agent.models.script import Script, Step
from hearsight.streams.errors import EngineError
from hearsight.streams.events import INPUT_RATE_HZ, Detail, Picture, Samples
from hearsight.tools.calls import ToolSpec

if TYPE_CHECKING:
    from hearsight.agent.models.embedded.hearing import Hearing
    from hearsight.agent.models.embedded.speech_to_text import SpeechToText

TEXT_ONLY = Capabilities(audio=False, pictures=False)
_TOKEN = re.compile(r"\s*\w{1,4}|\s*[^\w\s]|\s+")


def split_tokens(text: str) -> list[str]:
    """Text in pieces of up to four letters: ``"".join(split_tokens(text)) == text``."""
    return _TOKEN.findall(text)


def python_call(name: str, arguments: dict[str, Any]) -> str:
    """A call as a model writes it: ``set_timer(seconds=600)``."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


class ScriptedCounter:
    """Counts the pieces of `split_tokens`, and media as Gemma 3n does."""

    MESSAGE_TOKENS = 4
    """Around each message."""

    def wrapper(self, message: BaseMessage) -> int:
        """Four, and the pieces of the call."""
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        return self.MESSAGE_TOKENS + sum(self.text(python_call(call["name"], call["args"])) for call in calls)

    def text(self, text: str) -> int:
        """Pieces of a text."""
        return len(split_tokens(text))

    def audio(self, samples: int, transcript: str | None) -> int:
        """One per 160 ms begun, and two around them."""
        return 2 + -(-samples // (INPUT_RATE_HZ * 16 // 100))

    def picture(self, caption: str | None) -> int:
        """As many as Gemma 3n makes, and two around them."""
        return 258

    def system(self, instructions: str) -> int:
        """Pieces of the instructions."""
        return self.MESSAGE_TOKENS + self.text(instructions)

    def tools(self, tools: Sequence[ToolSpec]) -> int:
        """Pieces of names, descriptions and schemas."""
        return sum(
            self.text(f"{tool.name} {tool.description} {json.dumps(tool.parameters)}") for tool in tools
        )


@dataclass
class ScriptedConversation:
    """One session of a scripted engine.

    Attributes:
        requests: Every request for an answer, in order.
        prefilled: Every request that was announced.
        heard: Samples at 16 kHz by item.
        seen: Keys of pictures, in order.
        foreseen: Keys of the pictures that would have been seen last.
    """

    engine: ScriptedEngine
    requests: list[GenerateRequest] = field(default_factory=list)
    prefilled: list[GenerateRequest] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    closed: bool = False
    active: int = 0
    """Generations that have begun and not ended."""
    foreseen: list[str] = field(default_factory=list)
    hearing: Hearing | None = None
    """Writes speech down, where the script does not."""
    _transcripts: dict[str, str] = field(default_factory=dict)
    _captions: dict[str, str] = field(default_factory=dict)

    @property
    def counter(self) -> ScriptedCounter:
        """See ``Conversation``."""
        return ScriptedCounter()

    def hear(self, item_id: str, samples: Samples) -> None:
        """Note how much was heard."""
        self.heard[item_id] = self.heard.get(item_id, 0) + samples.size
        self._transcripts.pop(item_id, None)
        if self.hearing is not None:
            self.hearing.hear(item_id, samples)

    def see(self, picture: Picture, *, in_depth: bool = False) -> None:
        """Note what was seen."""
        self.seen.append(picture.key)

    def foresee(self, pictures: Sequence[Picture]) -> None:
        """Note what would be seen."""
        self.foreseen = [picture.key for picture in pictures]

    def forget(self, file_id: str) -> None:
        """Drop an utterance or a picture."""
        self.heard.pop(file_id, None)
        self._transcripts.pop(file_id, None)
        self._captions.pop(file_id, None)
        if self.hearing is not None:
            self.hearing.forget(file_id)

    async def transcribe(self, item_id: str) -> Transcription:
        """What was said, or the script's next transcript; asked again about the same audio, the same one."""
        if self.hearing is not None:
            return await self.hearing.transcribe(item_id)
        await asyncio.sleep(0)
        if item_id not in self._transcripts:
            self._transcripts[item_id] = self.engine.next_transcript()
        return Transcription(self._transcripts[item_id], self.heard.get(item_id, 0) / INPUT_RATE_HZ)

    async def caption(self, file_id: str) -> str:
        """The script's next caption; asked again about the same picture, the same one."""
        await asyncio.sleep(0)
        if file_id not in self._captions:
            self._captions[file_id] = self.engine.next_caption()
        return self._captions[file_id]

    async def overhear(self, item_id: str) -> str | None:
        """The script has no half sentences."""
        return None

    async def prefill(self, request: GenerateRequest, *, unfinished: bool = False) -> None:
        """Note the request."""
        self.prefilled.append(request)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """Follow the next step, one token per turn of the event loop."""
        self.requests.append(request)
        step = self.engine.next_step(request.messages)
        tokens = self.engine.tokens_of(step)
        self.active += 1
        try:
            for number, token in enumerate(tokens):
                await asyncio.sleep(0)
                if number >= request.max_tokens:
                    yield GenerationEnd("length", output_tokens=number)
                    return
                yield token
            if step.hang is not None:
                await asyncio.Event().wait()
            yield GenerationEnd("stop", output_tokens=len(tokens))
        finally:
            self.active -= 1

    async def describe(self, picture: Picture, question: str, detail: Detail) -> str:
        """The picture's caption."""
        return await self.caption(picture.key)

    async def read_text(self, picture: Picture) -> str:
        """The picture's caption."""
        return await self.caption(picture.key)

    async def aclose(self) -> None:
        """Note that the session is over."""
        self.closed = True
        if self.hearing is not None:
            await self.hearing.aclose()


class ScriptedEngine:
    """Follows a script, shared by all its sessions.

    Args:
        script: The script, or just its steps.
        capabilities: What it claims to take in as it is.
        tokenize: How texts are split.
        ear: Writes down what is said, for a script that ``hears``; closed with the engine.

    Attributes:
        conversations: Those that were opened, in order.
    """

    name = "scripted"

    def __init__(
        self,
        script: Script | Iterable[Step] = (),
        *,
        capabilities: Capabilities = TEXT_ONLY,
        tokenize: Callable[[str], list[str]] = split_tokens,
        ear: SpeechToText | None = None,
    ) -> None:
        script = script if isinstance(script, Script) else Script(steps=tuple(script))
        self.capabilities = capabilities
        self.context_limit = script.context_limit
        self.conversations: list[ScriptedConversation] = []
        self.warmed: list[GenerateRequest] = []
        self.closed = False
        self._tokenize = tokenize
        self._ear = ear
        self._replies = script.replies
        self._steps = deque(script.steps)
        self._transcripts = deque(script.transcripts)
        self._captions = deque(script.captions)

    async def warm_up(self, request: GenerateRequest) -> None:
        """Nothing has to be read in advance; what was asked for is kept in ``warmed``."""
        self.warmed.append(request)

    def open(self, session_id: str) -> ScriptedConversation:
        """A session's own conversation."""
        self.conversations.append(ScriptedConversation(self))
        if self._ear is not None:
            from hearsight.agent.models.embedded.hearing import Hearing

            self.conversations[-1].hearing = Hearing(self._ear)
        return self.conversations[-1]

    async def aclose(self) -> None:
        """Note that the engine is done with."""
        self.closed = True
        if self._ear is not None:
            await self._ear.aclose()

    @property
    def unused(self) -> tuple[Step, ...]:
        """Steps that nobody has asked for."""
        return tuple(self._steps)

    def expect_used(self) -> None:
        """Insist that the script was followed to its end.

        Raises:
            AssertionError: Steps are left over.
        """
        if self._steps:
            raise AssertionError(f"{len(self._steps)} steps of the script were not used: {list(self._steps)}")

    def next_step(self, messages: Sequence[BaseMessage] = ()) -> Step:
        """The reply to these messages, or else the next step.

        Raises:
            EngineError: There is none.
        """
        step: Step | None = next((reply for reply in self._replies if reply.fits(messages)), None)
        if step is None and not self._steps:
            raise EngineError("The script has no more answers.", code="script_exhausted")
        return step or self._steps.popleft()

    def tokens_of(self, step: Step) -> list[str]:
        """The tokens that a step writes.

        Raises:
            EngineError: The step is an error.
            MemoryError: It is that crash.
            RuntimeError: It is that one.
        """
        if step.error is not None:
            raise EngineError(step.error)
        if step.crash is not None:
            raise MemoryError if step.crash == "MemoryError" else RuntimeError("as the script says")
        if step.chunks is not None:
            return list(step.chunks)
        text = (
            python_call(step.call, step.arguments) if step.call is not None else step.say or step.hang or ""
        )
        return self._tokenize(text)

    def next_transcript(self) -> str:
        """The next transcript, empty at the end."""
        return self._transcripts.popleft() if self._transcripts else ""

    def next_caption(self) -> str:
        """The next caption, empty at the end."""
        return self._captions.popleft() if self._captions else ""

"""One session's side of a model that is elsewhere."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog

from hearsight.agent.media import MediaStore
from hearsight.agent.messages import audio_block, human, image_block, text_block
from hearsight.agent.models.base import Delta, GenerateRequest, GenerationEnd, Transcription
from hearsight.agent.models.embedded.hearing import Ear, Hearing
from hearsight.agent.models.embedded.seeing import Eye, Seeing
from hearsight.agent.models.gemma3n.tool_format import forced_start
from hearsight.agent.models.openai.call_end import up_to_call
from hearsight.agent.models.openai.counter import Calibration, RemoteCounter
from hearsight.agent.models.openai.media import SessionMedia
from hearsight.agent.models.openai.prompt import (
    ChatTurn,
    Part,
    media_of,
    render,
    shortened,
    tool_schemas,
    wire_choice,
)
from hearsight.agent.models.openai.read_ahead import Reading
from hearsight.agent.models.openai.remote import Remote, ServerError
from hearsight.streams.errors import EngineError
from hearsight.streams.events import INPUT_RATE_HZ, Detail, Picture, Samples

TRANSCRIBE = "Write down what is said, word for word. Write nothing else."
CAPTION = "Say in one short line what this picture shows."
READ = (
    "Write down the text in this picture, line by line. Write nothing else; nothing at all if there is none."
)
_log = structlog.get_logger(__name__)
ASIDE_TOKENS = 512
"""The longest transcript, caption or description."""
MAX_PICTURE_BYTES = 16 * 1024 * 1024
"""Of the pictures that are looked at here, for whoever asks to have their text read later."""
SESSION_HEADER = "X-Session-ID"
"""Names the session without giving it away: a balancer can bring all of it to the server that knows it."""


@dataclass(frozen=True, slots=True)
class Senses:
    """What hears and sees on this machine, where the model does not.

    Attributes:
        ear: Writes down what is said; None where the model does.
        eye: Puts pictures into words; None where the model sees them.
        reads: Whether the eye reads text.
    """

    ear: Ear | None = None
    eye: Eye | None = None
    reads: bool = True


class OpenAIConversation:
    """Implements ``hearsight.agent.models.base.Conversation``.

    Args:
        session_id: Of the session.
        remote: The server.
        senses: What is heard and seen here.
        calibration: What is known of the server's tokenizer.
        clock: Seconds.
    """

    def __init__(
        self,
        session_id: str,
        remote: Remote,
        senses: Senses,
        calibration: Calibration,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remote = remote
        self._settings = remote.settings
        self._calibration = calibration
        self._headers = {SESSION_HEADER: hashlib.blake2b(session_id.encode(), digest_size=16).hexdigest()}
        self._media = SessionMedia(self._settings.picture_px)
        self._hearing = Hearing(senses.ear) if senses.ear else None
        self._seeing = (
            Seeing(senses.eye, MediaStore(MAX_PICTURE_BYTES), reads=senses.reads) if senses.eye else None
        )
        self._reading = Reading(
            self._render_open, self._have_read, calibration.part, clock, wanted=self._settings.read_ahead
        )
        self._foreseen: set[str] = set()
        """Keys of pictures that nobody has named yet."""
        self.counter = RemoteCounter(
            calibration, audio=self._settings.audio, pictures=self._settings.pictures
        )

    # --- what arrives -----------------------------------------------------------------------------------

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance, 16 kHz; it is sent when it is asked about."""
        if self._settings.audio:
            self._media.hear(item_id, samples)
        if self._hearing is not None:
            self._hearing.hear(item_id, samples)

    def see(self, picture: Picture, *, in_depth: bool = False) -> None:
        """A picture that messages will name by its key; the server looks at it while the user speaks."""
        if self._seeing is not None:
            self._seeing.see(picture, read=in_depth)
            return
        self._foreseen.discard(picture.key)
        self._media.see(picture)
        self._reading.show(picture.key)

    def foresee(self, pictures: Sequence[Picture]) -> None:
        """Pictures that may come: made ready here; the server, which others use, is not asked to look."""
        if self._seeing is not None:
            for picture in pictures:
                self._seeing.see(picture, read=True)
            return
        keys = {picture.key for picture in pictures}
        for key in self._foreseen - keys:
            self._media.forget(key)
        self._foreseen = {key for key in keys if key in self._foreseen or not self._media.holds(key)}
        for picture in pictures:
            self._media.see(picture)

    def forget(self, file_id: str) -> None:
        """Drop an utterance (by item id) or a picture (by key)."""
        self._media.forget(file_id)
        if self._hearing is not None:
            self._hearing.forget(file_id)

    # --- reading ahead ----------------------------------------------------------------------------------

    async def overhear(self, item_id: str) -> str | None:
        """What was said so far, where speech is written down here; None where the model hears for itself.

        Raises:
            EngineError: Speech to text failed.
        """
        if self._settings.audio or self._hearing is None:
            return None
        return await self._hearing.overhear(item_id)

    async def prefill(self, request: GenerateRequest, *, unfinished: bool = False) -> None:
        """Have the server read what is new to it, where that is worth a request; an answer cuts it short.

        Raises:
            EngineError: The server failed.
        """
        await self._reading.read(request)

    # --- answering --------------------------------------------------------------------------------------

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """Write the next message; closing the iterator stops the model at the server.

        Raises:
            EngineError: The server cannot be reached, refuses or fails; or it cannot read as much.
        """
        self._reading.stop()
        whole_call = forced_start(request.tool_choice, request.tools)
        if whole_call.endswith("```"):  # nothing is left to the model
            yield whole_call
            yield GenerationEnd("stop")
            return
        with self._reading.suspended():
            async with aclosing(self._fitting(request)) as deltas:
                async for delta in deltas:
                    yield delta

    async def transcribe(self, item_id: str) -> Transcription:
        """What was said in an utterance, all of which has been heard.

        Raises:
            EngineError: It is not held, or could not be written down.
        """
        if self._hearing is not None:
            return await self._hearing.transcribe(item_id)
        samples = self._media.samples(item_id)
        if not samples:
            raise EngineError("There is no speech to write down: it was forgotten, or never heard.")
        text = await self._aside([audio_block(item_id, samples), text_block(TRANSCRIBE)])
        return Transcription(text, samples / INPUT_RATE_HZ)

    async def caption(self, file_id: str) -> str:
        """What a picture shows, in one line.

        Raises:
            EngineError: The picture is gone or could not be looked at.
        """
        if self._seeing is not None:
            return await self._seeing.caption(file_id)
        return await self._look(file_id, CAPTION)

    async def describe(self, picture: Picture, question: str, detail: Detail) -> str:
        """Look at a picture with a question in mind.

        Raises:
            EngineError: The picture could not be looked at.
        """
        if self._seeing is not None:
            return await self._seeing.describe(picture)
        self._media.see(picture)
        return await self._look(picture.key, question)

    async def read_text(self, picture: Picture) -> str:
        """The text in a picture, line by line; empty when there is none.

        Raises:
            EngineError: The picture could not be looked at.
        """
        if self._seeing is not None:
            return await self._seeing.read_text(picture)
        self._media.see(picture)
        return await self._look(picture.key, READ)

    async def aclose(self) -> None:
        """Stop what goes on and free what is held; idempotent."""
        await self._reading.aclose()
        await self._media.aclose()
        if self._hearing is not None:
            await self._hearing.aclose()
        if self._seeing is not None:
            await self._seeing.aclose()

    # --- parts ------------------------------------------------------------------------------------------

    async def _fitting(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """Answer from as much of the conversation as the server can read.

        How long a prompt is, is only reckoned here: what was reckoned too short is found out by asking.
        """
        turns: list[ChatTurn] | None = await self._render(request)
        while turns is not None:
            try:
                async with aclosing(up_to_call(self._stream(turns, request), request)) as deltas:
                    async for delta in deltas:
                        yield delta
                return
            except ServerError as error:
                if error.code != "context_length_exceeded" or (turns := shortened(turns)) is None:
                    raise
                _log.warning("conversation cut to what the model server can read", turns=len(turns))

    async def _stream(self, turns: list[ChatTurn], request: GenerateRequest) -> AsyncGenerator[Delta]:
        body = self._body(request, turns, request.max_tokens)
        written: list[str] = []
        try:
            async with aclosing(self._remote.stream(body, headers=self._headers)) as deltas:
                async for delta in deltas:
                    if isinstance(delta, str):
                        written.append(delta)
                    elif delta.prompt_tokens:
                        self._calibration.learn(turns, delta.prompt_tokens)
                    yield delta
        except ServerError as error:
            if error.code == "context_length_exceeded":
                self._calibration.too_long()  # the next turn makes more room
            raise
        finally:
            if written:
                self._reading.has_read(turns, "".join(written))

    async def _render_open(self, request: GenerateRequest) -> list[ChatTurn]:
        return await self._render(request, closed=False)

    async def _have_read(self, request: GenerateRequest, turns: list[ChatTurn]) -> None:
        await self._remote.read(self._body(request, turns, 1), headers=self._headers)

    async def _render(self, request: GenerateRequest, *, closed: bool = True) -> list[ChatTurn]:
        media = await self._sent(request)
        return render(request, media, server_tools=self._settings.tools == "server", closed=closed)

    async def _sent(self, request: GenerateRequest) -> dict[str, Sequence[Part]]:
        """What is sent for each file that the messages name; some may not be held any more."""
        media: dict[str, Sequence[Part]] = {}
        for file_id, is_picture in media_of(request.messages):
            if not is_picture:
                media[file_id] = self._media.clips(file_id)
            elif (picture := await self._media.picture(file_id)) is not None:
                media[file_id] = (picture,)
        return media

    def _body(self, request: GenerateRequest, turns: Sequence[ChatTurn], max_tokens: int) -> dict[str, Any]:
        body: dict[str, Any] = {"messages": [turn.wire() for turn in turns], "max_tokens": max_tokens}
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if self._settings.tools == "server" and request.tools:
            body |= {"tools": tool_schemas(request.tools), "tool_choice": wire_choice(request.tool_choice)}
        return body

    async def _look(self, key: str, question: str) -> str:
        if await self._media.picture(key) is None:
            raise EngineError("The picture is no longer kept, or cannot be used.", code="item_not_found")
        return await self._aside([image_block(key), text_block(question)])

    async def _aside(self, content: list[dict[str, Any]]) -> str:
        """A question apart from the conversation."""
        request = GenerateRequest((human("aside", content),), max_tokens=ASIDE_TOKENS, temperature=0.0)
        body = self._body(request, await self._render(request), ASIDE_TOKENS)
        written: list[str] = []
        async with aclosing(self._remote.stream(body, headers=self._headers)) as deltas:
            async for delta in deltas:
                if isinstance(delta, str):
                    written.append(delta)
        return "".join(written).strip()

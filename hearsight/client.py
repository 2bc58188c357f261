"""A client for programs in Python: speaks, shows, types, listens, and lends the model functions of its own.

::

    async with Client("127.0.0.1:8765") as client:
        await client.send_text("What is 17 times 23?")
        async for event in client:
            match event:
                case Words(text=text):
                    print(text, end="", flush=True)
                case AnswerEnded():
                    break

A connection that is lost is had back by itself, and the conversation goes on where it was.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, Self

from hearsight.addresses import realtime_url
from hearsight.deliveries import Message
from hearsight.functions import Function, Functions
from hearsight.line import ClientError, Line, stranger
from hearsight.streams.camera.decode import read_header
from hearsight.streams.events import OUTPUT_RATE_HZ, Samples
from hearsight.user_events import (
    AnswerBegan,
    AnswerEnded,
    FunctionCalled,
    Problem,
    Resumed,
    SpeechBegan,
    UserEvent,
)
from hearsight.wire_events import read_event

CHUNK_SAMPLES: Final = OUTPUT_RATE_HZ // 5
"""Longer audio is sent in pieces of 200 ms."""


class Client:
    """One conversation with a server.

    Events come while they are iterated over, and only then; a program that sends and does not listen is cut
    off by the server some day.

    Args:
        server: Its address, as a person writes it.
        api_key: Bearer token, where the server wants one.
        tls: Whom to trust where the address says ``wss`` or ``https``; whom the system trusts, unless given.
        instructions: The system prompt; the server's own, unless given.
        voice: Of those that the server has.
        modality: Whether answers are spoken or written.
        turns: Who says that the user's turn is over: the server, or this program by `commit`.
        reconnect_s: Seconds for which a lost connection is tried to be had back.
    """

    def __init__(
        self,
        server: str = "127.0.0.1:8765",
        *,
        api_key: str | None = None,
        tls: ssl.SSLContext | None = None,
        instructions: str | None = None,
        voice: str | None = None,
        modality: Literal["audio", "text"] = "audio",
        turns: Literal["server", "client"] = "server",
        reconnect_s: float = 30.0,
    ) -> None:
        self._line = Line(realtime_url(server), api_key=api_key, tls=tls, reconnect_s=reconnect_s)
        self._functions = Functions()
        self._session: dict[str, Any] = {}
        if instructions is not None:
            self._session["instructions"] = instructions
        if modality != "audio":
            self._session["output_modalities"] = [modality]
        audio: dict[str, Any] = {"output": {"voice": voice}} if voice is not None else {}
        if turns == "client":
            audio["input"] = {"turn_detection": None}
        if audio:
            self._session["audio"] = audio
        self._running: set[asyncio.Task[None]] = set()
        self._unanswered = 0
        """Calls whose functions still run."""
        self._goes_on = False
        """The model is to be asked to go on with what the functions return."""
        self._answering = False
        self._ours: set[str] = set()
        """Wishes to go on, by their event ids."""

    async def __aenter__(self) -> Self:
        await self._line.open()
        if len(self._functions):
            self._session["tools"] = self._functions.declarations()
        if self._session:
            await self._send("session.update", session={"type": "realtime", **self._session})
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._line.aclose()

    @property
    def session_id(self) -> str | None:
        """Names the session; known with the first event."""
        return self._line.session_id

    def tool(self, function: Function) -> Function:
        """Decorates a function that the model may call; before the conversation begins.

        Args:
            function: Plain or async, with type hints and a docstring.

        Raises:
            ConfigError: It cannot be a tool.
        """
        self._functions.add(function)
        return function

    # --- what the user does -------------------------------------------------------------------------------

    async def send_audio(self, samples: Samples) -> None:
        """What the microphone hears, int16 at 24 kHz; silence, too, by which a turn ends."""
        for at in range(0, samples.size, CHUNK_SAMPLES):
            data = samples[at : at + CHUNK_SAMPLES].astype("<i2").tobytes()
            await self._send("input_audio_buffer.append", audio=base64.b64encode(data).decode())

    async def commit(self) -> None:
        """The user's turn is over, where this program decides so; `respond` asks for the answer."""
        await self._send("input_audio_buffer.commit")

    async def send_frame(self, picture: bytes, *, timestamp_ms: float | None = None) -> None:
        """What the camera sees: a JPEG, PNG or WebP picture. The server keeps those that a turn needs."""
        fields: dict[str, Any] = {"image": base64.b64encode(picture).decode()}
        if timestamp_ms is not None:
            fields["timestamp_ms"] = timestamp_ms
        await self._send("input_image_buffer.append", **fields)

    async def send_text(self, text: str, pictures: Sequence[bytes] = (), *, respond: bool = True) -> None:
        """Something typed, with pictures to look at, and the wish for an answer.

        Args:
            text: May be empty where there are pictures.
            pictures: JPEG, PNG or WebP.
            respond: Ask for the answer, too.

        Raises:
            InvalidPicture: A picture is of another kind, or damaged.
        """
        content: list[dict[str, Any]] = [
            {"type": "input_image", "image_url": data_url(picture), "detail": "high"} for picture in pictures
        ]
        if text:
            content.append({"type": "input_text", "text": text})
        await self._add({"type": "message", "role": "user", "content": content})
        if respond:
            await self.respond()

    async def respond(self, instructions: str | None = None) -> None:
        """Ask for an answer.

        Args:
            instructions: In place of the session's, for this answer.
        """
        await self._respond({"instructions": instructions} if instructions is not None else {})

    async def cancel(self) -> None:
        """Stop the answer."""
        await self._send("response.cancel")

    async def played(self, item_id: str, played_ms: float) -> None:
        """So much of a piece of speech has been heard; after an interruption, only that was said."""
        await self._send("output_audio_buffer.played", item_id=item_id, played_ms=played_ms)

    async def truncate(self, item_id: str, played_ms: float) -> None:
        """Playing was stopped after so much of a piece of speech: the rest was not said."""
        cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": int(played_ms)}
        await self._send("conversation.item.truncate", **cut)

    # --- what comes back ----------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[UserEvent]:
        """All that is told, until the conversation is closed.

        Raises:
            ClientError: The connection is lost for good, or the server speaks another protocol.
        """
        async for message in self._line.messages():
            if message is None:
                yield Resumed()
                continue
            try:
                event = read_event(message)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise stranger() from error
            followed = await self._follow(event)
            if followed is not None:
                yield followed

    async def _follow(self, event: UserEvent) -> UserEvent | None:
        """Keep to what has happened; None where it concerns nobody else."""
        match event:
            case AnswerBegan():
                self._answering = True
            case AnswerEnded():
                self._answering = False
                self._goes_on = self._goes_on and event.status == "completed"
                event = replace(event, goes_on=self._goes_on)
                await self._go_on()
            case SpeechBegan():
                self._goes_on = False  # the answer to what is said knows of the results, too
            case FunctionCalled():
                self._goes_on = True
                self._unanswered += 1
                task = asyncio.create_task(self._run(event))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            case Problem() if event.event_id in self._ours:
                return None  # the server has begun an answer by itself, which knows of the results, too
        return event

    async def _run(self, call: FunctionCalled) -> None:
        output = await self._functions.run(call.name, call.arguments)
        await self._add({"type": "function_call_output", "call_id": call.call_id, "output": output})
        self._unanswered -= 1
        await self._go_on()

    async def _go_on(self) -> None:
        """Ask for more once all functions have returned and the answer that called them has ended."""
        if self._goes_on and not self._unanswered and not self._answering:
            self._goes_on = False
            self._ours.add(await self._respond({}))

    # --- the wire -----------------------------------------------------------------------------------------

    async def _add(self, item: Message) -> None:
        await self._send("conversation.item.create", item={"id": f"item_{secrets.token_hex(10)}", **item})

    async def _respond(self, parameters: Message) -> str:
        # By its metadata the announcement of the answer is known as the one that was asked for.
        parameters = {**parameters, "metadata": {"asked_as": secrets.token_hex(8)}}
        return await self._send("response.create", response=parameters)

    async def _send(self, kind: str, **fields: Any) -> str:
        return await self._line.send({"type": kind, **fields})


def data_url(picture: bytes) -> str:
    """A picture as the protocol takes it.

    Raises:
        InvalidPicture: It is of another kind than JPEG, PNG and WebP, or damaged.
    """
    return f"data:{read_header(picture).mime_type};base64,{base64.b64encode(picture).decode()}"


__all__ = ["Client", "ClientError", "data_url"]

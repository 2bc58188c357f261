"""The whole assistant inside a program: no server, no socket.

::

    async with Assistant() as assistant:
        await assistant.send_text("What is 17 times 23?")
        async for event in assistant:
            match event:
                case Words(text=text):
                    print(text, end="", flush=True)
                case AnswerEnded():
                    break
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from hearsight.config.errors import ConfigError
from hearsight.config.settings import Settings, load_settings
from hearsight.functions import Function, as_tool
from hearsight.output_events import tell
from hearsight.streams.camera.decode import content_key, read_header
from hearsight.streams.errors import StateConflict
from hearsight.streams.events import (
    AddItem,
    AudioChunk,
    CameraPicture,
    CancelResponse,
    ClientEvent,
    CommitAudio,
    ConfigureSession,
    Content,
    CreateResponse,
    ImageContent,
    Item,
    Picture,
    PlaybackPosition,
    Samples,
    TextContent,
    TruncateItem,
)
from hearsight.user_events import UserEvent

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from hearsight.agent.models.base import Engine
    from hearsight.agent.voice.base import Voice
    from hearsight.streams.runtime import SessionRuntime


class Assistant:
    """One conversation with an assistant that lives in this program.

    Args:
        settings: All settings, as `load_settings` gives them; those of the files and variables, unless given.
        engine: The name of an engine, in place of the one in the settings, or an object of one's own.
        voice: A voice of one's own, in place of the one in the settings.
        instructions: The system prompt, in place of the one in the settings.
        modality: Whether answers are spoken or written.
        turns: Who says that the user's turn is over: the assistant, or this program by `commit`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        engine: Engine | str | None = None,
        voice: Voice | None = None,
        instructions: str | None = None,
        modality: Literal["audio", "text"] = "audio",
        turns: Literal["assistant", "client"] = "assistant",
    ) -> None:
        if isinstance(engine, str) and settings is not None:
            raise ConfigError("Give either settings, which name an engine, or the name of an engine.")
        named = {"engine.name": engine} if isinstance(engine, str) else {}
        self._settings = settings or load_settings(overrides=named).settings
        self._engine = engine if not isinstance(engine, str) else None
        self._voice = voice
        self._instructions = instructions
        self._modality: Literal["audio", "text"] = modality
        self._turns = turns
        self._tools: list[BaseTool] = []
        self._opened = AsyncExitStack()
        self._runtime: SessionRuntime | None = None

    async def __aenter__(self) -> Self:
        from hearsight.compose import Parts, open_service
        from hearsight.models_command import open_store

        parts = Parts(self._engine, self._voice, tuple(self._tools))
        store = open_store(self._settings)
        async with AsyncExitStack() as opened:
            service = await opened.enter_async_context(open_service(self._settings, store, parts))
            runtime = service.new_runtime(f"sess_{secrets.token_hex(10)}")
            life = asyncio.create_task(runtime.run())
            opened.push_async_callback(_end, runtime, life)
            config = service.options.config
            wanted = replace(
                config,
                instructions=self._instructions or config.instructions,
                modality=self._modality,
                turn_detection=None if self._turns == "client" else config.turn_detection,
            )
            if wanted != config:
                await runtime.receive(ConfigureSession(wanted))
            self._runtime = runtime
            self._opened = opened.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    @overload
    def tool(self, function: Function) -> Function: ...
    @overload
    def tool(
        self, *, side_effects: bool = True, confirm: bool | str = False, long_running: bool = False
    ) -> Callable[[Function], Function]: ...
    def tool(self, function: Function | None = None, **extras: Any) -> Any:
        """Decorates a function that the model may call; before the conversation begins.

        Args:
            function: Plain or async, with type hints and a docstring.
            **extras: ``side_effects=False`` lets it run before it is sure that the user has finished;
                ``confirm`` asks the user first, in general words or in those given, such as "Shall I really
                delete {name}?"; ``long_running`` lets the conversation go on meanwhile.

        Raises:
            ConfigError: It cannot be a tool.
        """

        def register(function: Function) -> Function:
            if self._runtime is not None:
                raise ConfigError("Tools are given to an assistant before the conversation begins.")
            self._tools.append(as_tool(function, **extras))
            return function

        return register if function is None else register(function)

    # --- what the user does -------------------------------------------------------------------------------

    async def send_audio(self, samples: Samples) -> None:
        """What the microphone hears, int16 at 24 kHz, in real time; silence, too, by which a turn ends."""
        await self._receive(AudioChunk(samples.astype("<i2").tobytes()))

    async def commit(self) -> None:
        """The user's turn is over, where this program decides so; `respond` asks for the answer."""
        await self._receive(CommitAudio())

    async def send_frame(self, picture: bytes, *, timestamp_ms: float | None = None) -> None:
        """What the camera sees: a JPEG, PNG or WebP picture. Those that a turn needs are kept.

        Raises:
            InvalidPicture: It cannot be decoded.
        """
        await self._receive(CameraPicture(picture, captured_ms=timestamp_ms))

    async def send_text(self, text: str, pictures: Sequence[bytes] = (), *, respond: bool = True) -> None:
        """Something typed, with pictures to look at, and the wish for an answer.

        Args:
            text: May be empty where there are pictures.
            pictures: JPEG, PNG or WebP.
            respond: Ask for the answer, too.

        Raises:
            InvalidPicture: A picture cannot be decoded.
        """
        content: list[Content] = [ImageContent(_picture(data)) for data in pictures]
        if text:
            content.append(TextContent(text))
        await self._receive(AddItem(Item(f"item_{secrets.token_hex(10)}", "message", "user", tuple(content))))
        if respond:
            await self.respond()

    async def respond(self, instructions: str | None = None) -> None:
        """Ask for an answer.

        Args:
            instructions: In place of the assistant's, for this answer.
        """
        await self._receive(CreateResponse(instructions=instructions))

    async def cancel(self) -> None:
        """Stop the answer."""
        await self._receive(CancelResponse())

    async def played(self, item_id: str, played_ms: float) -> None:
        """So much of a piece of speech has been heard; after an interruption, only that was said."""
        await self._receive(PlaybackPosition(item_id, played_ms))

    async def truncate(self, item_id: str, played_ms: float) -> None:
        """Playing was stopped after so much of a piece of speech: the rest was not said."""
        await self._receive(TruncateItem(item_id, int(played_ms)))

    # --- what comes back ----------------------------------------------------------------------------------

    async def __aiter__(self) -> AsyncIterator[UserEvent]:
        """All that is told, until the conversation is closed."""
        async for output in self._open_runtime.outputs():
            for event in tell(output):
                yield event

    @property
    def _open_runtime(self) -> SessionRuntime:
        if self._runtime is None:
            raise StateConflict("The assistant is not open; use it inside `async with`.")
        return self._runtime

    async def _receive(self, event: ClientEvent) -> None:
        await self._open_runtime.receive(event)


async def _end(runtime: SessionRuntime, life: asyncio.Task[None]) -> None:
    await runtime.close("The program has left.")
    await life


def _picture(data: bytes) -> Picture:
    header = read_header(data)
    return Picture(data, header.mime_type, header.width, header.height, key=content_key(data), detail="high")

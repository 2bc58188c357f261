"""One local conversation: the service in this process, the devices, the keyboard and the screen."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rich.console import Console

from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import Settings
from hearsight.keyboard import keyboard
from hearsight.line_editor import Action, EndPressed, LineEditor, SpacePressed, Typed
from hearsight.local_devices import Files, make_devices, open_camera
from hearsight.streams.events import INPUT_RATE_HZ, AudioFormat, Samples
from hearsight.streams.local.recordings import RecordedMicrophone
from hearsight.streams.local.session import Devices, LocalSession
from hearsight.streams.runtime import RuntimeOptions, SessionRuntime
from hearsight.talk_views import PlainView, ScreenView, View
from hearsight.talking import Talk

if TYPE_CHECKING:
    from hearsight.compose import Service

AFTERTHOUGHT_S: Final = 1.5
"""Time beyond the longest pause of a turn after which nothing more comes of a recording that has ended."""
LOOKED_S: Final = 0.1
MAX_ACTIONS: Final = 64


class LocalTalk:
    """Composes a local session and runs it.

    Args:
        settings: All settings.
        files: What stands in for devices.
        console: Where the conversation is shown.
        record: Given all speech that is played.
        push_to_talk: Whether the space bar opens the microphone.
        on_screen: Whether the console can be drawn on; else one line per event.
    """

    def __init__(
        self,
        settings: Settings,
        files: Files,
        console: Console,
        record: Callable[[Samples], None],
        *,
        push_to_talk: bool,
        on_screen: bool,
    ) -> None:
        self._settings = settings
        self._files = files
        self._console = console
        self._record = record
        self._on_screen = on_screen
        self._talk = Talk(time.monotonic)
        self._editor = LineEditor(space_talks=push_to_talk)
        self._talking: bool | None = False if push_to_talk else None
        self._actions: asyncio.Queue[Action] = asyncio.Queue(MAX_ACTIONS)

    async def run(self, store: PayloadStore) -> None:
        """Load the models and converse until the user ends it, or the recording does.

        Args:
            store: Where the models are.

        Raises:
            StartupError: A model cannot be loaded.
            DeviceError: A device cannot be opened.
        """
        from hearsight.compose import open_service

        local = self._settings.local
        async with AsyncExitStack() as opened:
            with Console(stderr=True).status(f"Loading the {self._settings.engine.name} engine …"):
                service = await opened.enter_async_context(open_service(self._settings, store))
            devices = make_devices(local, self._files)
            camera = await asyncio.to_thread(
                open_camera, local, self._files, devices.frames, self._note_later()
            )
            if camera is not None:
                opened.push_async_callback(asyncio.to_thread, camera.stop)
            opened.push_async_callback(devices.stop)
            await devices.start()
            session = LocalSession(
                self._new_runtime(service),
                devices,
                observe=self._talk.take,
                notify=self._talk.note,
                record=self._record,
                open_microphone=self._talking is None,
            )
            await self._converse(
                session, devices, self._view(devices, None if camera is None else camera.name)
            )

    def _new_runtime(self, service: Service) -> SessionRuntime:
        options: RuntimeOptions = service.options
        config = replace(options.config, input_format=AudioFormat("pcm16", INPUT_RATE_HZ))
        if self._talking is not None:
            config = replace(config, turn_detection=None)
        session_id = f"local_{secrets.token_hex(4)}"
        return SessionRuntime(session_id, service.agent, service.perception, replace(options, config=config))

    def _view(self, devices: Devices, camera: str | None) -> View:
        if not self._on_screen:
            return PlainView(self._console, self._talk, devices)
        return ScreenView(
            self._console, self._talk, devices, self._editor, camera=camera, talking=lambda: self._talking
        )

    async def _converse(self, session: LocalSession, devices: Devices, view: View) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(view.run()), tasks.create_task(self._act(session))]
            if isinstance(devices.sound.microphone, RecordedMicrophone):
                background.append(
                    tasks.create_task(self._end_after(devices.sound.microphone, devices, session))
                )
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._press, EndPressed())
            with keyboard(self._on_bytes, by_key=self._on_screen):
                await session.run()
            for task in background:
                task.cancel()
        view.close()

    def _on_bytes(self, data: bytes) -> None:
        for action in self._editor.feed(data):
            self._press(action)

    def _press(self, action: Action) -> None:
        if not self._actions.full():  # nobody types so fast; a cat on the keyboard may be ignored
            self._actions.put_nowait(action)

    async def _act(self, session: LocalSession) -> None:
        while True:
            match await self._actions.get():
                case Typed(text):
                    await session.type(text)
                case SpacePressed() if self._talking:
                    self._talking = False
                    await session.end_talking()
                case SpacePressed():
                    self._talking = True
                    await session.begin_talking()
                case EndPressed():
                    await session.stop()

    async def _end_after(
        self, recording: RecordedMicrophone, devices: Devices, session: LocalSession
    ) -> None:
        """End the conversation once the recording is over and its last answer has been heard."""
        patience_s = self._settings.turn.long_silence_ms / 1000 + AFTERTHOUGHT_S
        rest_s = 0.0
        while rest_s < patience_s:
            await asyncio.sleep(LOOKED_S)
            at_rest = recording.ended.is_set() and self._talk.at_rest and devices.queue.idle
            rest_s = rest_s + LOOKED_S if at_rest else 0.0
        await session.stop()

    def _note_later(self) -> Callable[[str], None]:
        """Tells of something from another thread."""
        loop = asyncio.get_running_loop()

        def note(text: str) -> None:
            loop.call_soon_threadsafe(self._talk.note, text)

        return note

"""The local session: devices on one side, the session's runtime on the other, no socket in between."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from hearsight.streams.errors import HearsightError
from hearsight.streams.events import (
    INPUT_RATE_HZ,
    OUTPUT_RATE_HZ,
    AddItem,
    AudioChunk,
    AudioDelta,
    CameraPicture,
    ClearAudio,
    ClearOutput,
    ClientEvent,
    CommitAudio,
    CreateResponse,
    Item,
    Output,
    OutputCleared,
    RetrieveItem,
    Samples,
    SpeechStarted,
    TextContent,
    TruncateItem,
)
from hearsight.streams.local.camera import Frames
from hearsight.streams.local.feed import Block, Heard, Played, SoundFeed
from hearsight.streams.local.levels import LevelMeter
from hearsight.streams.local.playback_queue import PlaybackQueue
from hearsight.streams.local.sound import Sound
from hearsight.streams.transport import Runtime

WATCH_S: Final = 0.5
"""How often it is looked whether the devices are still there."""
MIN_UTTERANCE: Final = INPUT_RATE_HZ // 5
"""Samples of the shortest utterance that is taken from push-to-talk."""


class Canceller(Protocol):
    """Takes the speaker's sound out of the microphone's."""

    def play(self, samples: Samples, latency_s: float) -> None:
        """Take what the speaker was given."""
        ...

    def hear(self, samples: Samples, latency_s: float) -> Samples:
        """Take what the microphone heard, and give it back without the echo."""
        ...


@dataclass(slots=True)
class Devices:
    """What a session hears, sees and speaks with.

    Attributes:
        sound: Microphone and speaker.
        queue: What the speaker plays.
        feed: Where both tell of their audio.
        canceller: None where no echo is taken out.
        frames: Where the camera leaves its pictures.
    """

    sound: Sound
    queue: PlaybackQueue
    feed: SoundFeed
    frames: Frames
    canceller: Canceller | None = None
    microphone_level: LevelMeter = field(default_factory=lambda: LevelMeter(INPUT_RATE_HZ))
    speaker_level: LevelMeter = field(default_factory=lambda: LevelMeter(OUTPUT_RATE_HZ))

    async def start(self) -> None:
        """Open the sound devices.

        Raises:
            DeviceError: One cannot be opened.
        """
        await asyncio.to_thread(self.sound.start)

    async def stop(self) -> None:
        """Close the sound devices, and take nothing more from any; idempotent."""
        self.feed.close()
        self.frames.close()
        await asyncio.to_thread(self.sound.stop)


class LocalSession:
    """One conversation over the devices of this machine.

    Args:
        runtime: The session; its input is 16 kHz.
        devices: What to hear, see and speak with.
        observe: Told of everything that comes from the session, in order.
        notify: Told, in a sentence, of what happens to the devices; in the event loop.
        record: Given every sample of speech that is played.
        open_microphone: Whether the session hears all the time; else between `begin_talking` and
            `end_talking`.
    """

    def __init__(
        self,
        runtime: Runtime,
        devices: Devices,
        *,
        observe: Callable[[Output], None],
        notify: Callable[[str], None],
        record: Callable[[Samples], None] = lambda samples: None,
        open_microphone: bool = True,
    ) -> None:
        self._runtime = runtime
        self._devices = devices
        self._observe = observe
        self._notify = notify
        self._record = record
        self._hears = open_microphone
        self._spoken = 0
        self._receiving = asyncio.Lock()

    async def run(self) -> None:
        """Converse until `stop`; the devices have been started, and whoever started them stops them."""
        async with asyncio.TaskGroup() as tasks:
            endless = (self._listen(), self._look(), self._watch())
            work = [tasks.create_task(each) for each in endless]
            tasks.create_task(self._speak())
            await self._runtime.run()
            for task in work:
                task.cancel()

    async def stop(self) -> None:
        """End the conversation; idempotent."""
        await self._runtime.close("ended")

    # --- what the user does ------------------------------------------------------------------------------

    async def type(self, text: str) -> None:
        """Take what the user has typed; it interrupts an answer as speech does."""
        await self._interrupt()
        item = Item(f"item_{secrets.token_hex(10)}", "message", "user", (TextContent(text),))
        await self._send(AddItem(item))
        await self._send(CreateResponse())

    async def begin_talking(self) -> None:
        """Push-to-talk: the user begins."""
        await self._interrupt()
        self._hears, self._spoken = True, 0

    async def end_talking(self) -> None:
        """Push-to-talk: the user has ended."""
        self._hears = False
        if self._spoken < MIN_UTTERANCE:
            await self._send(ClearAudio())
            self._notify("That was too short to be heard; press the space bar again when you have spoken.")
            return
        await self._send(CommitAudio())
        await self._send(CreateResponse())

    async def _interrupt(self) -> None:
        await self._send(ClearOutput())
        await self._fall_silent()

    # --- from the devices to the session -----------------------------------------------------------------

    async def _listen(self) -> None:
        lost_s = 0.0
        while True:
            for block in await self._devices.feed.take():
                await self._take(block)
            lost_s, before_s = self._devices.feed.lost_s, lost_s
            if lost_s > before_s:
                self._notify(
                    f"This machine is too busy: {lost_s - before_s:.1f} s of what you said were lost."
                )

    async def _take(self, block: Block) -> None:
        devices = self._devices
        match block:
            case Played():
                devices.speaker_level.feed(block.samples)
                if devices.canceller is not None:
                    devices.canceller.play(block.samples, block.latency_s)
                if block.speech:
                    self._record(block.samples[: block.speech])
                for position in devices.queue.heard(block.latency_s):
                    await self._send(position)
            case Heard():
                samples = block.samples
                devices.microphone_level.feed(samples)
                if devices.canceller is not None:
                    samples = devices.canceller.hear(samples, block.latency_s)
                if self._hears and samples.size:
                    self._spoken += samples.size
                    await self._send(AudioChunk(samples.astype("<i2").tobytes()))

    async def _look(self) -> None:
        while True:
            await self._send(CameraPicture(await self._devices.frames.take(), "image/jpeg"))

    async def _watch(self) -> None:
        sound, queue = self._devices.sound, self._devices.queue
        while True:
            await asyncio.sleep(WATCH_S)
            notice = await asyncio.to_thread(sound.watch, time.monotonic(), speaking=not queue.idle)
            if notice is not None:
                self._notify(notice)
            if sound.speaker_is_lost:
                await self._fall_silent()

    async def _send(self, event: ClientEvent) -> None:
        """Hand an event on, one at a time; what is wrong with it is told."""
        async with self._receiving:
            try:
                await self._runtime.receive(event)
            except HearsightError as error:
                self._notify(error.message)

    # --- from the session to the devices -----------------------------------------------------------------

    async def _speak(self) -> None:
        async for output in self._runtime.outputs():
            self._observe(output)
            match output:
                case AudioDelta():
                    if dropped := self._devices.queue.put(output.item_id, output.samples):
                        seconds = dropped / OUTPUT_RATE_HZ
                        self._notify(f"The answer is too long: {seconds:.0f} s of it are not spoken.")
                case SpeechStarted() | OutputCleared():
                    await self._fall_silent()

    async def _fall_silent(self) -> None:
        """Silence the speaker at once, and let the session know what was heard until then, to the sample."""
        for position in self._devices.queue.flush():
            await self._send(TruncateItem(position.item_id, int(position.played_ms)))
            await self._send(RetrieveItem(position.item_id))

"""Many clients in one process, each with a microphone and a camera in real time, as cheap as they can be.

Every message is encoded beforehand; what is left is to send it when it is due and to note when the server
says that speech has started.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import cv2
import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from hearsight.streams.audio.front_end import AudioFrontEnd
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import (
    AudioFormat,
    EndpointEstimate,
    EstimateEndpoint,
    Samples,
    SessionConfig,
    SpeechStarted,
)
from hearsight.streams.session.session import Session
from hearsight.streams.session.settings import SessionLimits

START_STEP_MS = 160
"""Clients begin at multiples of this: whole chunks of 20 or 40 ms and whole frames of 32 ms alike."""
FRAME_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Programme:
    """What every client sends over and over, each from another place."""

    chunks: list[str]
    """Messages of ``input_audio_buffer.append``."""
    pictures: list[str]
    """Messages of ``input_image_buffer.append``."""
    chunk_ms: int
    rate_hz: int
    onsets_ms: list[tuple[float, float]]
    """Where in the programme speech is said to start, and when that becomes known: both in audio time."""

    @property
    def length_ms(self) -> int:
        """Until it begins again."""
        return len(self.chunks) * self.chunk_ms


@dataclass(slots=True)
class ClientFigures:
    """What the clients have seen since they were last asked."""

    delays_s: list[float] = field(default_factory=list)
    """From sending the audio that decides on an onset to the arrival of ``speech_started``."""
    late_s: list[float] = field(default_factory=list)
    """How late chunks were sent: the clients' own trouble."""
    errors: Counter[str] = field(default_factory=Counter)
    sent_chunks: int = 0
    sent_pictures: int = 0
    cpu_s: float = 0.0


def make_programme(samples: Samples, rate_hz: int, chunk_ms: int, vad: SileroModel) -> Programme:
    """Encode what the clients send.

    Args:
        samples: At ``rate_hz``; cut to a multiple of 160 ms.
        rate_hz: Of the audio on the wire.
        chunk_ms: 20 or 40.
        vad: Finds where the onsets are to be expected.
    """
    step = rate_hz * START_STEP_MS // 1000
    samples = samples[: len(samples) - len(samples) % step]
    size = rate_hz * chunk_ms // 1000
    pcm = [samples[at : at + size].astype("<i2").tobytes() for at in range(0, len(samples), size)]
    onsets_ms = _find_onsets(pcm, rate_hz, chunk_ms, vad)
    chunks = [json.dumps({"type": "input_audio_buffer.append", "audio": _base64(data)}) for data in pcm]
    return Programme(chunks, _pictures(), chunk_ms, rate_hz, onsets_ms)


def _find_onsets(
    pcm: list[bytes], rate_hz: int, chunk_ms: int, vad: SileroModel
) -> list[tuple[float, float]]:
    """Run the programme through a session without any clock: twice round, the second counts."""
    config = SessionConfig(input_format=AudioFormat("pcm16", rate_hz))
    front_end = AudioFrontEnd(config.input_format, vad)
    session = Session(config, SessionLimits(), FrameStore(1, 1), 0.0)
    length_ms = len(pcm) * chunk_ms
    onsets: list[tuple[float, float]] = []
    for index, data in enumerate((*pcm, *pcm), start=1):
        known_ms = index * chunk_ms
        for frame in front_end.feed(data):
            session.receive(frame, known_ms / 1000)
            for command in session.take_commands():
                if isinstance(command, EstimateEndpoint):
                    estimate = EndpointEstimate(command.item_id, command.silence_started_sample, 1.0)
                    session.receive(estimate, known_ms / 1000)
        for output in session.take_outputs():
            if isinstance(output, SpeechStarted) and output.audio_start_ms >= length_ms:
                onsets.append((output.audio_start_ms - length_ms, known_ms - length_ms))
    return onsets


def _pictures() -> list[str]:
    """A camera's messages: a room, a little noise, somebody moving, and now and then another view."""
    random = np.random.default_rng(0)
    messages = []
    for view in range(4):
        coarse = random.integers(40, 220, (12, 16, 3), dtype=np.uint8)
        room = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC)
        for moment in range(6):
            seen = room.astype(np.float32) + random.standard_normal(room.shape) * 5
            frame = np.clip(seen, 0, 255).astype(np.uint8)
            cv2.circle(frame, (200 + 12 * moment, 300 - 4 * view), 90, (150, 170, 205), -1)
            _, jpeg = cv2.imencode(".jpg", frame, (cv2.IMWRITE_JPEG_QUALITY, 80))
            messages.append(
                json.dumps({"type": "input_image_buffer.append", "image": _base64(jpeg.tobytes())})
            )
    return messages


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Microphone:
    """One client."""

    def __init__(self, number: int, programme: Programme, figures: ClientFigures) -> None:
        steps = programme.length_ms // START_STEP_MS
        self._first = (number * 37 % steps) * START_STEP_MS // programme.chunk_ms
        self._number = number
        self._programme = programme
        self._figures = figures
        self._sent_at: list[float] = []

    async def run(self, url: str, starts_at: float) -> None:
        """Connect, and send until cancelled.

        Args:
            url: Of the server.
            starts_at: On the event loop's clock.
        """
        async with connect(url, max_size=None, compression=None, proxy=None) as connection:
            audio = {"input": {"format": {"type": "audio/pcm", "rate": self._programme.rate_hz}}}
            await connection.send(
                json.dumps({"type": "session.update", "session": {"type": "realtime", "audio": audio}})
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(connection))
                tasks.create_task(self._show(connection, starts_at))
                await self._speak(connection, starts_at)

    async def _speak(self, connection: ClientConnection, starts_at: float) -> None:
        clock = asyncio.get_running_loop().time
        chunks, period_s = self._programme.chunks, self._programme.chunk_ms / 1000
        index = self._first
        due = starts_at
        while True:
            await asyncio.sleep(max(0.0, due - clock()))
            now = clock()
            await connection.send(chunks[index])
            self._sent_at.append(now)
            self._figures.late_s.append(now - due)
            self._figures.sent_chunks += 1
            index = (index + 1) % len(chunks)
            due += period_s

    async def _show(self, connection: ClientConnection, starts_at: float) -> None:
        clock = asyncio.get_running_loop().time
        due = starts_at + self._number * 0.618 % FRAME_PERIOD_S
        index = self._number
        while True:
            await asyncio.sleep(max(0.0, due - clock()))
            await connection.send(self._programme.pictures[index % len(self._programme.pictures)])
            self._figures.sent_pictures += 1
            index += 1
            due += FRAME_PERIOD_S

    async def _listen(self, connection: ClientConnection) -> None:
        clock = asyncio.get_running_loop().time
        async for message in connection:
            now = clock()
            kind = str(message[:64])
            if "speech_started" in kind:
                self._started(json.loads(message)["audio_start_ms"], now)
            elif '"error"' in kind:
                self._figures.errors[json.loads(message)["error"]["code"]] += 1

    def _started(self, start_ms: float, now: float) -> None:
        programme = self._programme
        place_ms = (start_ms + self._first * programme.chunk_ms) % programme.length_ms
        near = min(programme.onsets_ms, key=lambda onset: abs(onset[0] - place_ms))
        if abs(near[0] - place_ms) > START_STEP_MS:
            return  # the first utterance of a client may begin in its middle
        known_ms = start_ms + (near[1] - near[0])
        decisive = round(known_ms / programme.chunk_ms) - 1
        # Whoever joins in mid-speech may be heard a frame earlier than the programme says.
        decisive = min(max(decisive, 0), len(self._sent_at) - 1)
        self._figures.delays_s.append(now - self._sent_at[decisive])


def main(control: Connection, url: str, sessions: int, programme: Programme) -> None:
    """Run the clients; sends ``"ready"``, then figures for each ``"take"``, until ``"stop"``."""
    asyncio.run(_run(control, url, sessions, programme))


async def _run(control: Connection, url: str, sessions: int, programme: Programme) -> None:
    figures = ClientFigures()
    loop = asyncio.get_running_loop()
    starts_at = loop.time() + 0.5 + 0.02 * sessions
    period_s = programme.chunk_ms / 1000
    clients = []
    for number in range(sessions):
        microphone = Microphone(number, programme, figures)
        clients.append(loop.create_task(microphone.run(url, starts_at + number * 0.618 * period_s % 1.0)))
        await asyncio.sleep(0.02)
    stopped = loop.create_future()
    cpu_s = time.process_time()

    def read() -> None:
        nonlocal cpu_s
        if control.recv() == "stop":
            stopped.set_result(None)
            return
        figures.cpu_s, cpu_s = time.process_time() - cpu_s, time.process_time()
        control.send(figures)
        for values in (figures.delays_s, figures.late_s, figures.errors):
            values.clear()
        figures.sent_chunks = figures.sent_pictures = 0

    loop.add_reader(control.fileno(), read)
    control.send("ready")
    done, _ = await asyncio.wait((stopped, *clients), return_when=asyncio.FIRST_COMPLETED)
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    for task in done - {stopped}:
        task.result()

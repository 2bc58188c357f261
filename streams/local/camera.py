"""A camera of this machine, or a film: pictures a few times a second, of which only the newest waits."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hearsight.streams.local.system import DEFAULT, DeviceError, silent_stderr

JPEG_QUALITY: Final = 85
MAX_SIDE: Final = 1280
"""Pixels. Larger pictures are made smaller before they are encoded."""
RETRY_S: Final = 3.0
"""Time between two attempts to open a camera that is gone."""
FILM_RATE: Final = 25.0
"""Pictures a second of a film that does not say."""


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """A camera of this machine.

    Attributes:
        number: As OpenCV counts.
        name: As the system calls it.
        node: What is opened.
    """

    number: int
    name: str
    node: str

    def __str__(self) -> str:
        return f"{self.number} '{self.name}'"


def list_cameras(
    folder: Path = Path("/dev"), names: Path = Path("/sys/class/video4linux")
) -> list[CameraDevice]:
    """The video devices of this machine, in order; some of them may be no cameras."""
    cameras = []
    for node in folder.glob("video*"):
        number = node.name.removeprefix("video")
        if number.isdecimal():
            told = names / node.name / "name"
            name = told.read_text().strip() if told.exists() else node.name
            cameras.append(CameraDevice(int(number), name, str(node)))
    return sorted(cameras, key=lambda camera: camera.number)


def choose_cameras(wanted: str, cameras: Sequence[CameraDevice]) -> list[CameraDevice]:
    """The cameras that are meant, in the order in which they should be tried.

    Args:
        wanted: ``default``, which any may be and none need be, a number, or a name or a part of one.
        cameras: All of this machine.

    Raises:
        DeviceError: There is no such camera.
    """
    if wanted == DEFAULT:
        return list(cameras)
    if sys.platform == "darwin" and wanted.isdecimal():
        return [
            CameraDevice(int(wanted), f"camera {wanted}", wanted)
        ]  # which there are, only trying can tell
    if wanted.isdecimal():
        matches = [camera for camera in cameras if camera.number == int(wanted)]
    else:
        name = wanted.casefold()
        matches = [camera for camera in cameras if name in (camera.name.casefold(), camera.node)]
        matches = matches or [camera for camera in cameras if name in camera.name.casefold()]
    if not matches:
        listed = ", ".join(map(str, cameras)) or "none"
        raise DeviceError(f"There is no camera '{wanted}'. Found: {listed}. Go without with `--no-camera`.")
    return matches


@dataclass(slots=True)
class Frames:
    """A place for one picture between a thread and the event loop; a newer one takes its place."""

    loop: asyncio.AbstractEventLoop
    replaced: int = 0
    """Pictures that nobody took in time."""
    _newest: bytes | None = field(default=None, repr=False)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def put(self, jpeg: bytes) -> None:
        """Leave a picture; from any thread."""
        with self._lock:
            if self._closed:
                return
            self.replaced += self._newest is not None
            self._newest = jpeg
            self.loop.call_soon_threadsafe(self._arrived.set)

    async def take(self) -> bytes:
        """The newest picture, once there is one."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            with self._lock:
                jpeg, self._newest = self._newest, None
            if jpeg is not None:
                return jpeg

    def close(self) -> None:
        """Take no more: the event loop is about to end."""
        with self._lock:
            self._closed = True


class Camera:
    """Looks through a camera, or at a film in real time, from a thread of its own.

    Args:
        source: A device such as ``/dev/video0``, its number, or a file.
        name: For messages.
        frames: Where the pictures go.
        per_s: How many a second.
        notify: Told, from that thread, when the camera is gone and when it is back.
        is_film: Whether it ends, and has a speed of its own.
    """

    def __init__(
        self,
        source: str,
        name: str,
        frames: Frames,
        *,
        per_s: float,
        notify: Callable[[str], None],
        is_film: bool = False,
    ) -> None:
        self.name = name
        self.ended = threading.Event()
        """Set once a film is over."""
        self._source = source
        self._frames = frames
        self._interval_s = 1 / per_s
        self._notify = notify
        self._is_film = is_film
        self._stopped = threading.Event()
        self._capture: Any = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self) -> None:
        """Open it and begin.

        Raises:
            DeviceError: It cannot be opened.
        """
        self._capture = self._open()
        if self._capture is None:
            what = f"The film '{self.name}'" if self._is_film else f"The camera '{self.name}'"
            busy = "" if self._is_film else " Another program may be using it; go without with `--no-camera`."
            raise DeviceError(f"{what} cannot be opened.{busy}")
        self._thread.start()

    def stop(self) -> None:
        """Close it; idempotent."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _open(self) -> Any:
        """An open capture that delivers pictures, or None."""
        source: str | int = int(self._source) if self._source.isdecimal() else self._source
        with silent_stderr():
            capture = cv2.VideoCapture(source)
            if capture.isOpened() and capture.grab():
                return capture
            capture.release()
        return None

    def _run(self) -> None:
        try:
            if self._is_film:
                self._show_film()
            while not self._is_film and not self._stopped.is_set():
                self._watch()
                self._capture.release()
                if not self._stopped.is_set():
                    self._wait_for_camera()
        finally:
            self._capture.release()
            self.ended.set()

    def _watch(self) -> None:
        """Take pictures until the camera fails; every one is grabbed, lest old ones pile up in the system."""
        due_s = time.monotonic()
        while not self._stopped.is_set():
            if not self._capture.grab():
                return
            now = time.monotonic()
            if now >= due_s:
                due_s = max(due_s + self._interval_s, now)
                self._pass_on()

    def _show_film(self) -> None:
        interval_s = 1 / (self._capture.get(cv2.CAP_PROP_FPS) or FILM_RATE)
        began_s, number, due_s = time.monotonic(), 0, 0.0
        while True:  # opening it has grabbed the first picture
            if number * interval_s >= due_s:
                due_s += self._interval_s
                self._pass_on()
            number += 1
            late_s = began_s + number * interval_s - time.monotonic()
            if self._stopped.wait(max(0.0, late_s)) or not self._capture.grab():
                return

    def _wait_for_camera(self) -> None:
        self._notify(
            f"The camera '{self.name}' is gone; the conversation goes on without it until it is back."
        )
        while not self._stopped.wait(RETRY_S):
            capture = self._open()
            if capture is not None:
                self._capture = capture
                self._notify(f"The camera '{self.name}' is back.")
                return

    def _pass_on(self) -> None:
        taken, picture = self._capture.retrieve()
        if taken:
            self._frames.put(encode(picture))


def encode(picture: NDArray[np.uint8], max_side: int = MAX_SIDE) -> bytes:
    """A picture (height, width, blue-green-red) as JPEG, no side longer than so many pixels."""
    shrink = max_side / max(picture.shape[:2])
    if shrink < 1:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return jpeg.tobytes()

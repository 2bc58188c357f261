"""This machine's own screen in place of a camera: what the user sees, a few times a second."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hearsight.streams.local.camera import Frames, encode
from hearsight.streams.local.system import SCREEN, DeviceError

MAX_SIDE: Final = 1920
"""Pixels. Larger than a camera's pictures, for what is on a screen is mostly small text."""
RETRY_S: Final = 3.0
"""Time between two attempts to see a screen that is locked or gone."""

Monitor: TypeAlias = dict[str, Any]
"""``left``, ``top``, ``width`` and ``height`` in pixels."""

_WANTED = re.compile(rf"{SCREEN}(?: (\d+))?", re.IGNORECASE)


def is_screen(camera: str) -> bool:
    """Whether a screen is meant where a camera may be named: ``screen``, or ``screen 2`` for the second."""
    return _WANTED.fullmatch(camera) is not None


class Screen:
    """Looks at a screen from a thread of its own; of use like a camera.

    Args:
        wanted: ``screen`` for the main one, or with a number, counting from 1.
        frames: Where the pictures go.
        per_s: How many a second.
        notify: Told, from that thread, when the screen cannot be seen any more and when it can again.
    """

    def __init__(self, wanted: str, frames: Frames, *, per_s: float, notify: Callable[[str], None]) -> None:
        self.name = wanted.lower()
        self.ended = threading.Event()
        """Set once it is no longer looked at."""
        self._frames = frames
        self._interval_s = 1 / per_s
        self._notify = notify
        self._stopped = threading.Event()
        self._opened = threading.Event()
        self._problem: DeviceError | None = None
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)

    def start(self) -> None:
        """Begin, once it could be seen.

        Raises:
            DeviceError: It cannot be, or there is no such screen.
        """
        self._thread.start()
        self._opened.wait()
        if self._problem is not None:
            raise self._problem

    def stop(self) -> None:
        """Look away; idempotent."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        gone = False
        try:
            while not self._stopped.is_set():
                try:
                    self._watch(returned=gone)
                except DeviceError as error:
                    if not self._opened.is_set():
                        self._problem = error
                        return
                    if not gone:
                        self._notify(f"{error.message} The conversation goes on without it until it is back.")
                    gone = True
                    self._stopped.wait(RETRY_S)
        finally:
            self.ended.set()
            self._opened.set()

    def _watch(self, *, returned: bool) -> None:
        """Pass on pictures until it fails. What sees the screen belongs to the thread that opened it."""
        with _open(self.name) as grab:
            while True:
                self._frames.put(encode(grab(), MAX_SIDE))
                self._opened.set()
                if returned:
                    self._notify(f"The {self.name} is back.")
                    returned = False
                if self._stopped.wait(self._interval_s):
                    return


def screen_size(wanted: str) -> str:
    """Width and height of a screen in pixels, such as ``1920x1080``.

    Raises:
        DeviceError: It cannot be seen, or there is no such screen.
    """
    with _open(wanted) as grab:
        height, width, _ = grab().shape
        return f"{width}x{height}"


@contextmanager
def _open(wanted: str) -> Iterator[Callable[[], NDArray[np.uint8]]]:
    """Gives what takes pictures of a screen: (height, width, blue-green-red)."""
    try:
        import mss
    except ImportError:
        raise DeviceError(
            "Seeing the screen needs a package that is not installed (mss): "
            "run `pip install 'hearsight[local]'`."
        ) from None
    try:
        with mss.MSS() as eyes:
            monitor = _choose(wanted, eyes.monitors[1:], eyes.primary_monitor)
            yield lambda: np.ascontiguousarray(np.asarray(eyes.grab(monitor))[:, :, :3])
    except mss.ScreenShotError as error:
        reason = str(error).rstrip(".")
        raise DeviceError(
            f"The screen cannot be seen: {reason}. It takes X11, macOS or Windows, and on macOS the "
            "permission to record the screen; go without with `--no-camera`."
        ) from error


def _choose(wanted: str, monitors: Sequence[Monitor], main: Monitor) -> Monitor:
    match = _WANTED.fullmatch(wanted)
    assert match is not None
    if match[1] is None:
        return main
    number = int(match[1])
    if not 1 <= number <= len(monitors):
        there = ", ".join(
            f"{SCREEN} {at} ({monitor['width']}x{monitor['height']})"
            for at, monitor in enumerate(monitors, 1)
        )
        raise DeviceError(f"There is no {wanted}. Found: {there}.")
    return monitors[number - 1]

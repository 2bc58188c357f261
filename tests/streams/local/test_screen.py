"""A real X11 screen, virtual as it is, in place of a camera."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from hearsight.streams.local import screen as screen_module
from hearsight.streams.local.camera import Frames
from hearsight.streams.local.screen import Screen, is_screen, screen_size
from hearsight.streams.local.system import DeviceError

pytest.importorskip("mss", reason="the extra `local` is not installed")


class Display:
    """A virtual screen that can be switched off and on again."""

    def __init__(self) -> None:
        self.number = 90 + os.getpid() % 900
        self.process: subprocess.Popen[bytes] | None = None

    def on(self) -> None:
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", f":{self.number}", "-screen", "0", "640x400x24", "-noreset", "-displayfd", str(writer)],
            pass_fds=[writer],
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        with os.fdopen(reader) as told:
            assert told.readline().strip() == str(self.number), "Xvfb did not start"

    def off(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def display(monkeypatch):
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb on this machine: apt-get install xvfb")
    if sys.platform != "linux":
        pytest.skip("a virtual screen takes X11")
    display = Display()
    monkeypatch.setenv("DISPLAY", f":{display.number}")
    monkeypatch.setattr(screen_module, "RETRY_S", 0.05)
    display.on()
    yield display
    display.off()


@pytest.mark.parametrize(
    ("camera", "meant"),
    [
        *(("screen", True), ("Screen", True), ("screen 2", True), ("screen 12", True)),
        *(
            ("screenshot", False),
            ("screen two", False),
            ("default", False),
            ("", False),
            ("my screen", False),
        ),
    ],
)
def test_whether_a_screen_is_meant(camera, meant):
    assert is_screen(camera) is meant


async def test_it_is_seen_whole_and_again_and_again(display):
    frames, told = Frames(asyncio.get_running_loop()), []
    screen = Screen("screen", frames, per_s=50, notify=told.append)
    await asyncio.to_thread(screen.start)
    try:
        for _ in range(3):
            async with asyncio.timeout(10):
                jpeg = await frames.take()
            picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape == (400, 640, 3)
            assert picture.mean() < 5, "an empty X screen is black"
    finally:
        screen.stop()
    assert screen.ended.is_set() and told == []
    screen.stop()


def test_its_size_is_known(display):
    assert screen_size("screen") == screen_size("screen 1") == "640x400"


def test_a_screen_that_is_not_there(display):
    for look in (lambda: screen_size("screen 3"), Screen("screen 3", None, per_s=1, notify=print).start):
        with pytest.raises(DeviceError, match=r"There is no screen 3. Found: screen 1 \(640x400\)."):
            look()


async def test_a_screen_that_goes_is_told_of_once_and_comes_back(display):
    loop = asyncio.get_running_loop()
    frames, told = Frames(loop), asyncio.Queue()
    notify = lambda message: loop.call_soon_threadsafe(told.put_nowait, message)  # noqa: E731
    screen = Screen("screen", frames, per_s=50, notify=notify)
    await asyncio.to_thread(screen.start)
    try:
        display.off()
        async with asyncio.timeout(20):
            gone = await told.get()
            await asyncio.to_thread(display.on)
            assert await told.get() == "The screen is back."
            await frames.take()
    finally:
        await asyncio.to_thread(screen.stop)
    assert gone.startswith("The screen cannot be seen: ") and "until it is back" in gone
    assert told.empty()


def test_without_any_screen_it_says_so(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    screen = Screen("screen", None, per_s=1, notify=print)
    with pytest.raises(DeviceError, match="The screen cannot be seen: .* go without with `--no-camera`"):
        screen.start()
    assert screen.ended.is_set()


def test_without_the_package_it_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "mss", None)
    with pytest.raises(DeviceError, match=r"not installed \(mss\): run `pip install 'hearsight\[local\]'`"):
        screen_size("screen")

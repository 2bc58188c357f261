"""Cameras by name and number, films in real time, and cameras that are unplugged."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from hearsight.streams.camera.decode import read_header
from hearsight.streams.local import camera as camera_module
from hearsight.streams.local.camera import (
    Camera,
    CameraDevice,
    Frames,
    choose_cameras,
    encode,
    list_cameras,
)
from hearsight.streams.local.system import DeviceError

CAMERAS = [CameraDevice(0, "Integrated Camera", "/dev/video0"), CameraDevice(2, "Logi C920", "/dev/video2")]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """0.8 s at 10 pictures a second, each brighter than the last."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for number in range(8):
        writer.write(np.full((48, 64, 3), 30 * number, np.uint8))
    writer.release()
    return path


def brightness(jpeg: bytes) -> float:
    return float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


async def watch(camera: Camera, frames: Frames) -> list[float]:
    """The brightness of every picture, until the film is over."""
    seen: list[float] = []

    async def look() -> None:
        while True:
            seen.append(brightness(await frames.take()))

    looking = asyncio.create_task(look())
    await asyncio.to_thread(camera.ended.wait)
    await asyncio.sleep(0.05)
    looking.cancel()
    return seen


async def test_a_film_is_seen_in_real_time_and_in_order(film):
    frames = Frames(asyncio.get_running_loop())
    camera = Camera(str(film), "film.avi", frames, per_s=10, notify=print, is_film=True)
    began_s = time.monotonic()
    camera.start()
    seen = await watch(camera, frames)
    camera.stop()
    assert time.monotonic() - began_s >= 0.7
    assert seen == sorted(seen) and len(seen) >= 3 and seen[-1] > 170
    assert len(seen) + frames.replaced == 8


async def test_no_more_pictures_are_taken_than_are_asked_for(film):
    frames = Frames(asyncio.get_running_loop())
    camera = Camera(str(film), "film.avi", frames, per_s=4, notify=print, is_film=True)
    camera.start()
    seen = await watch(camera, frames)
    camera.stop()
    assert len(seen) + frames.replaced == 3, "at 0, 0.3 and 0.5 s, the first ones due; 0.75 s is past the end"


async def test_a_film_can_be_stopped_in_the_middle(film):
    frames = Frames(asyncio.get_running_loop())
    camera = Camera(str(film), "film.avi", frames, per_s=10, notify=print, is_film=True)
    camera.start()
    await frames.take()
    camera.stop()
    camera.stop()
    assert "camera" not in [thread.name for thread in threading.enumerate()]


async def test_of_two_pictures_only_the_newer_is_seen():
    frames = Frames(asyncio.get_running_loop())
    frames.put(b"old")
    frames.put(b"new")
    assert await frames.take() == b"new"
    assert frames.replaced == 1
    frames.close()
    frames.put(b"late")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await frames.take()


async def test_what_is_no_camera_and_no_film_is_told(tmp_path):
    frames = Frames(asyncio.get_running_loop())
    (tmp_path / "film.avi").write_bytes(b"no film")
    film = Camera(str(tmp_path / "film.avi"), "film.avi", frames, per_s=2, notify=print, is_film=True)
    with pytest.raises(DeviceError, match=r"^The film 'film.avi' cannot be opened.$"):
        film.start()
    film.stop()
    camera = Camera(str(tmp_path / "video9"), "Webcam", frames, per_s=2, notify=print)
    with pytest.raises(DeviceError, match="The camera 'Webcam' cannot be opened.*--no-camera"):
        camera.start()


async def test_a_camera_that_is_unplugged_is_told_of_and_comes_back(film, monkeypatch):
    """A film that is not known to be one ends as a camera does that is unplugged."""
    monkeypatch.setattr(camera_module, "RETRY_S", 0.02)
    told: list[str] = []
    back = asyncio.Event()
    loop = asyncio.get_running_loop()

    def notify(text: str) -> None:
        told.append(text)
        if text.endswith("is back.") and "gone" not in text:
            loop.call_soon_threadsafe(back.set)

    camera = Camera(str(film), "Webcam", Frames(loop), per_s=30, notify=notify)
    camera.start()
    async with asyncio.timeout(20):
        await back.wait()
    camera.stop()
    assert told[0] == "The camera 'Webcam' is gone; the conversation goes on without it until it is back."
    assert told[1] == "The camera 'Webcam' is back."


def test_cameras_are_listed_with_their_names(tmp_path):
    names = tmp_path / "names"
    for number in (10, 2, 0):
        (tmp_path / f"video{number}").touch()
    (tmp_path / "videodev").touch()
    (names / "video2").mkdir(parents=True)
    (names / "video2" / "name").write_text("Logi C920\n")
    found = list_cameras(tmp_path, names)
    assert [(camera.number, camera.name) for camera in found] == [
        (0, "video0"),
        (2, "Logi C920"),
        (10, "video10"),
    ]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [("default", [0, 2]), ("2", [2]), ("logi c920", [2]), ("c920", [2]), ("/dev/video0", [0])],
)
def test_by_number_by_name_or_by_a_part_of_it(wanted, numbers):
    assert [camera.number for camera in choose_cameras(wanted, CAMERAS)] == numbers


def test_any_camera_or_none_is_as_good_where_none_was_named():
    assert choose_cameras("default", []) == []


@pytest.mark.skipif(sys.platform == "darwin", reason="cameras cannot be listed there")
@pytest.mark.parametrize(("wanted", "found"), [("1", "0 'Integrated Camera', 2 'Logi C920'"), ("x", "none")])
def test_a_camera_that_is_not_there_is_answered_by_those_that_are(wanted, found):
    with pytest.raises(DeviceError) as refused:
        choose_cameras(wanted, CAMERAS if wanted == "1" else [])
    assert refused.value.message == (
        f"There is no camera '{wanted}'. Found: {found}. Go without with `--no-camera`."
    )


@pytest.mark.parametrize(("size", "shown"), [((480, 640), (640, 480)), ((2160, 3840), (1280, 720))])
def test_pictures_are_jpegs_of_a_size_that_is_of_use(size, shown):
    header = read_header(encode(np.full((*size, 3), 90, np.uint8)))
    assert header.mime_type == "image/jpeg" and (header.width, header.height) == shown

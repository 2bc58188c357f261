from __future__ import annotations

import numpy as np
import pytest
from drawn_pictures import encoded, noisy, room, with_orientation

from hearsight.streams.camera.decode import content_key, read_header
from hearsight.streams.camera.eye import CameraSettings, Eye
from hearsight.streams.errors import InvalidPicture, LimitExceeded
from hearsight.streams.events import CameraFrame, CameraPicture, FrameDropped, Picture


class Clock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def seen(eye: Eye, data: bytes, captured_ms: float | None = None) -> CameraFrame:
    frame = await eye.look(CameraPicture(data, captured_ms=captured_ms))
    assert isinstance(frame, CameraFrame)
    return frame


async def test_a_frame_is_described() -> None:
    data = encoded(room(), ".jpg")
    frame = await seen(Eye(CameraSettings(), Clock()), data, captured_ms=1_234.0)
    picture = frame.picture
    assert (picture.mime_type, picture.width, picture.height) == ("image/jpeg", 640, 480)
    assert (picture.data, picture.key, picture.captured_ms) == (data, content_key(data), 1_234.0)
    assert frame.change == "scene_change"


async def test_a_frame_without_a_time_is_dated_by_the_clock() -> None:
    assert (
        await seen(Eye(CameraSettings(), Clock()), encoded(room(), ".png"))
    ).picture.captured_ms == 100_000


async def test_changes_are_told_along_the_stream() -> None:
    eye = Eye(CameraSettings(), Clock())
    stream = [room(0), noisy(room(0), 5), room(0, shift=3), room(1)]
    changes = [(await seen(eye, encoded(picture, ".jpg"))).change for picture in stream]
    assert changes == ["scene_change", "duplicate", "similar", "scene_change"]


async def test_two_cameras_do_not_know_of_each_other() -> None:
    data = encoded(room(), ".jpg")
    first, second = Eye(CameraSettings(), Clock()), Eye(CameraSettings(), Clock())
    assert (await seen(first, data)).change == (await seen(second, data)).change == "scene_change"


async def test_frames_that_come_too_fast_are_dropped_and_said_so() -> None:
    clock = Clock()
    eye = Eye(CameraSettings(max_frames_per_s=2), clock)
    data = encoded(room(), ".jpg")
    answers = [await eye.look(CameraPicture(data)) for _ in range(3)]
    assert [type(answer) for answer in answers] == [CameraFrame, CameraFrame, FrameDropped]
    assert isinstance(answers[2], FrameDropped)
    assert answers[2].reason == "more than 2 camera frames a second"
    clock.now_s += 0.5
    assert isinstance(await eye.look(CameraPicture(data)), CameraFrame)


@pytest.mark.parametrize("data", [b"", b"GIF89a...", encoded(room(), ".jpg")[:-40]])
async def test_what_cannot_be_seen_is_refused_and_the_camera_goes_on(data: bytes) -> None:
    eye = Eye(CameraSettings(), Clock())
    with pytest.raises(InvalidPicture):
        await eye.look(CameraPicture(data))
    assert (await seen(eye, encoded(room(), ".jpg"))).change == "scene_change"


async def test_a_frame_over_the_limit_is_refused() -> None:
    eye = Eye(CameraSettings(max_pixels=100_000), Clock())
    with pytest.raises(InvalidPicture, match="640 × 480 pixels; at most 0.1 megapixels"):
        await eye.look(CameraPicture(encoded(room(), ".jpg")))


async def test_a_picture_inside_an_item_is_decoded_once_and_corrected() -> None:
    stored = np.ascontiguousarray(np.rot90(room(4, 64, 48)))
    data = with_orientation(encoded(stored, ".jpg"), 6)
    checked = await Eye(CameraSettings(), Clock()).check(
        Picture(data, "image/png", 48, 64, "wrong", detail="high")
    )
    assert (checked.mime_type, checked.width, checked.height) == ("image/jpeg", 64, 48)
    assert (checked.key, checked.detail) == (content_key(data), "high")


async def test_a_broken_picture_inside_an_item_is_refused() -> None:
    broken = encoded(room(), ".png")[:-20]
    with pytest.raises(InvalidPicture, match="incomplete"):
        await Eye(CameraSettings(), Clock()).check(Picture(broken, "image/png", 640, 480, "key"))


async def test_under_overload_fewer_frames_are_looked_at_and_nothing_is_said_of_the_others() -> None:
    clock = Clock()
    eye = Eye(CameraSettings(), clock)
    eye.relieve(0.5, None)
    data = encoded(room(), ".jpg")
    looked = []
    for _ in range(40):
        looked.append(await eye.look(CameraPicture(data)))
        clock.now_s += 0.1
    assert [type(each) for each in looked if each is not None] == [CameraFrame] * 2
    eye.relieve(None, None)
    assert None not in [await eye.look(CameraPicture(data)) for _ in range(10)]


async def test_what_is_passed_over_is_not_even_decoded() -> None:
    eye = Eye(CameraSettings(), Clock())
    eye.relieve(1.0, None)
    await seen(eye, encoded(room(), ".jpg"))
    assert await eye.look(CameraPicture(b"no picture at all")) is None


async def test_under_overload_pictures_are_made_smaller_before_anybody_sees_them() -> None:
    eye = Eye(CameraSettings(), Clock())
    eye.relieve(None, 320)
    large, small = encoded(room(), ".png"), encoded(room(width=300, height=200), ".jpg")
    frame = (await seen(eye, large, captured_ms=7.0)).picture
    assert (frame.width, frame.height, frame.mime_type, frame.captured_ms) == (320, 240, "image/jpeg", 7.0)
    header = read_header(frame.data)
    assert (header.width, header.height) == (320, 240)
    assert len(frame.data) < len(large) / 4 and frame.key == content_key(frame.data)
    assert eye.newest is frame
    assert (await seen(eye, small)).picture.data == small
    item = await eye.check(Picture(large, "image/png", 640, 480, "k", detail="high"))
    assert (item.width, item.height, item.detail) == (320, 240, "low")
    eye.relieve(None, None)
    assert (await seen(eye, large)).picture.data == large


async def test_a_scene_change_is_one_whatever_the_size() -> None:
    eye = Eye(CameraSettings(), Clock())
    await seen(eye, encoded(room(0), ".jpg"))
    eye.relieve(None, 200)
    assert (await seen(eye, encoded(room(0), ".jpg"))).change == "duplicate"
    assert (await seen(eye, encoded(room(1), ".jpg"))).change == "scene_change"


async def test_pixels_are_decoded_at_a_rate_whatever_they_come_in() -> None:
    clock = Clock()
    eye = Eye(CameraSettings(max_pixels=400_000, max_pixels_per_s=307_200), clock)
    data = encoded(room(), ".png")  # 307,200 pixels
    item = Picture(data, "image/png", 640, 480, "key")
    assert isinstance(await eye.look(CameraPicture(data)), CameraFrame)
    await eye.check(item)
    with pytest.raises(LimitExceeded, match=r"More than 0\.3072 megapixels a second") as refused:
        await eye.check(item)
    assert refused.value.code == "rate_limit_exceeded" and refused.value.close_code is None
    dropped = await eye.look(CameraPicture(data))
    assert isinstance(dropped, FrameDropped) and dropped.reason == "more than 0.3072 megapixels a second"
    clock.now_s += 1
    await eye.check(item)


async def test_the_largest_picture_that_is_accepted_can_be_sent() -> None:
    eye = Eye(CameraSettings(max_pixels=307_200, max_pixels_per_s=4096), Clock())
    await eye.check(Picture(encoded(room(), ".png"), "image/png", 640, 480, "key"))

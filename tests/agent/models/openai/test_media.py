"""What is sent once is sent again as it was; nothing is larger than it need be."""

from __future__ import annotations

import asyncio
import base64
import io
import wave

import cv2
import numpy as np
import pytest
from drawn_pictures import room

from hearsight.agent.models.embedded.speech_to_text import MAX_PIECE_S
from hearsight.agent.models.openai.media import MAX_AS_IT_IS_BYTES, SessionMedia, sent_form
from hearsight.streams.camera.decode import content_key, decode_picture
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Picture

RATE = 16_000


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 3000).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    return (np.random.default_rng(9).standard_normal(round(seconds * RATE)) * 20).astype(np.int16)


def samples_of(clip) -> np.ndarray:
    with wave.open(io.BytesIO(base64.b64decode(clip.data))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def picture(pixels: np.ndarray, suffix: str = ".jpg", mime: str = "image/jpeg") -> Picture:
    data = cv2.imencode(suffix, pixels)[1].tobytes()
    return Picture(data, mime, pixels.shape[1], pixels.shape[0], content_key(data))


def pixels_of(sent) -> np.ndarray:
    return decode_picture(base64.b64decode(sent.url.partition(",")[2]), max_pixels=10_000_000).bgr


@pytest.fixture
async def media():
    held = SessionMedia(768)
    yield held
    await held.aclose()


# --- speech ---------------------------------------------------------------------------------------------


async def test_an_utterance_is_a_wav_file_of_all_that_was_heard(media):
    said = speech(1)
    for chunk in np.split(said, 50):
        media.hear("u", chunk)
    [clip] = media.clips("u")
    assert np.array_equal(samples_of(clip), said)
    assert clip.samples == media.samples("u") == RATE


async def test_silence_that_comes_after_it_was_sent_changes_nothing(media):
    media.hear("u", speech(2))
    sent = media.clips("u")
    media.hear("u", silence(0.8))
    assert media.clips("u") is sent
    assert media.samples("u") == round(2.8 * RATE)


async def test_more_speech_after_it_was_sent_is_sent(media):
    media.hear("u", speech(2))
    before = media.clips("u")
    media.hear("u", speech(0.5, seed=1))
    [clip] = media.clips("u")
    assert clip.samples == round(2.5 * RATE) > before[0].samples


async def test_words_after_a_silence_are_sent_with_it(media):
    media.hear("u", speech(2))
    media.clips("u")
    media.hear("u", silence(0.6))
    media.clips("u")
    media.hear("u", speech(1, seed=1))
    assert sum(clip.samples for clip in media.clips("u")) == round(3.6 * RATE)


async def test_long_speech_is_cut_where_it_is_quiet_and_its_beginning_stays(media):
    media.hear("u", np.concatenate([speech(24), silence(0.5), speech(20)]))
    clips = media.clips("u")
    assert len(clips) == 2
    assert all(clip.samples <= MAX_PIECE_S * RATE for clip in clips)
    assert 24 * RATE < clips[0].samples < 24.5 * RATE
    media.hear("u", speech(3, seed=2))
    assert media.clips("u")[0] == clips[0]


async def test_what_was_never_heard_or_is_forgotten_is_not_sent(media):
    assert media.clips("nothing") == ()
    media.hear("u", speech(1))
    media.forget("u")
    media.forget("u")
    assert media.clips("u") == () and media.samples("u") == 0 and media.size_bytes == 0


# --- pictures -------------------------------------------------------------------------------------------


async def test_a_camera_s_jpeg_goes_as_it_came(media):
    frame = picture(room())
    media.see(frame)
    sent = await media.picture(frame.key)
    assert base64.b64decode(sent.url.partition(",")[2]) == frame.data
    media.see(frame)
    assert await media.picture(frame.key) is sent


@pytest.mark.parametrize(("width", "height"), [(3000, 1500), (1500, 3000), (1024, 1024)])
def test_a_large_picture_is_made_small(width, height):
    sent = pixels_of(sent_form(picture(room(width=width, height=height)), 768))
    assert max(sent.shape[:2]) == 768
    assert sent.shape[1] / sent.shape[0] == pytest.approx(width / height, rel=0.01)


def test_a_small_picture_is_not_made_large():
    small = room(width=64, height=48)
    assert pixels_of(sent_form(picture(small, ".png", "image/png"), 768)).shape == small.shape


def test_other_formats_become_jpeg():
    for suffix, mime in ((".png", "image/png"), (".webp", "image/webp")):
        sent = sent_form(picture(room(), suffix, mime), 768)
        assert sent.url.startswith("data:image/jpeg;base64,")
        difference = pixels_of(sent).astype(int) - room().astype(int)
        assert np.abs(difference).mean() < 8


def test_a_heavy_jpeg_is_made_lighter():
    noise = np.random.default_rng(0).integers(0, 255, (700, 700, 3), np.uint8)
    data = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    assert len(data) > MAX_AS_IT_IS_BYTES
    sent = sent_form(Picture(data, "image/jpeg", 700, 700, "k"), 768)
    assert len(sent.url) < len(data)


async def test_a_picture_that_cannot_be_used_is_none(media):
    broken = Picture(b"\xff\xd8\xff nonsense", "image/png", 8, 8, "broken")
    media.see(broken)
    assert await media.picture("broken") is None
    assert await media.picture("never seen") is None
    with pytest.raises(EngineError):
        sent_form(broken, 768)


async def test_whoever_leaves_waits_for_no_picture():
    held = SessionMedia(768)
    held.see(picture(room(width=2000, height=2000), ".png", "image/png"))
    await held.aclose()
    assert held.size_bytes == 0
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


# --- the bound ------------------------------------------------------------------------------------------


async def test_beyond_the_bound_the_oldest_go_at_one_time(media):
    second = RATE * 2 * 7 // 3
    held = SessionMedia(768, max_bytes=10 * second)
    for number in range(11):
        held.hear(f"u{number}", speech(1, seed=number))
    kept = [f"u{number}" for number in range(11) if held.clips(f"u{number}")]
    assert kept == [f"u{number}" for number in range(6, 11)], "half of the bound is free again"
    await held.aclose()


async def test_what_is_being_said_stays_however_long_it_is():
    held = SessionMedia(768, max_bytes=1000)
    held.hear("u", speech(1))
    held.hear("u", speech(1))
    assert held.samples("u") == 2 * RATE
    await held.aclose()

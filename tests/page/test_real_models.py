"""The page before the default engine: recorded speech in, and the answer, as it sounds, written down."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import cv2
import jiwer
import numpy as np
import pytest
import soxr
from live_server import LiveServer

from hearsight.agent.models.embedded.speech_to_text import SpeechToText
from hearsight.models_command import open_store

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from page_browser import SPEAKER_RATE_HZ, heard_samples, write_camera, write_microphone  # noqa: E402

pytestmark = pytest.mark.models
expect = playwright.expect

SAID = "had he married a more amiable woman he might have been made still more respectable than he was"
TIMEOUT_MS = 120_000


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    memory = tmp_path_factory.mktemp("memory") / "memory.sqlite"
    with LiveServer({"tools.memory_path": str(memory), "embedded.temperature": 0.0}) as server:
        yield server


@pytest.fixture
def listen(live: LiveServer) -> Callable[[np.ndarray], str]:
    """What a listener understands of what came out of the loudspeaker."""

    async def transcribe(samples: np.ndarray) -> str:
        ear = SpeechToText(open_store(live.settings).path("whisper-tiny.en"), threads=2)
        try:
            return (await ear.transcribe(samples)).text
        finally:
            await ear.aclose()

    def hear(sound: np.ndarray) -> str:
        samples = (np.clip(soxr.resample(sound, SPEAKER_RATE_HZ, 16_000), -1, 1) * 32_767).astype(np.int16)
        return str(live.call(lambda: transcribe(samples)))

    return hear


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def test_a_person_is_understood_and_the_answer_is_heard(chromium, live, speech, tmp_path, listen):
    microphone = write_microphone(tmp_path / "m.wav", 0.5, speech("amiable_woman"), 300.0)
    with chromium.open(live.http, microphone=microphone) as page:
        page.click("#start")
        caption = page.locator(".entry.user .words:not(.pending)")
        expect(caption).to_be_visible(timeout=TIMEOUT_MS)
        assert jiwer.wer(SAID, words(caption.inner_text())) < 0.3
        expect(page.locator(".latency")).to_be_visible(timeout=TIMEOUT_MS)
        expect(page.locator("body")).to_have_attribute("data-mood", "listening", timeout=TIMEOUT_MS)
        answer = words(page.locator(".entry.answer .words").inner_text())
        assert answer
        heard = listen(heard_samples(page))
        assert jiwer.wer(answer, words(heard)) < 0.35, (answer, heard)


def test_a_sign_before_the_camera_is_read_aloud(chromium, live, tmp_path, listen):
    sign = np.full((480, 640, 3), (200, 220, 225), np.uint8)
    cv2.rectangle(sign, (60, 120), (580, 360), (40, 40, 160), -1)
    cv2.putText(sign, "WET FLOOR", (100, 270), cv2.FONT_HERSHEY_SIMPLEX, 2.6, (255, 255, 255), 8)
    camera = write_camera(tmp_path / "c.mjpeg", sign)
    with chromium.open(live.http, camera=camera) as page:
        page.click("#camera")
        expect(page.locator("#frames li")).not_to_have_count(0)
        page.wait_for_timeout(1_500)
        page.fill("#words", "What does the sign say?")
        page.press("#words", "Enter")
        answer = page.locator(".entry.answer .words").last
        expect(answer).to_contain_text(re.compile("wet floor", re.IGNORECASE), timeout=TIMEOUT_MS)
        expect(page.locator("body")).to_have_attribute("data-mood", "ready", timeout=TIMEOUT_MS)
        assert "wet floor" in words(listen(heard_samples(page)))
        expect(page.locator(".entry.user .seen")).to_contain_text("It saw")

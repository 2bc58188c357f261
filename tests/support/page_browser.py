"""Debian's Chromium before the browser page, with recordings for a microphone and a film for a camera."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soxr
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

expect.set_options(timeout=20_000)  # the machine may be busy

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MICROPHONE_RATE_HZ = 48_000
SPEAKER_RATE_HZ = 24_000

DESKTOP = {"width": 1280, "height": 820}
PHONE = {"width": 390, "height": 844}

# Whatever reaches the loudspeaker goes through here on its way, and is kept.
RECORD_WHAT_SOUNDS = """
window.__heard = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...more) {
  if (to instanceof AudioDestinationNode) {
    const tap = this.context.createScriptProcessor(4096, 1, 1);
    tap.onaudioprocess = ({ inputBuffer }) => window.__heard.push(...inputBuffer.getChannelData(0));
    connect.call(this, tap);
    connect.call(tap, to);
  }
  return connect.call(this, to, ...more);
};
"""


def write_microphone(path: Path, *sounds: np.ndarray | float) -> Path:
    """A recording for the fake microphone: speech (int16 at 16 kHz), and silences in seconds."""
    parts = [
        np.zeros(int(sound * MICROPHONE_RATE_HZ), np.int16)
        if isinstance(sound, int | float)
        else soxr.resample(sound, 16_000, MICROPHONE_RATE_HZ)
        for sound in sounds
    ]
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(MICROPHONE_RATE_HZ)
        recording.writeframes(np.concatenate(parts).astype("<i2").tobytes())
    return path


def write_camera(path: Path, picture: np.ndarray) -> Path:
    """A film for the fake camera: one picture, again and again."""
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    path.write_bytes(encoded * 5)
    return path


class Chromium:
    """A browser whose devices are files."""

    def __init__(self, playwright: Any) -> None:
        self._playwright = playwright

    @contextmanager
    def open(
        self,
        url: str,
        *,
        microphone: Path | None = None,
        camera: Path | None = None,
        allowed: bool = True,
        devices: bool = True,
        viewport: dict[str, int] = DESKTOP,
        arguments: Sequence[str] = (),
        **context: Any,
    ) -> Iterator[Page]:
        """Open the page; without `allowed`, the user refuses what it asks for."""
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", *arguments]
        if devices:
            flags.append("--use-fake-device-for-media-stream")
        if allowed:
            flags.append("--use-fake-ui-for-media-stream")
        if microphone is not None:
            flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
        if camera is not None:
            flags.append(f"--use-file-for-fake-video-capture={camera}")
        browser = self._playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            opened: BrowserContext = browser.new_context(viewport=viewport, **context)
            opened.add_init_script(RECORD_WHAT_SOUNDS)
            page = opened.new_page()
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda said: "Security Policy" in said.text and faults.append(said.text))
            page.goto(url)
            yield page
            assert not faults, f"the page has failed: {faults}"
        finally:
            browser.close()


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser to open pages with; only for tests that are no coroutines."""
    with sync_playwright() as playwright:
        yield Chromium(playwright)


def heard_samples(page: Page) -> np.ndarray:
    """What came out of the loudspeaker so far, at 24 kHz."""
    return np.array(page.evaluate("window.__heard"), np.float32)

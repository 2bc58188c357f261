"""Speech to measure with: human recordings, and requests read out by synthesisers."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from report import ROOT

from hearsight.agent.voice.hibari import HibariVoice
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples
from hearsight.wav import read_wav

HUMAN_SPEECH = ROOT / "tests" / "data" / "speech"
LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
"""Where Debian's pocketsphinx-testdata puts read sentences of *Sense and Sensibility*."""
LEVEL = 0.1
"""Root mean square of synthetic speech, full scale 1: that of a voice near a microphone."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Something said, and its words."""

    name: str
    words: str
    samples: Samples
    """16 kHz."""


def short_human_recordings() -> list[Recording]:
    """The recordings that come with the tests."""
    rows = (HUMAN_SPEECH / "README.md").read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip(" `") for cell in row.strip("|").split("|")] for row in rows if row.startswith("| `")
    ]
    return [Recording(name, words, read_wav(HUMAN_SPEECH / name, INPUT_RATE_HZ)) for name, words in cells]


def librivox_recordings() -> list[Recording]:
    """The read sentences of Debian's pocketsphinx-testdata; none where it is not installed."""
    transcripts = LIBRIVOX / "transcription"
    if not transcripts.exists():
        return []
    found = []
    for line in transcripts.read_text(encoding="utf-8").splitlines():
        words, _, name = line.rpartition("(")
        name = name.rstrip(") ")
        samples = read_wav(LIBRIVOX / f"{name}.wav", INPUT_RATE_HZ)
        found.append(Recording(name, words.replace("<s>", "").replace("</s>", "").strip(), samples))
    return found


async def read_by_hibari(texts: Sequence[str]) -> list[Recording]:
    """The texts in the voice that the service itself speaks with."""
    voice = HibariVoice()
    try:
        spoken = []
        for text in texts:
            chunk = await voice.synthesize(text, speed=1.0)
            spoken.append(Recording(text, text, levelled(chunk.samples, OUTPUT_RATE_HZ)))
        return spoken
    finally:
        await voice.aclose()


def read_by_flite(texts: Sequence[str]) -> list[Recording]:
    """The texts in flite's voice ``slt``: a woman from joined recordings, with an American accent.

    Raises:
        FileNotFoundError: flite is not installed.
    """
    return _read_by_program(texts, lambda path, text: ["flite", "-voice", "slt", "-o", path, "-t", text])


def read_by_pico(texts: Sequence[str]) -> list[Recording]:
    """The texts in SVOX Pico's American English: another woman, of another synthesiser (Debian non-free).

    Raises:
        FileNotFoundError: pico2wave is not installed.
    """
    return _read_by_program(texts, lambda path, text: ["pico2wave", "-l", "en-US", "-w", path, "--", text])


def read_by_espeak(texts: Sequence[str]) -> list[Recording]:
    """The texts in espeak-ng's American English: a voice of quite another kind, from formants.

    Raises:
        FileNotFoundError: espeak-ng is not installed.
    """
    return _read_by_program(
        texts, lambda path, text: ["espeak-ng", "-v", "en-us", "-s", "150", "-w", path, "--", text]
    )


def _read_by_program(texts: Sequence[str], command: Callable[[str, str], list[str]]) -> list[Recording]:
    spoken = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        for text in texts:
            subprocess.run(command(str(path), text), input=text, text=True, check=True)
            spoken.append(Recording(text, text, levelled(read_wav(path, INPUT_RATE_HZ), INPUT_RATE_HZ)))
    return spoken


async def read_in_voices(texts: Sequence[str]) -> dict[str, list[Recording]]:
    """The texts read by hibari, and by pico, flite and espeak-ng where they are installed."""
    voices = {"hibari": await read_by_hibari(texts)}
    if shutil.which("pico2wave"):
        voices["pico"] = await asyncio.to_thread(read_by_pico, texts)
    if shutil.which("flite"):
        voices["flite slt"] = await asyncio.to_thread(read_by_flite, texts)
    if shutil.which("espeak-ng"):
        voices["espeak-ng"] = await asyncio.to_thread(read_by_espeak, texts)
    return voices


def silence(duration_s: float, rate_hz: int = INPUT_RATE_HZ) -> Samples:
    """Nearly nothing: the noise floor of a microphone, so that no model meets digital zeros."""
    noise = np.random.default_rng(0).standard_normal(round(duration_s * rate_hz)) * 4
    return noise.astype(np.int16)


def levelled(samples: Samples, rate_hz: int) -> Samples:
    """Speech at ``rate_hz`` as 16 kHz at ``LEVEL``."""
    wave = samples.astype(np.float64) / 32_768
    if rate_hz != INPUT_RATE_HZ:
        wave = soxr.resample(wave, rate_hz, INPUT_RATE_HZ)
    wave *= LEVEL / max(float(np.sqrt(np.mean(np.square(wave)))), 1e-6)
    return np.clip(np.rint(wave * 32_767), -32_768, 32_767).astype(np.int16)

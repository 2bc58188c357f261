"""Speech that a speaker plays into a room is taken out of the microphone; who speaks there is not."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import soxr
from jiwer import wer

from hearsight.streams.audio.echo import BandEnergies
from hearsight.streams.audio.vad import FRAME_SAMPLES, VoiceActivityStream
from hearsight.streams.local.echo_canceller import EchoCanceller
from hearsight.wav import read_wav

SPEECH = Path(__file__).parents[2] / "data" / "speech"
WORDS = "had he married a more amiable woman he might have been made still more respectable than he was"
RATE = 16_000
BLOCK_S = 0.02
LATENCY_S = 0.1
"""Of speaker and microphone together; the echo comes later than this."""


@functools.cache
def voice() -> np.ndarray:
    """15 s of what the speaker plays, 24 kHz."""
    names = ("cold_hearted", "eight_of_spades", "seven_of_clubs", "cold_hearted")
    return np.concatenate([read_wav(SPEECH / f"{name}.wav", 24_000) for name in names])


@functools.cache
def user() -> np.ndarray:
    return read_wav(SPEECH / "amiable_woman.wav", RATE)


def echo(decibel: float, *, delay_s: float = 0.12, reverberation_s: float = 0.25) -> np.ndarray:
    """What a microphone hears of the voice: later, quieter, smeared by a room."""
    rng = np.random.default_rng(1)
    times = np.arange(round(reverberation_s * RATE)) / RATE
    response = rng.standard_normal(times.size) * np.exp(-6.9 * times / reverberation_s)
    response *= math.sqrt(0.4 / np.square(response).sum())
    response[0] += math.sqrt(0.6)
    played = soxr.resample(voice().astype(np.float64), 24_000, RATE)
    smeared = np.convolve(played, response)[: played.size] * 10 ** (decibel / 20)
    return np.concatenate([np.zeros(round(delay_s * RATE)), smeared])


def heard(*sounds: tuple[float, np.ndarray]) -> np.ndarray:
    """All sounds together, each from a moment on, and the noise of a microphone."""
    length = max(round(at_s * RATE) + sound.size for at_s, sound in sounds)
    mixed = np.random.default_rng(2).standard_normal(length) * 6
    for at_s, sound in sounds:
        mixed[round(at_s * RATE) :][: sound.size] += sound
    return np.clip(np.rint(mixed), -32_768, 32_767).astype(np.int16)


def cancelled(
    microphone: np.ndarray, *, played: np.ndarray | None = None, jitter: int = 0, drift: float = 0.0
):
    """The microphone after the canceller; blocks of both sides come in turn.

    `jitter` is by how many blocks those of the speaker may be late, now and then; `drift` by how much faster
    its clock goes.
    """
    far = voice() if played is None else played
    canceller, rng = EchoCanceller(), np.random.default_rng(5)
    near_block, far_block = round(RATE * BLOCK_S), round(24_000 * BLOCK_S)
    out, at, waiting = [], 0.0, 0
    for start in range(0, microphone.size, near_block):
        waiting += 1
        if not jitter or rng.random() < 1 / jitter or waiting > jitter:
            for _ in range(waiting):
                step = far_block * (1 + drift)
                canceller.play(far[round(at) : round(at + step)], LATENCY_S / 2)
                at += step
            waiting = 0
        out.append(canceller.hear(microphone[start : start + near_block], LATENCY_S / 2))
    return np.concatenate(out)


def loss_db(before: np.ndarray, after: np.ndarray, from_s: float) -> float:
    """Echo return loss enhancement from a moment on."""
    start, end = round(from_s * RATE), min(before.size, after.size)
    powers = [np.square(part[start:end].astype(float)).mean() for part in (before, after)]
    return 10 * math.log10(powers[0] / (powers[1] + 1e-9))


@pytest.mark.parametrize(("decibel", "least_db"), [(0, 25), (-10, 25), (-20, 22), (-30, 15)])
def test_an_echo_alone_is_taken_out(decibel: float, least_db: float) -> None:
    microphone = heard((0, echo(decibel)))
    assert loss_db(microphone, cancelled(microphone), 2.0) > least_db


@pytest.mark.parametrize("delay_s", [0.06, 0.2, 0.4])
def test_whenever_it_comes(delay_s: float) -> None:
    microphone = heard((0, echo(-10, delay_s=delay_s)))
    assert loss_db(microphone, cancelled(microphone), 3.0) > 20


def test_in_a_hall() -> None:
    microphone = heard((0, echo(-10, reverberation_s=0.6)))
    assert loss_db(microphone, cancelled(microphone), 3.0) > 15


def test_blocks_that_come_late_do_no_harm() -> None:
    microphone = heard((0, echo(-10)))
    assert loss_db(microphone, cancelled(microphone, jitter=3), 3.0) > 18


@pytest.mark.parametrize("drift", [3e-4, -3e-4])
def test_clocks_that_differ_are_followed(drift: float) -> None:
    """300 millionths, which is what bad ones do."""
    microphone = heard((0, echo(-10)))
    assert loss_db(microphone, cancelled(microphone, drift=drift), 3.0) > 15


def test_an_echo_does_not_sound_like_speech(silero) -> None:
    microphone = heard((0, echo(-10)))
    loud, quiet = (VoiceActivityStream(silero), VoiceActivityStream(silero))
    after = cancelled(microphone)
    frames = range(2 * RATE, after.size - FRAME_SAMPLES, FRAME_SAMPLES)
    before = [loud.process(microphone[at : at + FRAME_SAMPLES]) > 0.5 for at in frames]
    speech = [quiet.process(after[at : at + FRAME_SAMPLES]) > 0.5 for at in frames]
    assert np.mean(before) > 0.5, "without the canceller, nothing but speech is heard"
    assert np.mean(speech) < 0.02


def test_whoever_speaks_alone_is_left_as_they_are() -> None:
    microphone = heard((0.5, user()))
    after = cancelled(microphone, played=np.zeros(24_000 * 10, np.int16)).astype(float)
    before = microphone[: after.size].astype(float)
    assert np.square(after).mean() / np.square(before).mean() > 0.7
    bands = [BandEnergies().feed(np.rint(part).astype(np.int16)).ravel() for part in (before, after)]
    lags = [np.corrcoef(bands[0][: -24 * lag or None], bands[1][24 * lag :])[0, 1] for lag in range(3)]
    assert max(lags) > 0.97


@pytest.mark.parametrize("decibel", [-10, -20, -30])
def test_whoever_speaks_over_it_sounds_like_speech(silero, decibel: float) -> None:
    after = cancelled(heard((0, echo(decibel)), (4.0, user())))
    activity, clean = VoiceActivityStream(silero), VoiceActivityStream(silero)
    start = 4 * RATE
    speech, wanted = [], []
    for at in range(0, user().size - FRAME_SAMPLES, FRAME_SAMPLES):
        wanted.append(clean.process(user()[at : at + FRAME_SAMPLES]) > 0.5)
        speech.append(activity.process(after[start + at : start + at + FRAME_SAMPLES]) > 0.5)
    assert np.mean(np.array(speech)[np.array(wanted)]) > 0.85


@pytest.mark.models
@pytest.mark.parametrize("decibel", [-10, -20])
def test_whoever_speaks_over_it_is_understood(decibel: float) -> None:
    from faster_whisper import WhisperModel

    folder = Path(platformdirs.user_cache_dir("hearsight")) / "models" / "whisper-base"
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)
    after = cancelled(heard((0, echo(decibel)), (4.0, user())))
    speech = after[round(3.9 * RATE) : round(4.1 * RATE) + user().size].astype(np.float32) / 32_768
    segments, _ = model.transcribe(speech, language="en", beam_size=1)
    text = "".join(c for c in " ".join(s.text for s in segments).lower() if c.isalpha() or c == " ")
    assert wer(WORDS, " ".join(text.split())) <= 0.2

"""The service's own voice, played into a room, is told from somebody who speaks there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.audio.echo import BANDS, HOP, WINDOW, BandEnergies, EchoGuard
from hearsight.wav import read_wav

SPEECH = Path(__file__).parents[2] / "data" / "speech"
FRAME = 512


def recording(name: str, rate_hz: int = 16_000) -> np.ndarray:
    return read_wav(SPEECH / f"{name}.wav", rate_hz)


VOICE = recording("amiable_woman", 24_000)
USER = recording("eight_of_spades")


def room(voice: np.ndarray, decibel: float, *, delay_s: float = 0.15, reverberation_s: float = 0.2):
    """What a microphone hears of a voice from a speaker: later, quieter, smeared."""
    rng = np.random.default_rng(1)
    times = np.arange(4_000) / 16_000
    response = rng.standard_normal(times.size) * np.exp(-6.9 * times / reverberation_s)
    response *= np.sqrt(0.4 / np.square(response).sum())
    response[0] += np.sqrt(0.6)
    played = soxr.resample(voice.astype(np.float64), 24_000, 16_000)
    echo = np.convolve(played, response)[: played.size] * 10 ** (decibel / 20)
    heard = np.concatenate([np.zeros(round(delay_s * 16_000)), echo])
    return heard + rng.standard_normal(heard.size) * 8


def judged(microphone: np.ndarray, voice: np.ndarray | None = VOICE, *, chunk: int = 1) -> list[bool]:
    """What the guard says of each 32 ms; the voice goes out 0.5 s ahead, the microphone comes in chunks."""
    guard, now, sent = EchoGuard(), 50.0, 0
    audio = np.clip(np.rint(microphone), -32_768, 32_767).astype(np.int16)
    verdicts = []
    frames = [audio[at : at + FRAME] for at in range(0, audio.size - FRAME + 1, FRAME)]
    for index, frame in enumerate(frames):
        while voice is not None and sent < min(voice.size, (now - 50.0 + 0.5) * 24_000):
            guard.play(voice[sent : sent + 2_400], now)
            sent += 2_400
        guard.hear(frame, now)
        verdicts.append(guard.is_echo)
        if index % chunk == chunk - 1:
            now += chunk * FRAME / 16_000
    return verdicts


def overheard(guard: EchoGuard, microphone: np.ndarray, start_s: float) -> list[bool]:
    """What a guard says of each 32 ms from a moment on."""
    verdicts = []
    for at in range(0, microphone.size - FRAME, FRAME):
        guard.hear(microphone[at : at + FRAME], start_s + at / 16_000)
        verdicts.append(guard.is_echo)
    return verdicts


def loud(microphone: np.ndarray) -> np.ndarray:
    """Frames in which a third of a second has not just been silent."""
    frames = microphone[: microphone.size // FRAME * FRAME].reshape(-1, FRAME)
    level = np.sqrt(np.square(frames.astype(np.float64)).mean(axis=1))
    return level > 0.2 * level.max()


@pytest.mark.parametrize("decibel", [-10, -20, -30])
@pytest.mark.parametrize("delay_s", [0.02, 0.2, 0.6])
def test_its_own_voice_is_echo(decibel: float, delay_s: float) -> None:
    microphone = room(VOICE, decibel, delay_s=delay_s)
    verdicts = np.array(judged(microphone))
    counted = loud(microphone)
    counted[: round((delay_s + 0.35) / 0.032)] = False
    assert verdicts[counted].mean() > 0.95


def test_it_is_echo_when_the_microphone_comes_in_chunks() -> None:
    microphone = room(VOICE, -20)
    counted = loud(microphone)
    counted[:20] = False
    assert np.array(judged(microphone, chunk=6))[counted].mean() > 0.9


@pytest.mark.parametrize("decibel", [-20, -30, -90])
def test_somebody_who_speaks_over_it_is_none(decibel: float) -> None:
    microphone = room(VOICE, decibel)
    start = 16_000
    user = USER[: microphone.size - start]
    microphone[start : start + user.size] += user
    verdicts = np.array(judged(microphone))
    counted = np.zeros(len(verdicts), bool)
    own = loud(user)
    counted[start // FRAME : start // FRAME + own.size] = own
    counted[: start // FRAME + 10] = False
    assert verdicts[counted].mean() < 0.15


def test_without_an_answer_nothing_is_echo() -> None:
    assert not any(judged(USER.astype(np.float64), voice=None))


def test_what_was_played_long_ago_is_not_echoed() -> None:
    guard = EchoGuard()
    guard.play(VOICE, 10.0)
    late = 10.0 + VOICE.size / 24_000 + 2.0
    microphone = room(VOICE, -10).astype(np.int16)
    verdicts = overheard(guard, microphone, late)
    assert not any(verdicts)


def test_what_follows_an_interruption_is_played_at_once() -> None:
    guard = EchoGuard()
    guard.play(VOICE[::-1].copy(), 10.0)
    guard.stop(10.1)
    guard.play(VOICE, 10.2)
    microphone = room(VOICE, -20).astype(np.int16)
    verdicts = overheard(guard, microphone, 10.2)
    assert np.mean(verdicts[20:60]) > 0.7


def test_a_microphone_that_was_closed_is_aligned_anew() -> None:
    guard = EchoGuard()
    for index in range(40):
        guard.hear(np.zeros(FRAME, np.int16), 5.0 + index * 0.032)
    microphone = room(VOICE, -20).astype(np.int16)
    verdicts = []
    for index, at in enumerate(range(0, microphone.size - FRAME, FRAME)):
        now = 60.0 + index * 0.032
        if at == 0:
            guard.play(VOICE, now)
        guard.hear(microphone[at : at + FRAME], now)
        verdicts.append(guard.is_echo)
    assert np.mean(verdicts[25:60]) > 0.7


@given(st.lists(st.integers(0, 1_500), max_size=12))
def test_energies_do_not_depend_on_the_chunks(sizes: list[int]) -> None:
    audio = USER[: sum(sizes)]
    whole, pieces = BandEnergies().feed(audio), BandEnergies()
    rows = [pieces.feed(part) for part in np.split(audio, np.cumsum(sizes)[:-1])] if sizes else []
    together = np.concatenate([np.zeros((0, BANDS), np.float32), *rows])
    assert whole.shape == (max(0, (audio.size + WINDOW - HOP - WINDOW) // HOP + 1), BANDS)
    assert np.allclose(whole, together, rtol=1e-3, atol=1e-3)


@given(
    st.lists(st.tuples(st.sampled_from(["play", "hear", "stop", "wait"]), st.integers(0, 9_000)), max_size=20)
)
def test_any_order_of_playing_and_hearing_is_taken(script: list[tuple[str, int]]) -> None:
    guard, now = EchoGuard(), 1.0
    for what, size in script:
        match what:
            case "play":
                guard.play(np.full(size, 100, np.int16), now)
            case "hear":
                guard.hear(np.full(size, 100, np.int16), now)
                assert guard.is_echo in (True, False)
            case "stop":
                guard.stop(now)
            case "wait":
                now += size / 1_000


@pytest.mark.parametrize("begins_s", [0.15, 0.3, 0.6])
@pytest.mark.parametrize("name", ["seven_of_clubs", "ten_of_clubs", "eight_of_spades", "cold_hearted"])
def test_whoever_speaks_as_soon_as_it_does_is_none(name, begins_s):
    """Two that begin to sound at nearly the same time are alike in that, and in nothing else."""
    speech = recording(name)
    speech = speech[np.argmax(np.abs(speech.astype(int)) > 1_000) :][:16_000]
    quiet = np.random.default_rng(2).standard_normal(round(begins_s * 16_000)) * 8
    verdicts = judged(np.concatenate([quiet, speech]))[round(begins_s * 16_000 / FRAME) :]
    assert sum(verdicts[:20]) <= 4

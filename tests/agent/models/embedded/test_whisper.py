from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.embedded.extra import import_from_extra
from hearsight.agent.models.embedded.whisper import (
    FRAMES_PER_S,
    SAMPLE_RATE_HZ,
    Whisper,
    is_loop,
    token_budget,
    window_frames,
)
from hearsight.streams.errors import EngineError

LONGEST = 30 * FRAMES_PER_S


@pytest.mark.parametrize(
    ("seconds", "window_s"), [(0, 10), (0.3, 10), (8.99, 10), (9.0, 10), (9.01, 11), (20.5, 22), (28, 29)]
)
def test_a_window_holds_the_utterance_and_a_second_of_silence(seconds: float, window_s: int) -> None:
    assert window_frames(round(seconds * SAMPLE_RATE_HZ)) == window_s * FRAMES_PER_S


@given(st.integers(0, 600 * SAMPLE_RATE_HZ))
def test_no_window_is_shorter_than_is_safe_or_longer_than_the_model_knows(samples: int) -> None:
    frames = window_frames(samples)
    assert 10 * FRAMES_PER_S <= frames <= LONGEST
    assert frames == LONGEST or frames * 160 >= samples + SAMPLE_RATE_HZ


@given(st.integers(0, 30 * SAMPLE_RATE_HZ), st.integers(0, 30 * SAMPLE_RATE_HZ))
def test_longer_speech_may_have_more_tokens_but_never_more_than_the_decoder_holds(a: int, b: int) -> None:
    shorter, longer = sorted((a, b))
    assert 16 <= token_budget(shorter) <= token_budget(longer) <= 224


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes.",
        "No, no, no, no!",
        "It was the best of times, it was the worst of times, it was the age of wisdom, "
        "it was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity.",
        "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen.",
    ],
)
def test_what_people_say_is_not_taken_for_a_loop(text: str) -> None:
    assert not is_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "How long should I wait? How long should I wait?",
        "Tell me about the moon. Tell me about the moon, tell me about the moon",
    ],
)
def test_a_request_that_is_nothing_but_one_phrase_again_is_a_loop(text: str) -> None:
    assert is_loop(text)


@pytest.mark.parametrize("text", ["Thank you, thank you.", "Tell me about the moon. Tell me about the sun."])
def test_a_short_word_or_another_end_is_no_loop(text: str) -> None:
    assert not is_loop(text)


@given(st.text(st.characters(categories=("L",)), min_size=3, max_size=20), st.integers(20, 60))
def test_a_phrase_said_over_and_over_is_a_loop(phrase: str, times: int) -> None:
    assert is_loop(f"{phrase} " * times)


def test_a_missing_library_is_an_error_that_says_what_to_install() -> None:
    with pytest.raises(EngineError, match=r"Speech to text needs .*pip install 'hearsight\[embedded\]'"):
        import_from_extra("a_library_that_nobody_has", "Speech to text")


def test_threads_that_wait_leave_the_cores_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    import_from_extra("json", "Anything")
    assert os.environ["OMP_WAIT_POLICY"] == "passive" and os.environ["GOMP_SPINCOUNT"] == "1000"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.delenv("GOMP_SPINCOUNT")
    import_from_extra("json", "Anything")
    assert os.environ["OMP_WAIT_POLICY"] == "active", "who sets it knows better"
    assert "GOMP_SPINCOUNT" not in os.environ


def test_a_folder_without_a_model_is_an_error_without_the_path(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="could not be loaded") as caught:
        Whisper(tmp_path, threads=1, language="en")
    assert str(tmp_path) not in caught.value.message

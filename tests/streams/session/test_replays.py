"""A conversation that breaks a promise leaves a replay behind."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from session_driver import SessionDriver
from session_replays import given

from hearsight.streams.events import Announce, ResponseStarted
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.replaying import replay


def test_a_failing_example_leaves_its_smallest_form_as_a_replay(tmp_path):
    @settings(database=None, max_examples=200)
    @given(st.integers(0, 9), folder=tmp_path)
    def test_nobody_announces(count):
        driver = SessionDriver()
        driver.silence(64)
        driver.feed(*[Announce(f"Number {number}.") for number in range(count)])
        assert driver.all(ResponseStarted) == []

    with pytest.raises(AssertionError) as failure:
        test_nobody_announces()
    folder = tmp_path / "test_nobody_announces"
    assert f"What the session was given: hearsight replay {folder}" in failure.value.__notes__
    with Recording(folder) as recording:
        asked = [line.value for line in recording.lines() if line.kind == "in"]
        assert [each["text"] for each in asked if each["type"] == "Announce"] == ["Number 0."]
        verdict = replay(recording)
    assert verdict.same and verdict.inputs == 3 and verdict.outputs == 1


def test_what_passes_leaves_nothing(tmp_path):
    @settings(database=None, max_examples=3)
    @given(st.booleans(), folder=tmp_path)
    def test_fine(_):
        SessionDriver().silence(64)

    test_fine()
    assert list(tmp_path.iterdir()) == []

"""The benchmark's scenes judge what was seen, and can be failed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import repertoire  # noqa: E402
from expectations import ALWAYS, GOES_ON, STOPS, calls, makes, says, turns, understands  # noqa: E402
from scenes import Household, _from_decision_to_audio  # noqa: E402
from seen import Said, Seen  # noqa: E402
from stages import Mark  # noqa: E402

QUIET = np.zeros(24_000, np.int16)
SPOKEN = {text: QUIET for text in (*repertoire.TEXTS, repertoire.BEFORE, repertoire.AFTER)}


def all_scenes() -> list[repertoire.Scene]:
    return [
        *repertoire.scenes(SPOKEN),
        *repertoire.around_tools(SPOKEN),
        *repertoire.around_consent(SPOKEN),
    ]


def seen_of(*events: tuple[str, dict], at_s: float = 1.0) -> Seen:
    seen = Seen()
    for number, (kind, fields) in enumerate(events):
        seen.note({"type": kind, **fields}, at_s + number)
    return seen


def ended(status: str) -> tuple[str, dict]:
    return "response.done", {"response": {"status": status}}


def test_the_names_of_scenes_are_their_own():
    names = [scene.name for scene in all_scenes()]
    assert len(set(names)) == len(names) >= 20


@pytest.mark.parametrize("scene", all_scenes(), ids=lambda scene: scene.name)
def test_a_scene_in_which_nothing_happens_is_not_as_expected_unless_nothing_should(scene):
    quiet_is_right = scene.expects == [GOES_ON]
    assert bool(scene.problems(Seen())) is not quiet_is_right
    assert scene.said(0) and all(one.samples.ndim == 1 for one in scene.said(1))


def test_moments_are_counted():
    seen = seen_of(
        ("response.output_audio.delta", {"item_id": "a"}),
        ("response.output_audio.delta", {"item_id": "a"}),
        ("response.mcp_call.in_progress", {}),
        ("response.output_audio.delta", {"item_id": "b"}),
        ended("completed"),
    )
    assert seen.moments == {"audio 1": 1.0, "call 1": 3.0, "audio 2": 4.0, "ended 1": 5.0}
    assert seen.audio_s == [1.0, 2.0, 4.0]


def test_the_last_audio_is_that_before_a_gap():
    seen = Seen(audio_s=[1.0, 1.1, 1.2, 1.9])
    assert seen.last_audio_s(1.05) == pytest.approx(0.15)
    assert seen.last_audio_s(1.3) == 0
    assert seen.next_audio_s(1.3) == pytest.approx(0.6) and seen.next_audio_s(2.0) is None


def test_something_said_begins_and_ends_where_it_is_loud():
    samples = np.zeros(24_000, np.int16)
    samples[2_400:12_000] = 1_000
    said = Said(2.0, samples)
    assert (said.begins_s, said.ends_s) == (2.1, pytest.approx(2.5, abs=0.001))


@pytest.mark.parametrize(
    ("expectation", "good", "bad"),
    [
        (GOES_ON, Seen(), Seen(statuses=["cancelled"])),
        (GOES_ON, Seen(), Seen(speech_started=1)),
        (STOPS, Seen(statuses=["cancelled"]), Seen(statuses=["cancelled", "cancelled"])),
        (calls("a", "b"), Seen(calls=["b", "a"]), Seen(calls=["a", "b", "b"])),
        (makes("save"), Seen(made=["save"]), Seen(made=["save", "save"])),
        (makes(), Seen(), Seen(made=["save"])),
        (says("done"), Seen(spoken={"a": "Done."}), Seen(spoken={"a": "Done.", "b": "Done, done."})),
        (
            understands("stop", "time"),
            Seen(heard={"a": "Stop.", "b": "What time is it?"}),
            Seen(heard={"a": "What time is it? Stop."}),
        ),
        (turns("completed"), Seen(announced=1, statuses=["completed"]), Seen(announced=1)),
        (turns(more=1), Seen(announced=1), Seen(announced=2)),
        (ALWAYS[0], Seen(announced=1), Seen(announced=2)),
        (ALWAYS[1], Seen(spoken={"a": "One.", "b": " "}), Seen(spoken={"a": "One.", "b": "One. "})),
        (ALWAYS[2], Seen(), Seen(errors=["There is no such item."])),
        (ALWAYS[2], Seen(), Seen(statuses=["failed"])),
    ],
)
def test_an_expectation_tells_good_from_bad(expectation, good, bad):
    assert expectation.holds(good) and not expectation.holds(bad)


def test_the_household_tells_what_is_new(tmp_path):
    household = Household(tmp_path)
    assert household.done("save") == []
    file = tmp_path / "done.txt"
    file.write_text("save\ndelete old\n")
    assert household.done("save") == ["save"] and household.done("delete") == ["delete old"]
    with file.open("a") as more:
        more.write("save\n")
    assert household.done("save") == ["save"] and household.done("delete") == []


def test_from_the_decision_to_the_next_audio():
    marks = [Mark("audio", 1, 1), Mark("dismissed", 2, 2), Mark("audio", 2.1, 2.1), Mark("audio", 3, 3)]
    assert _from_decision_to_audio(marks) == [pytest.approx(0.1)]
    assert _from_decision_to_audio(marks[:2]) == []

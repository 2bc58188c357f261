"""A replay is the same to the byte, or shows the first place where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recording_parts import BEGAN_S, entries, header, recording

from hearsight.config.errors import RecordingError
from hearsight.streams.events import Announce, Close, CreateResponse
from hearsight.streams.recording.event_json import dumps
from hearsight.streams.recording.files import write_recording
from hearsight.streams.recording.model import Entry
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.replaying import replay
from hearsight.streams.session.answering import Answering
from hearsight.streams.session.perceiving import Perceiving

KEPT = sorted((Path(__file__).parents[2] / "data" / "replays").glob("*.zip"))


def lines(folder):
    return (folder / "events.jsonl").read_text().splitlines()


def put(folder, changed):
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in changed))


def verdict(folder):
    with Recording(folder) as opened:
        return replay(opened)


def place(found, kind):
    """Index of the first output of a type."""
    return next(i for i, line in enumerate(found) if json.loads(line).get("out", {}).get("type") == kind)


# --- the same --------------------------------------------------------------------------------------------


def test_a_recording_replays_as_it_was(tmp_path):
    result = verdict(recording(tmp_path / "r"))
    assert result.same and result.divergence is None and result.raised is None
    assert result.inputs == len(entries())
    assert result.outputs == sum(len(entry.outputs) for entry in entries())
    assert result.duration_s == pytest.approx(9.0) and result.ending.complete


@pytest.mark.parametrize("keeps", [(), ("audio",), ("pictures",)])
def test_it_does_without_its_media_too(tmp_path, keeps):
    assert verdict(recording(tmp_path / "r", keeps)).same


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_the_kept_replays_are_what_the_session_does_today(path):
    result = verdict(path)
    assert result.same, result.divergence
    assert result.outputs > 50 and result.ending.complete


def test_the_kept_replays_hold_what_they_are_kept_for():
    def types(name):
        with Recording(KEPT[0].with_name(f"{name}.zip")) as opened:
            return [(line.value["type"], line.value) for line in opened.lines() if line.kind == "out"]

    cancelled = [value for kind, value in types("barge_in") if kind == "ResponseEnded"][0]
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "turn_detected")
    dismissed = [value["reason"] for kind, value in types("backchannel") if kind == "SpeechDismissed"]
    assert dismissed == ["remark", "remark"]
    assert any(value["item"]["kind"] == "server_call" for kind, value in types("camera_and_tools")
               if kind == "OutputItemDone")  # fmt: skip


# --- not the same ----------------------------------------------------------------------------------------


def test_another_session_is_found_out(tmp_path, monkeypatch):
    folder = recording(tmp_path / "r")
    monkeypatch.setattr(Perceiving, "answers_turns", property(lambda self: False))
    result = verdict(folder)
    assert not result.same and json.loads(result.divergence.recorded)["type"] == "Speculated"
    assert result.divergence.replayed is None
    assert result.divergence.cause.value["type"] == "AudioFrame"


def test_an_output_that_is_gone_is_shown_with_its_cause_and_what_came_before(tmp_path):
    folder = recording(tmp_path / "r")
    found = lines(folder)
    index = place(found, "ItemDone")
    put(folder, found[:index] + found[index + 1 :])
    divergence = verdict(folder).divergence
    assert divergence.line == index + 1
    assert json.loads(divergence.replayed)["type"] == "ItemDone"
    assert json.loads(divergence.recorded)["type"] == "Speculated"
    assert divergence.at_s == divergence.cause.at_s
    assert [line.value["type"] for line in divergence.before] == [
        "CameraFrame",
        "SpeechStarted",
        "SpeechStopped",
        "AudioCommitted",
        "ItemAdded",
    ]


def test_an_output_too_many_is_shown(tmp_path):
    folder = recording(tmp_path / "r")
    found = lines(folder)
    index = place(found, "ResponseEnded")
    put(folder, [*found[: index + 1], found[index], *found[index + 1 :]])
    divergence = verdict(folder).divergence
    assert divergence.line == index + 2 and divergence.replayed is None
    assert json.loads(divergence.recorded)["type"] == "ResponseEnded"


def test_an_output_that_was_not_recorded_is_shown(tmp_path):
    folder = recording(tmp_path / "r")
    found = lines(folder)
    index = place(found, "Refused")
    put(folder, found[:index] + found[index + 1 :])
    divergence = verdict(folder).divergence
    assert divergence.recorded is None and json.loads(divergence.replayed)["type"] == "Refused"
    assert divergence.cause.value == {"type": "CreateResponse"}


def test_one_that_is_missing_at_the_end_of_a_complete_recording_is_shown(tmp_path):
    write_recording(tmp_path / "r", header(), [Entry(BEGAN_S, CreateResponse())])
    divergence = verdict(tmp_path / "r").divergence
    assert divergence.recorded is None and json.loads(divergence.replayed)["type"] == "ResponseStarted"


def test_audio_that_sounds_different_is_found_out(tmp_path):
    folder = recording(tmp_path / "r")
    voice = bytearray((folder / "voice.wav").read_bytes())
    voice[5_000] ^= 1
    (folder / "voice.wav").write_bytes(voice)
    divergence = verdict(folder).divergence
    assert json.loads(divergence.recorded)["type"] == json.loads(divergence.replayed)["type"] == "AudioDelta"


@given(st.data())
def test_no_change_of_an_output_goes_unnoticed(tmp_path_factory, data):
    folder = recording(tmp_path_factory.mktemp("r") / "r", keeps=())
    found = lines(folder)
    index = data.draw(st.sampled_from([i for i, line in enumerate(found) if "out" in json.loads(line)]))
    line = json.loads(found[index])
    name = data.draw(st.sampled_from(sorted(line["out"].keys() - {"type"}) or ["type"]))
    line["out"][name] = [line["out"][name]]
    put(folder, [*found[:index], dumps(line), *found[index + 1 :]])
    assert verdict(folder).divergence.line == index + 1


def test_other_ids_are_found_out(tmp_path):
    folder = recording(tmp_path / "r")
    value = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps(value | {"id_seed": "another"}))
    assert json.loads(verdict(folder).divergence.recorded)["type"] == "SpeechStarted"


def test_ids_can_be_counted(tmp_path):
    session = header(id_seed=None).new_session()
    session.receive(CreateResponse(), BEGAN_S)
    outputs = tuple(session.take_outputs())
    assert outputs[0].response_id == "resp_1"
    write_recording(tmp_path / "r", header(id_seed=None), [Entry(BEGAN_S, CreateResponse(), outputs)])
    assert verdict(tmp_path / "r").same


# --- sessions that break down ----------------------------------------------------------------------------


def broken(self, announcement):
    raise ZeroDivisionError("oh dear")


def breakdown(folder, raised):
    taken = [Entry(BEGAN_S, Announce("Ding."), (), raised), Entry(BEGAN_S + 1, Close())]
    write_recording(folder, header(), taken)
    return verdict(folder)


def test_a_session_that_breaks_down_again_is_the_same_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(Answering, "announce", broken)
    result = breakdown(tmp_path / "r", "ZeroDivisionError: oh dear")
    assert result.same and result.raised == "ZeroDivisionError: oh dear"


def test_a_session_that_breaks_down_no_more_differs(tmp_path):
    divergence = breakdown(tmp_path / "r", "ZeroDivisionError: oh dear").divergence
    assert divergence.recorded == "ZeroDivisionError: oh dear"
    assert json.loads(divergence.replayed)["type"] == "ResponseStarted"


def test_a_session_that_breaks_down_only_now_differs(tmp_path, monkeypatch):
    monkeypatch.setattr(Answering, "announce", broken)
    divergence = breakdown(tmp_path / "r", None).divergence
    assert divergence.recorded is None and divergence.replayed == "ZeroDivisionError: oh dear"


# --- incomplete ones -------------------------------------------------------------------------------------


@given(st.integers(0, 100))
def test_whatever_was_written_before_it_was_cut_off_replays(tmp_path_factory, percent):
    folder = recording(tmp_path_factory.mktemp("r") / "r", keeps=())
    data = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(data[: len(data) * percent // 100])
    result = verdict(folder)
    assert result.same and (result.ending is None) == (percent < 100)


def test_one_without_any_line_is_the_same(tmp_path):
    write_recording(tmp_path / "r", header(), [])
    assert verdict(tmp_path / "r").same


def test_one_that_begins_with_an_output_differs(tmp_path):
    folder = recording(tmp_path / "r")
    put(folder, [line for line in lines(folder) if "in" not in json.loads(line)])
    assert verdict(folder).divergence.line == 1


def test_damage_on_the_way_is_an_error_and_no_difference(tmp_path):
    folder = recording(tmp_path / "r")
    found = lines(folder)
    put(folder, [*found[:9], '{"at": 51, "in": {"type": "Nonsense"}}', *found[10:]])
    with pytest.raises(RecordingError, match=r"Line 10 of events\.jsonl"):
        verdict(folder)

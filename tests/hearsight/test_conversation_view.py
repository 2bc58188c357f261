"""A recording as people read it."""

from __future__ import annotations

from io import StringIO

import pytest
from recording_parts import BEGAN_S
from rich.console import Console

from hearsight.conversation_view import Happening, happenings, summary, table
from hearsight.streams.recording.reading import Line


def out(kind, at_s=1.0, **fields):
    return Line(1, BEGAN_S + at_s, "out", {"type": kind, **fields})


def told(*lines):
    return [(each.who, each.what) for each in happenings(lines)]


CALL = {"id": "call_1", "name": "calculate", "arguments": "{}"}
UNWRITTEN = "What the user said could not be written down:"


def done(**fields):
    return out("OutputItemDone", item={"call": CALL, **fields})


def ended(status, **fields):
    return out("ResponseEnded", status=status, **fields)


@pytest.mark.parametrize(
    ("line", "who", "what"),
    [
        (out("TranscriptionCompleted", item_id="i", text="Hello."), "user", "Hello."),
        (out("TranscriptionCompleted", item_id="i", text=""), "user", "(nothing that could be written down)"),
        (out("TranscriptionError", message="It hissed."), "", f"{UNWRITTEN} It hissed."),
        (out("ContentDone", item_id="a", text="Hi there."), "assistant", "Hi there."),
        (out("ContentDone", item_id="a", text=""), "assistant", "(nothing of it was heard)"),
        (done(output="4"), "tool", "calculate({}) → 4"),
        (done(error="No."), "tool", "calculate({}) → No."),
        (done(), "tool", "calculate({}) → handed to the client"),
        (ended("cancelled", reason="turn_detected"), "", "The answer was cancelled: turn_detected"),
        (ended("failed", message="It broke."), "", "The answer was failed: It broke."),
        (out("SpeechDismissed", reason="remark"), "", "Speech over the answer did not stop it: remark"),
        (out("Refused", message="Too early."), "", "Refused: Too early."),
        (out("Dropped", what="picture", reason="too many"), "", "Dropped picture: too many"),
        (out("IdleTimedOut"), "", "Nobody spoke for a while."),
        (Line(1, BEGAN_S, "raised", "KeyError: 'x'"), "", "The session broke down: KeyError: 'x'"),
    ],
)
def test_what_happened_is_told_in_a_line(line, who, what):
    assert told(line) == [(who, what)]


@pytest.mark.parametrize(
    "line",
    [
        out("AudioDelta", samples={"count": 3}),
        out("ResponseEnded", status="completed"),
        out("OutputItemDone", item={"kind": "message"}),
        out("ItemAdded", item={"content": [{"type": "AudioContent", "duration_ms": 5}]}),
        Line(1, BEGAN_S, "in", {"type": "Refused", "message": "not an output"}),
        out("ItemAdded", item={"content": 7}),
        out(["nonsense"]),
    ],
)
def test_what_is_not_worth_telling_is_left_out(line):
    assert told(line) == []


def test_what_was_typed_and_shown_is_told():
    content = [
        {"type": "TextContent", "text": "What is this?"},
        {"type": "ImageContent", "picture": {"width": 640, "height": 480}},
    ]
    assert told(out("ItemAdded", item={"content": content})) == [
        ("user", "What is this? [a picture of 640 × 480]")
    ]
    result = {"kind": "function_call_output", "output": "It is dark."}
    assert told(out("ItemAdded", item=result)) == [("user", "(result of a tool) It is dark.")]


def test_words_stand_where_they_began():
    found = list(
        happenings(
            [
                out("SpeechStarted", 1.0, item_id="i"),
                out("AudioCommitted", 2.0, item_id="i"),
                out("AudioCommitted", 2.5, item_id="pushed to talk"),
                out("ContentStarted", 3.0, item_id="a"),
                out("TranscriptionCompleted", 4.0, item_id="i", text="Hello."),
                out("TranscriptionCompleted", 5.0, item_id="pushed to talk", text="You?"),
                out("ContentDone", 6.0, item_id="a", text="Hi."),
            ]
        )
    )
    assert [(each.at_s - BEGAN_S, each.what) for each in found] == [
        (1.0, "Hello."),
        (2.5, "You?"),
        (3.0, "Hi."),
    ]


def test_an_answer_that_the_recording_does_not_outlast_is_told_as_far_as_it_went():
    found = list(
        happenings(
            [
                out("ContentStarted", 1.0, item_id="a"),
                out("TextDelta", 1.0, item_id="a", text="All of it."),
                out("ContentDone", 1.5, item_id="a", text="All of it."),
                out("ContentStarted", 3.0, item_id="b"),
                out("TextDelta", 3.0, item_id="b", text="Once upon"),
                out("TextDelta", 3.2, item_id="b", text=" a time"),
            ]
        )
    )
    assert [(each.at_s - BEGAN_S, each.what) for each in found] == [
        (1.0, "All of it."),
        (3.0, "Once upon a time … (the recording ends here)"),
    ]


def test_the_table_is_in_order_and_no_markup_of_theirs_counts():
    console = Console(file=StringIO(), width=100)
    console.print(
        table(
            [Happening(BEGAN_S + 2, "assistant", "[red]x[/]"), Happening(BEGAN_S + 1, "user", "y" * 900)],
            BEGAN_S,
        )
    )
    text = console.file.getvalue()
    assert text.index("1.0 s  user") < text.index("2.0 s  assistant  [red]x[/]")
    assert text.count("y") == 500 and "…" in text


def test_an_event_in_a_few_words():
    event = {"type": "SpeechStarted", "item_id": "i", "audio_start_ms": 5, "samples": {"count": 3}}
    assert summary(event) == 'SpeechStarted item_id="i", audio_start_ms=5, samples=…'
    assert summary({}) == "?"

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.pending import PendingCalls, question
from hearsight.tools.calls import ToolCall, ToolSpec

CALL = ToolCall("call_1", "delete_file", {"name": "notes.txt"})
OTHER = ToolCall("call_2", "delete_file", {"name": "plans.txt"})


def spec(text: str = "") -> ToolSpec:
    return ToolSpec("delete_file", "", {}, confirm=True, question=text)


def test_what_was_asked_is_taken_once() -> None:
    pending = PendingCalls()
    assert not pending.waiting and pending.take(1) == ()
    pending.ask([CALL], 1)
    assert pending.waiting
    assert pending.take(2) == (CALL,)
    assert not pending.waiting and pending.take(3) == ()


def test_an_answer_that_was_discarded_is_still_to_be_given() -> None:
    pending = PendingCalls()
    pending.ask([CALL], 1)
    pending.take(2)
    pending.discard(2)
    assert pending.take(3) == (CALL,)


def test_a_question_that_was_discarded_was_never_asked() -> None:
    pending = PendingCalls()
    pending.ask([CALL], 1)
    pending.discard(1)
    assert not pending.waiting and pending.take(2) == ()


def test_a_new_question_takes_the_place_of_the_old_one() -> None:
    pending = PendingCalls()
    pending.ask([CALL], 1)
    pending.ask([OTHER], 2)
    pending.discard(1)
    assert pending.take(3) == (OTHER,)


@pytest.mark.parametrize(
    ("asked", "arguments", "expected"),
    [
        ("Shall I really delete {name}?", {"name": "a"}, "Shall I really delete a?"),
        ("Shall I really delete {name}?", {}, "Shall I delete file?"),
        ("", {"name": "a"}, "Shall I delete file, with name a?"),
        ("", {"file_name": "a", "size": 3, "note": ""}, "Shall I delete file, with file name a, size 3?"),
        ("Delete {0}?", {"name": "a"}, "Shall I delete file, with name a?"),
        ("Delete {name.nothing}?", {"name": "a"}, "Shall I delete file, with name a?"),
        ("Delete {", {}, "Shall I delete file?"),
    ],
)
def test_a_question_can_always_be_asked(asked: str, arguments: dict[str, Any], expected: str) -> None:
    assert question(ToolCall("c", "delete_file", arguments), spec(asked)) == expected


@given(st.lists(st.tuples(st.sampled_from(["ask", "take", "discard"]), st.integers(1, 4)), max_size=20))
def test_no_call_is_taken_twice_unless_the_first_time_was_undone(script: list[tuple[str, int]]) -> None:
    pending, taken_by = PendingCalls(), None
    for what, generation in script:
        if what == "ask":
            pending.ask([CALL], generation)
            taken_by = None
        elif what == "discard":
            pending.discard(generation)
            taken_by = None if taken_by == generation else taken_by
        elif pending.take(generation):
            assert taken_by is None
            taken_by = generation

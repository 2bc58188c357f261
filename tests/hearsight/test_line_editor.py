"""Keys in, lines out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hearsight.line_editor import MAX_CHARS, EndPressed, LineEditor, SpacePressed, Typed


def test_enter_sends_what_was_typed():
    editor = LineEditor()
    assert editor.feed(b"What time") == []
    assert editor.line == "What time"
    assert editor.feed(b" is it?\r") == [Typed("What time is it?")]
    assert editor.line == ""


def test_several_lines_at_once():
    assert LineEditor().feed(b"one\ntwo\n\n  \nthree") == [Typed("one"), Typed("two")]


def test_mistakes_are_mended():
    editor = LineEditor()
    editor.feed(b"helo\x7flo wrold\x17world\b\b")
    assert editor.line == "hello wor"
    editor.feed(b"\x15")
    assert editor.line == ""
    assert editor.feed(b"\x7f") == []


def test_keys_that_move_a_cursor_are_not_text():
    editor = LineEditor()
    editor.feed(b"a\x1b[D\x1bOPb\x1b[3~c\x1b[1;5Cd\x1b")
    assert editor.line == "abcd"


def test_letters_of_several_bytes_may_come_in_pieces():
    editor = LineEditor()
    editor.feed("grü".encode()[:-1])
    assert editor.line == "gr"
    editor.feed("ü".encode()[-1:] + "ß 🙂".encode())
    assert editor.line == "grüß 🙂"


def test_the_space_bar_talks_only_where_it_should_and_nothing_else_was_typed():
    assert LineEditor().feed(b" ") == []
    editor = LineEditor(space_talks=True)
    assert editor.feed(b"  ") == [SpacePressed(), SpacePressed()]
    assert editor.feed(b"a b\r ") == [Typed("a b"), SpacePressed()]


def test_control_d_ends_unless_something_has_been_typed():
    editor = LineEditor()
    assert editor.feed(b"\x04") == [EndPressed()]
    assert editor.feed(b"x\x04") == []
    assert editor.line == "x"


@given(st.lists(st.binary(max_size=50), max_size=20), st.booleans())
def test_nothing_that_a_terminal_sends_breaks_it(chunks, space_talks):
    editor = LineEditor(space_talks=space_talks)
    for chunk in chunks:
        for action in editor.feed(chunk):
            if isinstance(action, Typed):
                assert action.text and action.text == action.text.strip()
        assert len(editor.line) <= MAX_CHARS
        assert editor.line == "" or editor.line.isprintable()

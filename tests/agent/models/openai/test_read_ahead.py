"""What a server has read need not be read again, and little is not worth a request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.openai.media import SentPicture
from hearsight.agent.models.openai.prompt import ChatTurn
from hearsight.agent.models.openai.read_ahead import FORGOTTEN_AFTER_S, WORTH_READING_TOKENS, ReadAhead


class Account:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.ahead = ReadAhead(lambda part: len(part) if isinstance(part, str) else 256, lambda: self.now_s)


def turns(*texts: str) -> list[ChatTurn]:
    return [ChatTurn("user" if at % 2 else "assistant", (text,)) for at, text in enumerate(texts, 1)]


def test_everything_is_new_at_first():
    account = Account()
    assert account.ahead.unread(turns("a" * 50, "b" * 60)) == 110
    assert account.ahead.worth(turns("a" * 50, "b" * 60))


def test_what_was_read_and_what_was_written_is_known():
    account = Account()
    account.ahead.has_read(turns("question"), "the answer")
    assert account.ahead.unread(turns("question", "the answer")) == 0
    assert account.ahead.unread(turns("question", "the answer", "and?")) == 4


def test_an_answer_that_was_cut_short_is_new_only_behind_the_cut():
    account = Account()
    account.ahead.has_read(turns("question"), "the answer goes on and on")
    assert account.ahead.unread(turns("question", "the answer (interrupted)")) == len("(interrupted)")


def test_a_change_at_the_beginning_makes_all_of_it_new():
    account = Account()
    account.ahead.has_read(turns("x" * 100, "y" * 100))
    assert account.ahead.unread(turns("z" + "x" * 99, "y" * 100)) == 200


def test_a_sentence_is_not_worth_a_request_and_a_picture_is():
    account = Account()
    account.ahead.has_read(turns("hello"))
    assert not account.ahead.worth(turns("hello", "s" * (WORTH_READING_TOKENS - 1)))
    assert account.ahead.worth([*turns("hello"), ChatTurn("user", (SentPicture("data:x"),))])


def test_after_a_while_the_server_may_have_forgotten():
    account = Account()
    account.ahead.has_read(turns("x" * 200))
    assert not account.ahead.worth(turns("x" * 200))
    account.now_s = FORGOTTEN_AFTER_S + 1
    assert account.ahead.worth(turns("x" * 200))


@given(texts=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6), more=st.text(max_size=40))
def test_only_what_is_added_is_new(texts, more):
    account = Account()
    account.ahead.has_read(turns(*texts))
    assert account.ahead.unread(turns(*texts)) == 0
    grown = [*texts[:-1], texts[-1] + more]
    assert account.ahead.unread(turns(*grown)) == len(more)

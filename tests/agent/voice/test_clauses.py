"""Clauses: nothing lost, nothing split that belongs together, the first one early."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.voice.clauses import FIRST, LATER, MAX_CLAUSE_CHARS, ClauseSplitter


def split(text: str, cuts: list[int] | None = None) -> list[str]:
    """Clauses of a text that comes in deltas cut at ``cuts``, or character by character."""
    edges = [0, *sorted(cuts), len(text)] if cuts is not None else list(range(len(text) + 1))
    splitter = ClauseSplitter()
    clauses = []
    for start, end in zip(edges, edges[1:], strict=False):
        clauses += splitter.feed(text[start:end])
    return clauses + splitter.flush()


def first_clause_after(text: str) -> str:
    """What had to be written before the first clause came out."""
    splitter = ClauseSplitter()
    for end in range(len(text)):
        if splitter.feed(text[end]):
            return text[: end + 1]
    return text


prose = st.lists(
    st.sampled_from(
        [
            "Dr.",
            "Smith",
            "e.g.",
            "3.5",
            "1,000",
            "3:45",
            "PM",
            "a.m.",
            "U.S.",
            "https://a.b/c,d.",
            "and",
            "so,",
        ]
        + [
            "well",
            "Hello!",
            "(really)",
            "**bold.**",
            "—",
            "-",
            "1.",
            "J.",
            "K.",
            "\n",
            "\n\n",
            "It",
            "etc.",
            "…",
        ]
    ),
    max_size=40,
).map(" ".join)


@given(prose | st.text(max_size=200), st.data())
def test_clauses_joined_are_the_text_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    clauses = split(text, cuts)
    assert "".join(clauses) == text
    assert clauses == split(text)
    assert all(clauses)


@given(prose | st.text(max_size=300))
def test_only_whitespace_separates_clauses_but_for_the_first_comma(text: str) -> None:
    clauses = split(text)
    first, second = clauses[:1], clauses[1:2]
    assert all(clause[0].isspace() or first[0].endswith(",") for clause in second)
    assert all(clause[0].isspace() for clause in clauses[2:])
    assert all(not clause[-1].isspace() for clause in clauses[:-1])


@given(st.text(alphabet="ab ,.\n", max_size=3000))
def test_a_clause_is_bounded(text: str) -> None:
    assert all(len(clause) <= 2 * MAX_CLAUSE_CHARS for clause in split(text))


@pytest.mark.parametrize("text", ["x" * 5000, " " * 5000, "ab " * 3000, "a,b" * 2000])
def test_endless_text_is_not_held(text: str) -> None:
    clauses = split(text)
    assert "".join(clauses) == text
    assert max(map(len, clauses)) <= 2 * MAX_CLAUSE_CHARS


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("It is 3.5 degrees. Good.", ["It is 3.5 degrees.", " Good."]),
        ("Well, yes, 1,000 people came.", ["Well, yes,", " 1,000 people came."]),
        ("Ask Dr. Smith about it. He knows.", ["Ask Dr. Smith about it.", " He knows."]),
        ("J. K. Rowling wrote it. Yes.", ["J. K. Rowling wrote it.", " Yes."]),
        ("Fruit, e.g. apples.", ["Fruit, e.g. apples."]),
        ("I live in the U.S. and work.", ["I live in the U.S.", " and work."]),
        ("I got a B.A. in law.", ["I got a B.A. in law."]),
        ("I live in the U.S. They do too.", ["I live in the U.S.", " They do too."]),
        ("Come at 3 p.m. (Bring tea.) Bye.", ["Come at 3 p.m.", " (Bring tea.)", " Bye."]),
        ("See https://a.org/x,y.z?q=1, then go.", ["See https://a.org/x,y.z?q=1,", " then go."]),
        ("1. First thing\n2. Second thing", ["1. First thing", "\n2. Second thing"]),
        ('He said "Stop!" Then he left.', ['He said "Stop!"', " Then he left."]),
        ("No. I can't.", ["No.", " I can't."]),
        ("Number No. 5 is alive.", ["Number No. 5 is alive."]),
        ("**Done.** Next?", ["**Done.**", " Next?"]),
        ("Wait — what is it?", ["Wait — what is it?"]),
        ("Oh my — what is it?", ["Oh my —", " what is it?"]),
        ("Yes! No? Fine…", ["Yes!", " No?", " Fine…"]),
        ("Title\n\nBody text", ["Title", "\n\nBody text"]),
        ("", []),
        ("\n", ["\n"]),
        ("Hi.\n", ["Hi.", "\n"]),
    ],
)
def test_where_text_is_cut(text: str, clauses: list[str]) -> None:
    assert split(text) == clauses


def test_a_full_stop_waits_for_what_follows_it() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("It costs 3.") == []
    assert splitter.feed("5") == []
    assert splitter.feed(" euros.") == []
    assert splitter.flush() == ["It costs 3.5 euros."]


def test_the_first_clause_leaves_at_the_first_comma() -> None:
    assert first_clause_after("Of course, I can help you with that.") == "Of course,"


@pytest.mark.parametrize("text", ["It is 1,440.", "See https://a.org/x,y now.", 'He said "well", and left.'])
def test_a_comma_that_may_be_part_of_something_is_waited_behind(text: str) -> None:
    cut = text.index(",") + 1
    assert ClauseSplitter().feed(text[:cut]) == []


def test_later_clauses_are_only_cut_at_whitespace() -> None:
    splitter = ClauseSplitter()
    splitter.feed("Oh well, one two three four five six seven eight nine")
    assert splitter.feed(" ten,") == []
    assert splitter.feed(" eleven") == [" one two three four five six seven eight nine ten,"]


def test_the_first_clause_leaves_before_a_conjunction() -> None:
    written = first_clause_after("It is sunny today and warm with a breeze")
    assert written == "It is sunny today and "


def test_the_first_clause_does_not_wait_for_punctuation_for_ever() -> None:
    text = "one two three four five six seven eight nine ten eleven twelve"
    assert first_clause_after(text) == "one two three four five "
    assert split(text)[0].split()[-1] == "five"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Let it rest for about an hour or two.", "Let it rest for about an hour"),
        ("The weather in Paris is sunny today.", "The weather in Paris is sunny"),
        ("That is one of the most beautiful of all of the towns.", "That is one of the most beautiful"),
        ("it is as it is and in it we all are there", "it is as it is"),
        ("a of to in on at by the for with you", "a of to in on at by the for"),
    ],
)
def test_no_clause_ends_at_a_word_that_leans_on_the_next(text: str, first: str) -> None:
    assert split(text)[0] == first


def test_later_clauses_are_longer() -> None:
    later = split("Of course, one two three, four five six, seven eight nine, ten")[1:]
    assert later == [" one two three, four five six, seven eight nine,", " ten"]
    words = " ".join(["word"] * 60)
    assert [len(clause.split()) for clause in split(words)] == [
        FIRST.break_words,
        LATER.break_words,
        LATER.break_words,
        15,
    ]


def test_flush_leaves_nothing_behind() -> None:
    splitter = ClauseSplitter()
    splitter.feed("Half a ")
    assert splitter.flush() == ["Half a "]
    assert splitter.flush() == []

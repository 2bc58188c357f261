"""From written to spoken: every word kept, markup gone, symbols said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.voice.clauses import ClauseSplitter
from hearsight.agent.voice.speakable import MAX_SPOKEN_CHARS, speakable

markup = st.lists(
    st.sampled_from(
        [
            "**bold**",
            "`code`",
            "[link](http://a.b)",
            "[two",
            "words](http://a.b/c)",
            "![pic](x.png)",
            "-",
            "*",
            "#",
        ]
        + [
            "|",
            "---",
            "```python",
            "```",
            "\n",
            "3:45",
            "5",
            "km",
            "e.g.",
            "🙂",
            "x²",
            "7",
            "-",
            "3",
            "=",
            "4.",
            "<br>",
        ]
        + ["a@b.com", "https://x.y/z", "√16", "5'10\"", "_it_", "(", ")", "C#", "日本"]
    ),
    max_size=30,
).map(" ".join)


def say(clause: str) -> str:
    """What a voice is given for a clause."""
    return " ".join(word.spoken for word in speakable(clause) if word.spoken)


@given(markup | st.text(max_size=200))
def test_the_words_are_the_transcript(clause: str) -> None:
    assert " ".join(word.text for word in speakable(clause)) == " ".join(clause.split())


@given(markup | st.text(max_size=300), st.data())
def test_the_words_of_all_clauses_are_the_transcript(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    splitter = ClauseSplitter()
    clauses = splitter.feed(text[:cut]) + splitter.feed(text[cut:]) + splitter.flush()
    words = [word.text for clause in clauses for word in speakable(clause)]
    assert " ".join(words) == " ".join(text.split())


@given(markup | st.text(max_size=200))
def test_what_is_said_holds_no_markup(clause: str) -> None:
    said = say(clause)
    assert not set(said) & set("`[]{}|🙂\n")
    assert "**" not in said
    assert said == " ".join(said.split())


def test_plain_words_are_said_as_they_are() -> None:
    assert say("Hello there, how are you?") == "Hello there, how are you?"


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ("**Sure!** Here *it* is.", "Sure! Here it is."),
        ("{0 and {name}.", "0 and name."),
        ("Use `get_time()` now.", "Use get_time now."),
        ("Read [the docs](https://x.org/a b), ok?", "Read the docs b), ok?"),
        ("Read [the docs](https://x.org/a), ok?", "Read the docs, ok?"),
        ("here](https://x.org).", "here."),
        ("![a cat](cat.png)", "a cat"),
        ("## Plan\n- one\n* two\n+ three\n> four", "Plan one two three four"),
        ("| City | Rain |\n|------|:----:|\n| Oslo | yes |", "City Rain Oslo yes"),
        ("```python\nx\n```", "x"),
        ("Above\n***\nbelow", "Above below"),
        ("line<br/>break", "line break"),
        ("Great 🎉 job 👍🏽!", "Great job"),
        ("🇫🇷 Paris", "Paris"),
        ("snake_case stays", "snake_case stays"),
    ],
)
def test_markup_is_not_said(clause: str, said: str) -> None:
    assert say(clause) == said


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ("fruit, e.g. apples, i.e. sweet ones", "fruit, for example apples, that is sweet ones"),
        ("and so on (etc.).", "and so on (etcetera)."),
        ("Visit https://www.example.com/docs.", "Visit example dot com slash docs."),
        ("Visit https://example.com/a1b2/c3?q=x#y now", "Visit example dot com now"),
        ("www.example.com:8080", "example dot com"),
        ("Mail jo.do_e@a-b.org, please", "Mail jo dot do underscore e at a-b dot org, please"),
        ("Open config.json or example.org.", "Open config dot json or example dot org."),
        ("The U.S. at 5 p.m. is fine.", "The U.S. at 5 p.m. is fine."),
        ("Python v3.12 and 3.2.1", "Python version 3 point 12 and 3 point 2 point 1"),
        ("Call 555-123-4567.", "Call 5 5 5, 1 2 3, 4 5 6 7."),
        ("He is 5'10 tall", "He is 5 foot 10 tall"),
        ("Card 4111111111111111.", "Card 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1."),
        ("200g, 1 g and 20m", "200 grams, 1 gram and 20 meters"),
        ("30 s or 1,013 hPa", "30 seconds or 1,013 hectopascals"),
        ("The answer is no.", "The answer is no ."),
        ("No. 5 is no. 6", "No. 5 is no. 6"),
        ("a g string", "a g string"),
        ("It is −5 degrees", "It is -5 degrees"),
        ("x ≤ 5 and √16 ≈ 4", "x less than or equal to 5 and square root of 16 about 4"),
        ("CO₂ and 10⁶", "CO2 and 10 to the power of 6"),
        ("7 - 3 = 4", "7 minus 3 = 4"),
        ("3 * 4 = 12, 6 / 2 = 3", "3 times 4 = 12, 6 divided by 2 = 3"),
        ("7 - 3 people", "7 - 3 people"),
        ("Wait -- what... now", "Wait — what… now"),
        ("a -> b", "a → b"),
        ("24/7 in C#", "24 7 in C sharp"),
        ("Parse JSON", "Parse Jason"),
    ],
)
def test_what_the_voice_reads_wrongly_is_spelled_out(clause: str, said: str) -> None:
    assert say(clause) == said


@pytest.mark.parametrize(
    "clause", ["It is 3:45 PM.", "$4.50 on 12/25/2023", "15% of 21°C", "Dr. Smith, 5 km, 2nd"]
)
def test_what_the_voice_reads_well_is_left_to_it(clause: str) -> None:
    assert say(clause) == clause


def test_silent_words_keep_their_place() -> None:
    assert [(word.text, bool(word.spoken)) for word in speakable("- Hi 🙂 you")] == [
        ("-", False),
        ("Hi", True),
        ("🙂", False),
        ("you", True),
    ]


def test_an_endless_word_is_not_read_to_its_end() -> None:
    (word,) = speakable("a" * 10_000)
    assert len(word.text) == 10_000
    assert len(word.spoken) == MAX_SPOKEN_CHARS

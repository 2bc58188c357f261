"""What is being heard, as the messages that it may become."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.messages import blocks
from hearsight.agent.underway import Underway


def kinds(message) -> list[str]:
    return [block["type"] for block in blocks(message)]


def test_nothing_is_underway_at_first():
    underway = Underway()
    assert not underway and "a" not in underway
    assert (underway.samples("a"), underway.pictures("a"), list(underway.messages())) == (0, (), [])
    underway.drop("a")


def test_an_utterance_grows_until_it_is_dropped():
    underway = Underway()
    underway.hear("a", 100)
    underway.see("a", "p")
    underway.hear("a", 60)
    underway.see("a", "q")
    underway.see("a", "p")
    assert underway and "a" in underway
    assert (underway.samples("a"), underway.pictures("a")) == (160, ("p", "q"))
    underway.drop("a")
    assert not underway and underway.samples("a") == 0


def test_as_a_message_the_pictures_come_first():
    underway = Underway()
    underway.hear("a", 100)
    underway.see("a", "p")
    underway.see("b", "q")
    a, b = underway.messages()
    assert (a.id, kinds(a)) == ("a", ["image", "audio"])
    assert (b.id, kinds(b)) == ("b", ["image"]), "nothing has been said yet"
    assert blocks(a)[1]["samples"] == 100 and blocks(a)[1]["transcript"] is None


def test_with_words_it_has_those_and_only_pictures_that_were_put_into_words():
    underway = Underway()
    underway.hear("a", 100)
    underway.see("a", "p")
    underway.see("a", "q")
    message = underway.message("a", "What is this?", {"q": "a cat"})
    picture, speech = blocks(message)
    assert (picture["file_id"], picture["caption"]) == ("q", "a cat")
    assert (speech["file_id"], speech["samples"], speech["transcript"]) == ("a", 100, "What is this?")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 1_000))))
def test_samples_add_up_each_for_itself(heard):
    underway = Underway()
    for item_id, samples in heard:
        underway.hear(item_id, samples)
    for item_id in "abc":
        assert underway.samples(item_id) == sum(samples for other, samples in heard if other == item_id)
    assert len(list(underway.messages())) == len({item_id for item_id, _ in heard})

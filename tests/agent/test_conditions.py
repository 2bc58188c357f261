"""Conditions against captions: met, not met, or nothing that a caption can tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.conditions import Seen, understand
from hearsight.agent.models.embedded.coco import LABELS
from hearsight.agent.models.embedded.objects import DetectedObject
from hearsight.agent.models.embedded.scene import SURE, SceneDescription


def caption(
    *labels: str, unsure: tuple[str, ...] = (), colours: tuple[str, ...] = (), text: str = "", code: str = ""
) -> str:
    """As the embedded engine writes it."""
    found = [DetectedObject(label, score, (0, 0, 1, 1)) for label, score in scored(labels, unsure)]
    codes, lines = ((code,) if code else ()), ((text,) if text else ())
    return SceneDescription(tuple(found), colours, codes, lines, 1, 1, 0.0).sentence()


def scored(labels: tuple[str, ...], unsure: tuple[str, ...]) -> list[tuple[str, float]]:
    return [*((label, 0.9) for label in labels), *((label, SURE - 0.1) for label in unsure)]


def met(condition: str, shown: str) -> bool | None:
    understood = understand(condition)
    return None if understood is None else understood.holds(Seen.of(shown))


NOBODY, PERSON, CROWD = caption("chair"), caption("person", "chair"), caption("person", "person", "person")
CAT, DOG, BOWL = caption("cat", "couch"), caption("dog", "couch"), caption("bowl")


@pytest.mark.parametrize(
    ("condition", "so", "not_so"),
    [
        ("somebody comes to the door", PERSON, NOBODY),
        ("someone is standing behind me", PERSON, NOBODY),
        ("my wife comes home", PERSON, NOBODY),
        ("there are three people in the kitchen", CROWD, PERSON),
        ("two people are there", CROWD, PERSON),
        ("the person leaves", NOBODY, PERSON),
        ("there is no one in the room", NOBODY, PERSON),
        ("nobody is there any more", NOBODY, PERSON),
        ("everybody has left the room", NOBODY, CROWD),
        ("the cat comes in", CAT, DOG),
        ("the cat is gone", DOG, CAT),
        ("the cat has left the couch", DOG, CAT),
        ("the dog goes to its bowl", caption("dog", "bowl"), BOWL),
        ("a car pulls up", caption("car"), caption("bicycle")),
        ("the delivery van arrives", caption("truck"), caption("car")),
        ("someone has an umbrella", caption("person", "umbrella"), PERSON),
        ("my phone is on the table", caption("cell phone", "dining table"), caption("dining table")),
        ("the screen turns green", caption(colours=("green", "grey")), caption(colours=("black",))),
        ("the sign says boarding", caption(text="Gate 12 BOARDING"), caption(text="Gate 12 delayed")),
        ("the screen shows render complete", caption(text="Render: complete!"), caption(text="Render 43%")),
        ("number 42 is being served", caption(text="NOW SERVING 42"), caption(text="NOW SERVING 421")),
        ("the word error appears on the screen", caption(text="Error 5"), caption(text="fine")),
        ("a QR code is shown", caption(code="https://example.org"), caption(text="QR code")),
    ],
)
def test_it_is_so_or_it_is_not(condition: str, so: str, not_so: str) -> None:
    assert met(condition, so) is True
    assert met(condition, not_so) is False


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "the kettle light goes off",
        "the light of the oven goes off",
        "the light turns green",
        "my cup is empty",
        "the pizza is burning",
        "the baby wakes up",
        "somebody laughs",
        "someone picks up the phone",
        "it starts to rain",
        "it gets dark",
        "a red car pulls up",
        "everyone is here",
        "less than three people leave",
        "two people leave",
        "the sign says",
    ],
)
def test_what_a_caption_cannot_tell_is_not_guessed_at(condition: str) -> None:
    assert understand(condition) is None


def test_what_may_be_there_is_neither_there_nor_gone() -> None:
    perhaps = caption("chair", unsure=("person",))
    assert met("somebody comes in", perhaps) is False
    assert met("the person is gone", perhaps) is False


def test_what_is_written_in_a_picture_is_no_object() -> None:
    assert met("somebody comes in", caption("tv", text="objects: a person")) is False


def test_only_conditions_about_texts_need_reading() -> None:
    reads = {words: understand(words) for words in ("the sign says go", "somebody comes in")}
    assert [found is not None and found.reads for found in reads.values()] == [True, False]


@given(st.sampled_from(sorted(LABELS.values())), st.integers(1, 5))
def test_every_object_is_known_by_the_name_that_captions_give_it(label: str, count: int) -> None:
    seen = Seen.of(caption(*[label] * count))
    assert dict(seen.objects) == {label: count}


@given(st.text(), st.text())
def test_any_words_and_any_caption_can_be_asked_about(condition: str, shown: str) -> None:
    met(condition, shown)

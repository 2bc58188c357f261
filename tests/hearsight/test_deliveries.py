"""What was sent arrives once, whichever messages a lost connection takes with it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hearsight.deliveries import Deliveries

COMMIT = {"type": "input_audio_buffer.commit"}


def item(name: str) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": {"id": name}}


def ask(name: str) -> dict[str, Any]:
    return {"type": "response.create", "response": {"metadata": {"as": name}}}


def confirmation(message: dict[str, Any]) -> dict[str, Any]:
    match message["type"]:
        case "conversation.item.create":
            return {"type": "conversation.item.added", "item": message["item"]}
        case "response.create":
            return {"type": "response.created", "response": message["response"]}
        case _:
            return {"type": "input_audio_buffer.committed"}


def refusal(message: dict[str, Any]) -> dict[str, Any]:
    return {"type": "error", "error": {"event_id": message["event_id"]}}


def test_audio_is_not_kept():
    deliveries = Deliveries()
    deliveries.label({"type": "input_audio_buffer.append", "audio": ""})
    assert len(deliveries) == 0


def test_each_message_has_a_name_of_its_own():
    deliveries = Deliveries()
    assert deliveries.label(COMMIT)["event_id"] != deliveries.label(COMMIT)["event_id"]


def test_a_confirmation_is_for_the_message_that_it_belongs_to():
    deliveries = Deliveries()
    first, second = deliveries.label(item("a")), deliveries.label(item("b"))
    deliveries.take(confirmation(second))
    assert deliveries.take(refusal(deliveries.marker())) == (True, [first])


def test_an_answer_that_nobody_here_asked_for_confirms_nothing():
    deliveries = Deliveries()
    asked = deliveries.label(ask("a"))
    deliveries.take({"type": "response.created", "response": {"metadata": None}})
    assert deliveries.take(refusal(deliveries.marker())) == (True, [asked])


def test_a_refusal_is_a_delivery_and_concerns_the_program():
    deliveries = Deliveries()
    assert deliveries.take(refusal(deliveries.label(item("a")))) == (False, [])
    assert len(deliveries) == 0


def test_an_error_that_names_nothing_is_passed_on():
    assert Deliveries().take({"type": "error", "error": {"event_id": None}}) == (False, [])


def test_a_marker_of_a_connection_that_was_lost_as_well_marks_nothing():
    deliveries = Deliveries()
    deliveries.label(item("a"))
    old, new = deliveries.marker(), deliveries.marker()
    assert deliveries.take(refusal(old)) == (False, [])
    assert deliveries.take(refusal(new))[0]


@given(st.lists(st.tuples(st.sampled_from(["item", "ask", "commit"]), st.booleans()), max_size=12))
def test_the_server_gets_each_message_once_and_in_order(plan):
    """The plan says for each message whether it arrives before the connection is lost."""
    deliveries = Deliveries()
    arrived: list[dict[str, Any]] = []
    lost = False
    for number, (kind, arrives) in enumerate(plan):
        message = {"item": item(str(number)), "ask": ask(str(number)), "commit": COMMIT}[kind]
        labelled = deliveries.label(message)
        lost = lost or not arrives  # a socket delivers in order: behind a lost message, all are
        if not lost:
            arrived.append(labelled)
    marker = deliveries.marker()
    for message in arrived:
        assert deliveries.take(confirmation(message)) == (False, [])
    mine, again = deliveries.take(refusal(marker))
    assert mine
    ids = [message["event_id"] for message in [*arrived, *again]]
    assert ids == sorted(set(ids), key=lambda name: int(name.removeprefix("client_")))
    assert len(ids) == len(plan)

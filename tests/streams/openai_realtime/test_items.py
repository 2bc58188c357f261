"""Conversation items, both ways."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from hearsight.streams.errors import InvalidEvent, InvalidPicture
from hearsight.streams.events import (
    AddItem,
    AudioContent,
    ImageContent,
    Item,
    ItemAdded,
    ItemRetrieved,
    Picture,
    TextContent,
    ToolCall,
)

TEXT = {"type": "input_text", "text": "a"}


def add(send, item, **fields):
    [event] = send("conversation.item.create", item=item, **fields)
    assert isinstance(event, AddItem)
    return event


def message(*content, role="user", **fields):
    return {"type": "message", "role": role, "content": list(content), **fields}


@pytest.fixture(scope="module")
def png():
    _, data = cv2.imencode(".png", np.full((40, 60, 3), 128, np.uint8))
    return data.tobytes()


def data_url(data, mime_type="image/png"):
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("role", "part", "expected"),
    [
        ("user", {"type": "input_text", "text": "Hi"}, TextContent("Hi")),
        ("system", {"type": "input_text", "text": "Hi"}, TextContent("Hi")),
        ("assistant", {"type": "output_text", "text": "Hi"}, TextContent("Hi")),
        ("assistant", {"type": "output_audio", "transcript": "Hi"}, AudioContent("Hi")),
    ],
)
def test_messages_of_every_role(send, role, part, expected):
    event = add(send, message(part, role=role, id="mine"), previous_item_id="root", event_id="e")
    assert event == AddItem(Item("mine", "message", role, (expected,)), "root", "e")


def test_items_without_an_id_get_one(send):
    part = {"type": "input_text", "text": "Hi"}
    assert add(send, message(part)).item.id == "item_1"
    assert add(send, message(part)).item.id == "item_2"


def test_audio_inside_an_item_is_brought_to_16_khz(send):
    tone = (np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000) * 10_000).astype("<i2")
    part = {"type": "input_audio", "audio": base64.b64encode(tone.tobytes()).decode(), "transcript": "la"}
    [content] = add(send, message(part)).item.content
    assert content.duration_ms == pytest.approx(1_000, abs=1)
    assert content.transcript == "la"
    assert content.samples.dtype == np.int16
    spectrum = np.abs(np.fft.rfft(content.samples[1_000:15_000].astype(float)))
    assert np.argmax(spectrum) * 16_000 / 14_000 == pytest.approx(440, abs=2)


def test_audio_inside_an_item_comes_in_the_sessions_format(send):
    send("session.update", session={"audio": {"input": {"format": {"type": "audio/pcmu"}}}})
    part = {"type": "input_audio", "audio": base64.b64encode(b"\xff" * 8_000).decode()}
    [content] = add(send, message(part)).item.content
    assert content.duration_ms == pytest.approx(1_000, abs=1)
    assert np.abs(content.samples).max() <= 1


def test_pictures_are_measured_and_named_by_their_content(send, png):
    part = {"type": "input_image", "image_url": data_url(png), "detail": "low"}
    picture = add(send, message(part)).item.content[0].picture
    assert (picture.mime_type, picture.width, picture.height, picture.detail) == ("image/png", 60, 40, "low")
    again = add(send, message({"type": "input_image", "image_url": data_url(png)})).item.content[0].picture
    assert (again.key, again.detail) == (picture.key, "auto")


def test_function_calls_and_their_results(send):
    call = add(send, {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}).item
    assert (call.kind, call.role, call.call) == ("function_call", "assistant", ToolCall("c", "f", "{}"))
    result = add(send, {"type": "function_call_output", "call_id": "c", "output": "42"}).item
    assert (result.kind, result.output, result.call.id) == ("function_call_output", "42", "c")


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "mcp_call"}, "item.type"),
        ({}, "item.type"),
        ({"type": "message", "role": "user"}, "item.content"),
        ({"type": "message", "role": "user", "content": []}, "item.content"),
        ({"type": "message", "role": "chair", "content": [{"type": "input_text", "text": ""}]}, "item.role"),
        (message({"type": "smell"}), "item.content[0].type"),
        (message({"type": "input_text"}), "item.content[0].text"),
        (
            message({"type": "input_text", "text": "a"}, {"type": "input_text", "text": 3}),
            "item.content[1].text",
        ),
        (message({"type": "output_text", "text": "a"}), "item.content[0].type"),
        (message({"type": "input_image", "image_url": "x"}, role="system"), "item.content[0].type"),
        (message({"type": "input_audio", "audio": "?"}), "item.content[0].audio"),
        (message({"type": "input_audio", "audio": "AA=="}), "item.content[0].audio"),
        ({"type": "function_call_output", "output": "x"}, "item.call_id"),
        (message({"type": "input_text", "text": "a"}, id=""), "item.id"),
    ],
)
def test_an_item_that_is_refused_names_the_field(refusal, item, param):
    assert refusal("conversation.item.create", item=item).param == param


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/cat.png",
        "file:///etc/passwd",
        "data:image/png,plain",
        "data:image/png;base64,@@@@",
        data_url(b"not a picture"),
        data_url(b""),
        "",
    ],
)
def test_pictures_that_cannot_be_used_are_refused(refusal, url):
    error = refusal("conversation.item.create", item=message({"type": "input_image", "image_url": url}))
    assert isinstance(error, InvalidPicture)
    assert error.param == "item.content[0].image_url"


def test_an_item_inside_a_response_names_its_place(refusal):
    bad = {"type": "message", "role": "user", "content": [{"type": "output_text", "text": "a"}]}
    assert refusal("response.create", response={"input": [bad]}).param == "response.input[0].content[0].type"
    with_url = message({"type": "input_image", "image_url": "http://x"})
    error = refusal("response.create", response={"input": [with_url]})
    assert error.param == "response.input[0].content[0].image_url"


ITEMS = [
    Item("i", "message", "user", (TextContent("Hi"), AudioContent("said"), AudioContent())),
    Item("i", "message", "system", (TextContent("Be nice."),)),
    Item("i", "message", "assistant", (TextContent("Hi"), AudioContent("said")), status="incomplete"),
    Item("i", "message", "assistant", (), status="in_progress"),
    Item("i", "function_call", "assistant", call=ToolCall("c", "f", '{"a":1}')),
    Item("i", "function_call_output", call=ToolCall("c", "", ""), output="42"),
    Item("i", "server_call", "assistant", call=ToolCall("c", "get_time", "{}"), output="noon"),
    Item("i", "server_call", "assistant", call=ToolCall("c", "get_time", "{}"), error="no clock"),
]


@pytest.mark.parametrize("item", ITEMS)
def test_every_kind_of_item_is_shown_as_clients_know_it(show, item):
    [event] = show(ItemAdded(item, None))
    assert event["item"]["id"] == "i"
    assert event["previous_item_id"] is None


def test_parts_are_named_by_who_said_them(show):
    [event] = show(ItemAdded(ITEMS[0], "before"))
    assert [part["type"] for part in event["item"]["content"]] == ["input_text", "input_audio", "input_audio"]
    assert event["previous_item_id"] == "before"
    [event] = show(ItemAdded(ITEMS[2], None))
    assert event["item"]["content"] == [
        {"type": "output_text", "text": "Hi"},
        {"type": "output_audio", "transcript": "said"},
    ]


def test_tools_of_the_service_are_no_function_calls(show):
    [event] = show(ItemAdded(ITEMS[6], None))
    assert event["item"]["type"] == "mcp_call"
    assert (event["item"]["name"], event["item"]["output"]) == ("get_time", "noon")
    [event] = show(ItemAdded(ITEMS[7], None))
    assert event["item"]["error"]["message"] == "no clock"


def test_pictures_come_back_only_when_they_are_asked_for(show, png):
    item = Item("i", "message", "user", (ImageContent(Picture(png, "image/png", 60, 40, "k")),))
    [added] = show(ItemAdded(item, None))
    assert "image_url" not in added["item"]["content"][0]
    [retrieved] = show(ItemRetrieved(item))
    assert retrieved["item"]["content"][0]["image_url"] == data_url(png)


def test_a_call_in_progress_does_not_show_its_arguments_yet(show):
    call = Item("i", "function_call", "assistant", call=ToolCall("c", "f", '{"a":1}'), status="in_progress")
    [event] = show(ItemAdded(call, None))
    assert event["item"]["arguments"] == ""


def test_errors_of_pictures_keep_their_code(refusal):
    error = refusal("conversation.item.create", item=message({"type": "input_image", "image_url": "x:"}))
    assert isinstance(error, InvalidEvent)
    assert error.code == "invalid_image"

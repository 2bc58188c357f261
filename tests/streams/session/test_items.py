import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.errors import InvalidEvent, LimitExceeded, NotFound
from hearsight.streams.events import AudioContent, ImageContent, Item, Picture, TextContent, ToolCall
from hearsight.streams.session.items import ROOT, Items, size_of


def item(name):
    return Item(name, "message")


def test_items_are_kept_in_order():
    items = Items()
    assert items.insert(item("a")) is None
    assert items.insert(item("b")) == "a"
    assert items.insert(item("c"), after="a") == "a"
    assert items.insert(item("first"), after=ROOT) is None
    assert items.ids == ("first", "a", "c", "b")
    assert items.last_id == "b"
    assert items.before("a") == "first"
    assert items.before("first") is None


def test_an_id_is_used_once():
    items = Items()
    items.insert(item("a"))
    with pytest.raises(InvalidEvent, match="already an item") as refused:
        items.insert(item("a"))
    assert refused.value.param == "item.id"


def test_unknown_places_and_items_are_named():
    items = Items()
    with pytest.raises(NotFound, match="'x'"):
        items.insert(item("a"), after="x")
    with pytest.raises(NotFound, match="'x'"):
        items.get("x")
    with pytest.raises(NotFound):
        items.remove("x")


def test_there_is_a_limit():
    items = Items(limit=1)
    items.insert(item("a"))
    with pytest.raises(LimitExceeded, match="1 items"):
        items.insert(item("b"))


def test_a_newer_version_takes_the_place():
    items = Items()
    items.insert(item("a"))
    items.replace(item("a").with_content(TextContent("hi")))
    assert items.get("a").content == (TextContent("hi"),)
    items.replace(item("gone"))
    assert "gone" not in items


@given(st.lists(st.tuples(st.sampled_from("ird"), st.integers(0, 8), st.integers(0, 9))))
def test_it_behaves_like_a_list(steps):
    items, model = Items(), []
    for action, which, place in steps:
        name = f"i{which}"
        if action == "i" and name not in model:
            after = None if place == 9 else ROOT if place == 8 else f"i{place}"
            if after not in (None, ROOT) and after not in model:
                continue
            at = len(model) if after is None else 0 if after == ROOT else model.index(after) + 1
            assert items.insert(item(name), after) == (model[at - 1] if at else None)
            model.insert(at, name)
        elif action == "r" and name in model:
            items.remove(name)
            model.remove(name)
        assert items.ids == tuple(model)
        assert len(items) == len(model)


def test_a_client_fills_a_conversation_up_to_its_bytes():
    items = Items(max_bytes=1000)
    items.check_size(text("a", "x" * 1000))
    items.insert(text("a", "x" * 600))
    with pytest.raises(LimitExceeded, match="together"):
        items.check_size(text("b", "x" * 401))
    items.replace(text("a", "x" * 100))
    items.check_size(text("b", "x" * 900))
    items.remove("a")
    items.check_size(text("b", "x" * 1000))


def test_what_an_item_holds_is_its_media_and_its_words():
    picture = Picture(b"12345", "image/png", 1, 1, "key")
    audio = AudioContent("abc", samples=np.zeros(10, np.int16))
    message = Item("m", "message", content=(ImageContent(picture), audio, TextContent("ab")))
    assert size_of(message) == 5 + 20 + 3 + 2
    result = Item("r", "server_call", call=ToolCall("c", "look", "{}"), output="four", error="err")
    assert size_of(result) == 2 + 4 + 3


def text(item_id, words):
    return Item(item_id, "message", content=(TextContent(words),))

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.errors import InvalidEvent, LimitExceeded, NotFound
from hearsight.streams.events import Item, TextContent
from hearsight.streams.session.items import ROOT, Items


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

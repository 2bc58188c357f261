"""Messages that a client might have sent, spoilt in a few places, for whoever has to read them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


def json_values(*familiar: str) -> st.SearchStrategy[Any]:
    """Any JSON; texts are now and then those given, which mean something to the reader."""
    texts = st.text(max_size=8)
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | (texts | st.sampled_from(familiar) if familiar else texts),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=6,
    )


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container inside a value with every key of it."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found = []
    for key in keys:
        found.append((value, key))
        found += places(value[key])
    return found


@st.composite
def mutated(
    draw: st.DrawFn, messages: Sequence[dict[str, Any]], values: st.SearchStrategy[Any]
) -> dict[str, Any]:
    """One of the messages with one to three values replaced, taken out or put in."""
    message = copy.deepcopy(draw(st.sampled_from(messages)))
    for _ in range(draw(st.integers(1, 3))):
        found = places(message)
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            container[key] = draw(values)
        elif change == "remove":
            del container[key]
        elif isinstance(container, dict):
            container[draw(st.text(max_size=6))] = draw(values)
        else:
            container.insert(key, draw(values))
    return message

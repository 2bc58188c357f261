"""The store of payloads: what goes in comes out, within the bound."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.media import MediaStore
from hearsight.streams.events import Picture


def picture(key: str, size: int = 10) -> Picture:
    return Picture(b"x" * size, "image/jpeg", 4, 3, key)


def samples(count: int, value: int = 1) -> np.ndarray:
    return np.full(count, value, dtype=np.int16)


def test_an_utterance_is_the_samples_heard_in_order() -> None:
    store = MediaStore()
    store.add_audio("a", samples(3, 1))
    store.add_audio("a", samples(2, 2))
    held = store.audio("a")
    assert held is not None and held.tolist() == [1, 1, 1, 2, 2]
    store.add_audio("a", samples(1, 3))
    again = store.audio("a")
    assert again is not None and again.tolist() == [1, 1, 1, 2, 2, 3]


def test_what_is_not_held_is_none() -> None:
    store = MediaStore()
    assert store.audio("a") is None and store.picture("p") is None
    store.forget("a")
    assert store.size_bytes == 0


def test_a_picture_is_held_once() -> None:
    store = MediaStore()
    store.add_picture(picture("p"))
    store.add_picture(picture("p"))
    assert store.size_bytes == 10
    assert store.picture("p") == picture("p")


def test_the_least_recently_used_payload_goes_first() -> None:
    store = MediaStore(max_bytes=25)
    store.add_picture(picture("old"))
    store.add_picture(picture("new"))
    assert store.picture("old") is not None
    store.add_picture(picture("third"))
    assert "new" not in store and "old" in store and "third" in store


def test_what_is_being_heard_is_kept_even_beyond_the_bound() -> None:
    store = MediaStore(max_bytes=10)
    store.add_picture(picture("p", 4))
    for _ in range(4):
        store.add_audio("a", samples(4))
    held = store.audio("a")
    assert held is not None and held.size == 16
    assert "p" not in store


def test_clear_drops_everything() -> None:
    store = MediaStore()
    store.add_picture(picture("p"))
    store.add_audio("a", samples(4))
    store.clear()
    assert store.size_bytes == 0 and "a" not in store and store.picture("p") is None


@given(st.lists(st.tuples(st.sampled_from("hpf"), st.sampled_from("abc"), st.integers(0, 40)), max_size=60))
def test_the_size_is_the_sum_of_what_is_held_and_bounded(ops: list[tuple[str, str, int]]) -> None:
    store = MediaStore(max_bytes=100)
    for kind, name, size in ops:
        if kind == "h":
            store.add_audio(f"audio {name}", samples(size))
        elif kind == "p":
            store.add_picture(picture(f"picture {name} {size}", size))
        else:
            store.forget(f"audio {name}")
        held = [store.audio(f"audio {each}") for each in "abc"]
        total = sum(audio.nbytes for audio in held if audio is not None)
        total += sum(each for name in "abc" for each in range(41) if f"picture {name} {each}" in store)
        assert store.size_bytes == total
        assert total <= 100 or sum(f"audio {each}" in store for each in "abc") == 1

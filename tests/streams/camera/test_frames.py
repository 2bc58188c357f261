from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from hearsight.streams.camera.change import Change
from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import Picture


def picture(key: str, size: int = 100) -> Picture:
    return Picture(bytes(size), "image/jpeg", 640, 480, key)


def keys(pictures: tuple[Picture, ...]) -> str:
    return "".join(shown.key for shown in pictures)


def filled(frames: str, store: FrameStore | None = None) -> FrameStore:
    """A store that saw a frame a second: capitals are scenes, ``=`` looks the same, others are similar."""
    store = store or FrameStore(8, 10_000)
    for second, key in enumerate(frames):
        change: Change = "scene_change" if key.isupper() else "duplicate" if key == "=" else "similar"
        store.add(picture(key), change, float(second))
    return store


@pytest.mark.parametrize(
    ("frames", "shown"),
    [
        ("", ""),
        ("A", "A"),
        ("A===", "A"),
        ("Aa", "Aa"),
        ("Aabc", "Ac"),  # only the newest of those that are merely similar
        ("Aab=", "Ab"),
        ("ABC", "ABC"),
        ("AaBbC", "ABC"),
        ("AaBb=", "ABb"),
    ],
)
def test_a_turn_sees_the_scenes_and_the_newest_frame(frames: str, shown: str) -> None:
    assert keys(filled(frames).select(8)) == shown


def test_the_newest_frames_count_when_there_are_too_many() -> None:
    assert keys(filled("ABCDd").select(3)) == "CDd"
    assert filled("ABC").select(0) == ()


def test_each_frame_is_shown_once() -> None:
    store = filled("AaB")
    assert keys(store.select(8)) == "AB"
    assert store.select(8) == ()
    store.add(picture("B"), "duplicate", 10)
    assert store.select(8) == ()
    store.add(picture("c"), "similar", 11)
    assert keys(store.select(8)) == "c"


def test_a_preview_hands_nothing_over() -> None:
    store = filled("ABCDd")
    assert keys(store.preview(3)) == keys(store.preview(3)) == "CDd"
    assert keys(store.select(8)) == "ABCDd"
    assert store.preview(3) == ()


def test_the_newest_frame_of_all_is_always_at_hand() -> None:
    store = FrameStore(8, 10_000)
    assert store.newest is None
    for key, change in (("A", "scene_change"), ("b", "similar"), ("=", "duplicate")):
        store.add(picture(key), change, 0)  # type: ignore[arg-type]
        assert store.newest is not None and store.newest.key == key
    store.select(8)
    assert store.newest is not None


def test_too_many_frames_push_the_oldest_out_and_say_so() -> None:
    store = FrameStore(2, 10_000)
    assert store.add(picture("A"), "scene_change", 0) is None
    assert store.add(picture("B"), "scene_change", 1) is None
    assert store.add(picture("C"), "scene_change", 2) == "1 older camera frame gave way to a newer one"
    assert keys(store.select(8)) == "BC"


def test_too_many_bytes_push_the_oldest_out_and_say_so() -> None:
    store = FrameStore(8, 1_000)
    store.add(picture("A", 400), "scene_change", 0)
    store.add(picture("B", 400), "scene_change", 1)
    assert store.add(picture("c", 700), "similar", 2) == "2 older camera frames gave way to a newer one"
    assert keys(store.select(8)) == "c"


def test_one_frame_may_be_larger_than_the_store() -> None:
    store = FrameStore(8, 1_000)
    assert store.add(picture("A", 5_000), "scene_change", 0) is None
    assert keys(store.select(8)) == "A"


def test_a_similar_frame_that_is_replaced_is_not_a_loss() -> None:
    store = FrameStore(2, 1_000)
    store.add(picture("A", 400), "scene_change", 0)
    assert all(store.add(picture("b", 400), "similar", second) is None for second in range(1, 9))


def test_old_scenes_belong_to_no_turn() -> None:
    store = FrameStore(8, 10_000, max_age_s=10)
    store.add(picture("A"), "scene_change", 0)
    store.add(picture("B"), "scene_change", 60)
    assert keys(store.select(8)) == "B"


def test_an_old_scene_does_while_the_camera_still_sees_it() -> None:
    store = FrameStore(8, 10_000, max_age_s=10)
    store.add(picture("A"), "scene_change", 0)
    for second in range(1, 60):
        store.add(picture("="), "duplicate", second)
    assert keys(store.select(8)) == "A"


def test_clear_forgets_everything() -> None:
    store = filled("AaB")
    store.clear()
    assert store.newest is None
    assert store.select(8) == ()


@given(st.text("ABCabc=", max_size=30), st.integers(1, 5), st.integers(0, 10))
def test_whatever_the_camera_shows_the_newest_look_is_among_what_waits(
    frames: str, max_frames: int, limit: int
) -> None:
    shown = keys(filled(frames, FrameStore(max_frames, 10_000, max_age_s=100)).select(limit))
    looks = frames.replace("=", "")
    assert len(shown) <= min(max_frames, limit)
    if looks and limit:
        assert shown[-1] == looks[-1]
    assert all(key.isupper() for key in shown[:-1])


class StoreUnderLoad(RuleBasedStateMachine):
    """The bounds hold, and every scene is either handed over or reported as dropped, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.added = 0
        self.unseen: list[str] = []

    @initialize(max_frames=st.integers(1, 4), max_bytes=st.integers(100, 1_000))
    def open(self, max_frames: int, max_bytes: int) -> None:
        self.store = FrameStore(max_frames, max_bytes, max_age_s=1_000_000)
        self.max_frames, self.max_bytes = max_frames, max_bytes

    @rule(change=st.sampled_from(["duplicate", "similar", "scene_change"]), size=st.integers(0, 600))
    def add(self, change: Change, size: int) -> None:
        self.added += 1
        key = f"{change} {self.added}"
        reason = self.store.add(picture(key, size), change, float(self.added))
        if change == "scene_change":
            self.unseen.append(key)
        if reason:
            del self.unseen[: int(reason.split()[0])]
        assert self.store.newest is not None and self.store.newest.key == key

    @rule()
    def select(self) -> None:
        selected = self.store.select(self.max_frames)
        assert len(selected) <= self.max_frames
        assert len(selected) <= 1 or sum(len(shown.data) for shown in selected) <= self.max_bytes
        assert [shown.key for shown in selected if shown.key.startswith("scene")] == self.unseen
        assert not any(shown.key.startswith("duplicate") for shown in selected)
        self.unseen.clear()


TestStoreUnderLoad = StoreUnderLoad.TestCase

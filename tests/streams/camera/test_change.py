from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from drawn_pictures import encoded, exposed, noisy, page, room
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.streams.camera.change import ChangeDetector, ChangeGate, distance, signature
from hearsight.streams.camera.decode import Pixels, decode_thumbnail

CHANGE, DUPLICATE = 0.12, 0.015  # the defaults of the configuration


def detector() -> ChangeDetector:
    return ChangeDetector(CHANGE, DUPLICATE)


def kinds(*pictures: Pixels) -> list[str]:
    following = detector()
    return [following.assess(picture).kind for picture in pictures]


def with_box(picture: Pixels, share: float) -> Pixels:
    """Something held into the middle of the picture that covers a share of it."""
    changed = picture.copy()
    half = round((picture.shape[0] * picture.shape[1] * share) ** 0.5 / 2)
    y, x = picture.shape[0] // 2, picture.shape[1] // 2
    changed[y - half : y + half, x - half : x + half] = (30, 30, 200)
    return changed


def test_the_first_frame_is_a_scene() -> None:
    assessment = detector().assess(room())
    assert (assessment.kind, assessment.distance) == ("scene_change", 1.0)


@pytest.mark.parametrize("sigma", [0, 5, 10, 15])
def test_noise_is_no_change(sigma: float) -> None:
    assert kinds(noisy(room(), sigma, 1), noisy(room(), sigma, 2))[1] == "duplicate"


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_compression_is_no_change(quality: int) -> None:
    jpeg = encoded(room(), ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)
    compressed = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)
    assert kinds(room(), compressed)[1] == "duplicate"


@pytest.mark.parametrize("gain", [0.75, 0.9, 1.1])
def test_automatic_exposure_is_no_scene_change(gain: float) -> None:
    assert kinds(room(), exposed(room(), gain))[1] != "scene_change"


def test_switching_the_light_off_is() -> None:
    assert kinds(room(), exposed(room(), 0.08))[1] == "scene_change"


@pytest.mark.parametrize("seed", range(1, 6))
def test_another_room_is_another_scene(seed: int) -> None:
    assert kinds(room(0), room(seed))[1] == "scene_change"


@pytest.mark.parametrize("share", [0.08, 0.15, 0.3])
def test_holding_something_up_is_a_scene_change(share: float) -> None:
    assert kinds(room(), with_box(room(), share))[1] == "scene_change"


def test_a_twitch_in_the_corner_is_not() -> None:
    moved = room()
    moved[:40, :40] = 255
    assert kinds(room(), moved)[1] != "scene_change"


def test_turning_a_page_is_noticed() -> None:
    first = page("The quick brown fox", "jumps over the lazy dog.", "Pack my box", "with five dozen jugs.")
    second = page("Sphinx of black quartz,", "judge", "my vow, and do it now,", "if you please.")
    assert kinds(first, second)[1] != "duplicate"
    assert kinds(first, noisy(first, 3))[1] == "duplicate"


def test_a_wall_and_a_covered_lens_are_quiet() -> None:
    wall = np.full((480, 640, 3), 128, dtype=np.uint8)
    assert "scene_change" not in kinds(noisy(wall, 8, 1), noisy(wall, 8, 2), noisy(wall, 8, 3))[1:]
    dark = np.zeros((480, 640, 3), dtype=np.uint8)
    assert kinds(noisy(dark, 4, 1), noisy(dark, 4, 2))[1] == "duplicate"


def test_a_slow_pan_adds_up() -> None:
    seen = kinds(*(room(shift=shift) for shift in range(20)))
    assert seen.count("scene_change") >= 2
    assert set(seen) > {"scene_change"}


def test_what_was_seen_stays_kept_while_it_stays_the_same() -> None:
    still = kinds(*(noisy(room(), 5, seed) for seed in range(10)))
    assert still == ["scene_change"] + ["duplicate"] * 9


def test_a_frame_like_the_last_similar_one_is_a_duplicate() -> None:
    nudged = room(shift=3)
    assert kinds(room(), nudged, nudged, room()) == ["scene_change", "similar", "duplicate", "duplicate"]


def test_coming_back_is_a_scene_change_again() -> None:
    assert kinds(room(0), room(1), room(0)) == ["scene_change"] * 3


def test_reset_forgets() -> None:
    following = detector()
    following.assess(room())
    following.reset()
    assert following.assess(room()).kind == "scene_change"


def test_a_thumbnail_does_as_well_as_the_picture() -> None:
    thumbnail = decode_thumbnail(encoded(room(), ".jpg"), max_pixels=10**6)
    assert distance(signature(thumbnail), signature(room())) < DUPLICATE
    assert kinds(room(0), decode_thumbnail(encoded(room(1), ".jpg"), max_pixels=10**6))[1] == "scene_change"


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.sampled_from([(640, 480), (80, 60), (1, 1), (3, 500), (48, 36)]),
)
def test_distance_is_a_symmetric_share(a: int, b: int, size: tuple[int, int]) -> None:
    first, second = signature(room(a, *size)), signature(room(b))
    assert distance(first, second) == distance(second, first)
    assert 0 <= distance(first, second) <= 1
    assert distance(first, first) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_no_two_scenes_in_a_row_look_the_same(rooms: list[int]) -> None:
    following = detector()
    shown: list[int] = []
    for seed in rooms:
        if following.assess(room(seed, 80, 60)).kind != "duplicate":
            shown.append(seed)
    assert all(a != b for a, b in pairwise(shown))
    assert shown[-1] == rooms[-1]


@pytest.mark.parametrize(("change", "duplicate"), [(0.1, 0.1), (0.1, 0.2), (0.1, -0.1)])
def test_thresholds_that_contradict_each_other_are_refused(change: float, duplicate: float) -> None:
    with pytest.raises(ValueError, match="duplicate threshold"):
        ChangeDetector(change, duplicate)


class TestGate:
    def gate(self, *pictures: Pixels) -> list[bool]:
        gate = ChangeGate()
        return [gate.passes(picture) for picture in pictures]

    @pytest.mark.parametrize("sigma", [0, 5, 10, 15])
    def test_noise_does_not_pass(self, sigma: float) -> None:
        assert self.gate(noisy(room(), sigma, 1), noisy(room(), sigma, 2)) == [True, False]

    @pytest.mark.parametrize("quality", [30, 60, 90])
    def test_compression_does_not(self, quality: int) -> None:
        jpeg = encoded(room(), ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)
        compressed = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)
        assert self.gate(room(), compressed) == [True, False]

    def test_something_small_does_though_to_the_whole_picture_it_is_nothing(self) -> None:
        changed = with_box(room(), 0.002)
        assert kinds(room(), changed)[1] == "duplicate"
        assert self.gate(room(), changed, changed, room()) == [True, True, False, True]

    def test_what_changes_slowly_adds_up(self) -> None:
        grown = [with_box(room(), share) for share in (0.0001, 0.0004, 0.001, 0.002)]
        assert any(self.gate(room(), *grown)[1:])

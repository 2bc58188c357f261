from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_pictures import exposed, noisy, room
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hearsight.agent.models.embedded.colours import MAX_COLOURS, NAMES, main_colours, name_pixels
from hearsight.streams.camera.decode import Pixels

# CSS colours and common paints, as red-green-blue, under the name that a person would give them.
PAINTS = {
    "black": "000000 101010 2a2a2a 1c1c24",
    "white": "ffffff f5f5f5 fffaf0 f0f8ff e8e8e8",
    "grey": "808080 a9a9a9 696969 c0c0c0 b8b4ae 505050",
    "red": "ff0000 dc143c b22222 8b0000 c0392b e74c3c d62828",
    "orange": "ffa500 ff8c00 ff7f50 e67e22 f39c12 d35400",
    "yellow": "ffff00 ffd700 f1c40f fff44f ffeb3b e6d820",
    "green": "008000 00ff00 228b22 2ecc71 27ae60 556b2f 808000 006400 9acd32 90ee90",
    "blue": "0000ff 4169e1 1e90ff 000080 3498db 87ceeb 2980b9 191970 5f9ea0",
    "purple": "800080 9b59b6 8a2be2 4b0082 9370db 6a0dad",
    "pink": "ffc0cb ff69b4 ffb6c1 ff1493 f8a5c2 fa8072",
    "brown": "8b4513 a0522d 654321 7b3f00 5c4033 d2b48c c19a6b 6b4423",
}


def painted(rgb: str, width: int = 64, height: int = 48) -> Pixels:
    return np.full((height, width, 3), list(bytes.fromhex(rgb))[::-1], dtype=np.uint8)


@pytest.mark.parametrize(("name", "rgb"), [(name, rgb) for name in PAINTS for rgb in PAINTS[name].split()])
def test_a_paint_has_the_name_that_people_give_it(name: str, rgb: str) -> None:
    assert main_colours(painted(rgb)) == (name,)


def test_every_name_has_a_paint() -> None:
    assert set(PAINTS) == set(NAMES)


@pytest.mark.parametrize("name", ["red", "yellow", "green", "blue", "white", "black"])
def test_neither_light_nor_the_sensor_changes_the_name(name: str) -> None:
    paint = noisy(painted(PAINTS[name].split()[0], 320, 240), sigma=20)
    for gain in (0.9, 1.0, 1.2):
        assert main_colours(exposed(paint, gain)) == (name,)


def test_the_middle_counts_more_than_the_edges() -> None:
    picture = painted("0000ff", 400, 400)
    picture[80:320, 80:320] = painted("ff0000", 240, 240)
    assert main_colours(picture) == ("red", "blue")
    strip = painted("0000ff", 400, 400)
    strip[:, :144] = painted("ff0000", 144, 400)  # as many pixels
    assert main_colours(strip) == ("blue", "red")


def test_a_detail_is_not_a_main_colour() -> None:
    picture = painted("228b22", 400, 400)
    picture[190:210, 190:210] = painted("ff0000", 20, 20)
    assert main_colours(picture) == ("green",)


def test_a_vivid_thing_in_a_grey_room_is_seen() -> None:
    room_view = painted("808080", 400, 300)
    room_view[120:180, 140:260] = painted("d62828", 120, 60)
    dull_view = painted("808080", 400, 300)
    dull_view[120:180, 140:260] = painted("5c4033", 120, 60)
    assert main_colours(room_view) == ("grey", "red")
    assert main_colours(dull_view) == ("grey", "brown")


def test_at_most_three_are_named() -> None:
    stripes = np.concatenate([painted(PAINTS[name].split()[0], 30, 120) for name in PAINTS], axis=1)
    assert len(main_colours(stripes)) == MAX_COLOURS


def test_size_does_not_matter() -> None:
    view = room(seed=3)
    small = cv2.resize(view, (160, 120), interpolation=cv2.INTER_AREA)
    large = cv2.resize(view, (1920, 1440), interpolation=cv2.INTER_CUBIC)
    assert main_colours(small) == main_colours(view) == main_colours(large)


def test_no_pixels_have_no_colour() -> None:
    assert main_colours(np.zeros((0, 5, 3), dtype=np.uint8)) == ()


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_every_picture_has_colours_each_named_once(picture: Pixels) -> None:
    colours = main_colours(picture)
    assert 1 <= len(colours) <= MAX_COLOURS
    assert len(set(colours)) == len(colours)
    assert set(colours) <= set(NAMES)


@given(st.integers(0, 255))
def test_greys_are_black_grey_or_white(level: int) -> None:
    [[name]] = name_pixels(np.full((1, 1, 3), level, dtype=np.uint8))
    assert NAMES[name] in ("black", "grey", "white")


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_a_mirrored_picture_has_the_same_colours(bgr: tuple[int, int, int]) -> None:
    picture = np.zeros((20, 20, 3), dtype=np.uint8)
    picture[:, :10] = bgr
    assert main_colours(picture) == main_colours(np.ascontiguousarray(picture[:, ::-1]))

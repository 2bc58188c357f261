from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.embedded.text_lines import TextPiece, in_reading_order


def piece(text: str, left: float, top: float, height: float = 20, turn_degrees: float = 0) -> TextPiece:
    """Text in letters half as wide as high, on a page that is turned clockwise about its corner."""
    width = len(text) * height / 2
    corners = np.array([[left, top], [left + width, top], [left + width, top + height], [left, top + height]])
    angle = np.radians(turn_degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return TextPiece(text, (corners @ turn).astype(np.float32))


def page(turn_degrees: float = 0) -> list[TextPiece]:
    return [
        piece("first", 10, 10, turn_degrees=turn_degrees),
        piece("line", 70, 12, turn_degrees=turn_degrees),
        piece("here", 120, 8, turn_degrees=turn_degrees),
        piece("second line", 10, 40, turn_degrees=turn_degrees),
        piece("third", 10, 70, turn_degrees=turn_degrees),
        piece("one", 70, 71, turn_degrees=turn_degrees),
    ]


LINES = ("first line here", "second line", "third one")


@given(st.permutations(range(6)), st.floats(-40, 40))
def test_pieces_make_lines_whatever_their_order_and_however_the_page_is_held(
    order: list[int], turn_degrees: float
) -> None:
    pieces = page(turn_degrees)
    assert in_reading_order([pieces[index] for index in order]) == LINES


def test_pieces_far_apart_stay_apart_from_left_to_right() -> None:
    receipt = [
        piece("3.20", 400, 40), piece("Coffee", 10, 41), piece("Tea", 10, 11), piece("2.50", 400, 10),
    ]  # fmt: skip
    assert in_reading_order(receipt) == ("Tea", "2.50", "Coffee", "3.20")


def test_a_headline_is_not_joined_to_the_small_print_beside_it() -> None:
    assert in_reading_order([piece("fine print", 170, 80, height=10), piece("SALE", 10, 20, height=80)]) == (
        "SALE",
        "fine print",
    )


def test_text_that_runs_down_does_not_turn_the_page() -> None:
    margins = [
        TextPiece("side", np.array([[x, 0], [x, 90], [x - 20, 90], [x - 20, 0]], dtype=np.float32))
        for x in (600, 700, 800, 900)
    ]
    lines = in_reading_order([*page(), *margins])
    assert [line for line in lines if "side" not in line] == list(LINES)


def test_a_tall_piece_between_two_does_not_part_their_line() -> None:
    lines = in_reading_order([piece("left", 10, 50), piece("right", 55, 54), piece("I", 900, 2, height=100)])
    assert lines == ("left right", "I")


def test_no_text_has_no_lines() -> None:
    assert in_reading_order([]) == ()


@pytest.mark.parametrize("turn_degrees", [0, 10])
def test_one_piece_is_one_line(turn_degrees: float) -> None:
    assert in_reading_order([piece("EXIT", 5, 5, turn_degrees=turn_degrees)]) == ("EXIT",)


PLACES = st.tuples(st.floats(0, 1000), st.floats(0, 1000), st.floats(5, 100), st.floats(-180, 180))


@given(st.lists(PLACES, max_size=12))
def test_no_piece_is_lost_or_said_twice(places: list[tuple[float, float, float, float]]) -> None:
    pieces = [piece(f"w{index}", *place) for index, place in enumerate(places)]
    words = " ".join(in_reading_order(pieces)).split()
    assert sorted(words) == sorted(f"w{index}" for index in range(len(places)))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12, unique=True))
def test_a_column_is_read_downwards(rows: list[int]) -> None:
    pieces = [piece(f"row {row}", 10, 25 * row) for row in rows]
    assert in_reading_order(pieces) == tuple(f"row {row}" for row in sorted(rows))

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.tools.arithmetic import evaluate
from hearsight.tools.errors import ToolError
from hearsight.tools.spoken_math import to_expression


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17 * 23", 391),
        ("17 × 23", 391),
        ("17 x 23", 391),
        ("17x23", 391),
        ("seventeen times twenty three", 391),
        ("seventeen times twenty-three", 391),
        ("84 ÷ 7", 12),
        ("ten − 4", 6),
        ("2^10", 1024),
        ("2 to the power of 10", 1024),
        ("2 raised to the power of ten", 1024),
        ("12 squared", 144),
        ("three cubed", 27),
        ("5²", 25),
        ("(2 + 3) squared", 25),
        ("1,234,567 + 1", 1_234_568),
        ("12,000 / 4", 3000),
        ("max(1,200, 5)", 200),
        ("15% of 80", 12),
        ("15 percent of eighty", 12),
        ("what's 15 % of 1,200?", 180),
        ("80 + 15%", 92),
        ("100 minus 20 percent", 80),
        ("10 - 3% of 50", 8.5),
        ("20% off 80", 64),
        ("a 20% tip on $54.50", 10.9),
        ("10% * 50", 5),
        ("(5 + 5)%", 0.1),
        ("17 % 5", 2),
        ("17 mod 5", 2),
        ("17 % (2 + 3)", 2),
        ("half of 90", 45),
        ("a third of 90", 30),
        ("two thirds of 90", 60),
        ("three quarters of 80", 60),
        ("square root of 144", 12),
        ("the square root of 16 plus 9", 13),
        ("cube root of 27", 3),
        ("√16", 4),
        ("√(9 + 16)", 5),
        ("sqrt 16 * 4", 16),
        ("5!", 120),
        ("5 factorial", 120),
        ("factorial of 5", 120),
        ("(2 + 1)!", 6),
        ("sin of 30 degrees", 0.5),
        ("cosine of 60 degrees", 0.5),
        ("sin(30°)", 0.5),
        ("sin(pi / 2)", 1),
        ("2π", 2 * math.pi),
        ("log10(1000)", 3),
        ("log(8, 2)", 3),
        ("log of e", 1),
        ("math.sqrt(49)", 7),
        ("2(3 + 4)", 14),
        ("(1 + 2)(3 + 4)", 21),
        ("1e3 + 1", 1001),
        (".5 * 4", 2),
        ("add 3 and 4", 7),
        ("subtract 5 from 20", 15),
        ("multiply six by seven", 42),
        ("divide 20 by 5", 4),
        ("what is the sum of three and four", 7),
        ("the difference between 10 and 4", 6),
        ("the product of 6 and 7", 42),
        ("negative five plus 3", -2),
        ("a hundred and five plus two thousand three hundred and forty one", 2446),
        ("two point five million divided by 4", 625_000),
        ("$20 plus $5", 25),
        ("um, how much is 5 plus 5, please", 10),
    ],
)
def test_what_people_say_and_write(text: str, value: float) -> None:
    assert evaluate(to_expression(text)) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "hello there", "12 feet", "3 and 4", "25 percent 80", "19 84", "%", ")!", "of"]
)
def test_what_is_not_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(ToolError):
        evaluate(to_expression(text))


NUMBERS = st.integers(0, 10**6).map(str) | st.floats(0, 1e6, allow_nan=False).map(
    lambda number: f"{number:.3f}"
)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(" ".join)
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"abs({text})")
        | st.tuples(inner, inner).map(lambda pair: f"max({pair[0]}, {pair[1]})")
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_python_notation_keeps_its_value(expression: str) -> None:
    if len(expression) <= 150:
        expected = eval(expression, {"__builtins__": {}}, {"abs": abs, "max": max})
        assert evaluate(to_expression(expression)) == pytest.approx(expected)


@given(st.text(max_size=80) | st.lists(st.sampled_from(
    "( ) of percent % ! squared degrees half 5 sqrt sin x - , e and point times add to from".split()
)).map(" ".join))  # fmt: skip
def test_any_text_is_rewritten_and_then_judged(text: str) -> None:
    try:
        value = evaluate(to_expression(text))
    except ToolError as error:
        assert error.message.endswith(".")
    else:
        assert isinstance(value, int) or math.isfinite(value)

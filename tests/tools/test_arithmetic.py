from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.tools.arithmetic import FUNCTIONS, MAX_BITS, evaluate
from hearsight.tools.errors import ToolError


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 // 2", 3),
        ("7 % 3", 1),
        ("-2 ** 2", -4),
        ("+3", 3),
        ("2 ** -1", 0.5),
        ("10 ** 20 + 1", 10**20 + 1),
        ("sqrt(10 ** 30)", 10**15),
        ("sqrt(2)", math.sqrt(2)),
        ("min(3, 1, 2)", 1),
        ("round(2.675, 1)", 2.7),
        ("round(2.5)", 2),
        ("round(12345, -2)", 12300),
        ("pow(2, 5)", 32),
        ("factorial(20)", 2432902008176640000),
        ("ln(e)", 1),
        ("exp(0)", 1),
        ("floor(2.7) + ceil(2.1)", 5),
        ("percent(50) * 10", 5),
        ("200 + percent(10)", 220),
        ("percent(10) + percent(5)", 0.15),
    ],
)
def test_values(expression: str, value: float) -> None:
    assert evaluate(expression) == pytest.approx(value)


def test_whole_numbers_stay_exact() -> None:
    assert evaluate("3 ** 100") == 3**100
    assert isinstance(evaluate("6 * 7"), int)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__",
        "[1, 2]",
        "lambda: 1",
        "x := 3",
        "1 if 1 else 2",
        "1 < 2",
        "'a' * 3",
        "True",
        "1j",
        "max(*[1, 2])",
        "round(number=2)",
        "unknown(1)",
        "unknown",
        "sqrt",
        "1 +",
        "",
        "1; 2",
        "sqrt(1, 2, 3)",
        "max()",
        "1 << 70",
        "~1",
    ],
)
def test_nothing_but_arithmetic_is_evaluated(expression: str) -> None:
    with pytest.raises(ToolError):
        evaluate(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 / 0", "zero"),
        ("1 // 0", "zero"),
        ("1 % 0", "zero"),
        ("0 ** -1", "zero"),
        ("9 ** 9 ** 9", "too large"),
        ("pow(9, 9 ** 9)", "too large"),
        ("10 ** 3000 * 10 ** 3000", "too large"),
        ("1e308 * 10", "too large"),
        ("1e308 ** 2", "too large"),
        ("1e999", "too large"),
        ("factorial(1001)", "too large"),
        ("factorial(2.5)", "factorial"),
        ("factorial(-1)", "factorial"),
        ("(-8) ** 0.5", "real"),
        ("pow(-8, 0.5)", "real"),
        ("sqrt(-1)", "real"),
        ("log(0)", "real"),
        ("asin(2)", "real"),
        ("1 + " * 200 + "1", "longer"),
        ("foo(2)", "foo"),
    ],
)
def test_what_has_no_result_says_why(expression: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        evaluate(expression)


@pytest.mark.parametrize(
    "expression", ["(" * 190 + "1" + ")" * 190, "-" * 390 + "1", "1" + "+1" * 190, "((" * 190]
)
def test_depth_is_no_way_to_break_it(expression: str) -> None:
    try:
        assert abs(evaluate(expression)) <= 191
    except ToolError:
        pass


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9 ** 9",
        "factorial(factorial(1000))",
        "*".join(["factorial(1000)"] * 20),
        "2 ** 9999 ** 1",
        "round(1e300, 10 ** 18)",
        "round(7, 0 - 10 ** 18)",
    ],
)
def test_no_expression_takes_noticeable_time(expression: str) -> None:
    started_s = time.perf_counter()
    try:
        evaluate(expression)
    except ToolError:
        pass
    assert time.perf_counter() - started_s < 0.5


OPERATIONS = st.sampled_from(["+", "-", "*", "/", "//", "%", "**"])
ATOMS = st.integers(-9999, 9999).map(lambda number: f"({number})") | st.sampled_from(
    ["pi", "e", "0.5", "1e9"]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, OPERATIONS, inner).map(lambda parts: f"({' '.join(parts)})")
        | st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda parts: f"{parts[0]}({parts[1]})")
    ),
    max_leaves=10,
)


@given(EXPRESSIONS)
def test_every_expression_has_a_finite_value_or_a_reason(expression: str) -> None:
    try:
        value = evaluate(expression)
    except ToolError as error:
        assert error.message
    else:
        assert value.bit_length() <= MAX_BITS if isinstance(value, int) else math.isfinite(value)

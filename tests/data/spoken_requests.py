"""The spoken requests, and how a model's call is judged against what was expected.

Used by the benchmarks and by the tests beside this file; see README.md for what the sets are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsight.tools.arguments import ArgumentsSchema
from hearsight.tools.arithmetic import evaluate
from hearsight.tools.builtin import BUILT_IN
from hearsight.tools.calls import ToolCall, ToolSpec
from hearsight.tools.errors import ToolError
from hearsight.tools.places import find_place
from hearsight.tools.registry import ToolRegistry
from hearsight.tools.spoken_math import to_expression
from hearsight.tools.timers import clean_label

HELD_OUT = Path(__file__).with_name("spoken_requests.jsonl")
DEV = Path(__file__).with_name("spoken_requests_dev.jsonl")

SPECS: dict[str, ToolSpec] = {spec.name: spec for spec in ToolRegistry(BUILT_IN.values()).specs()}


@dataclass(frozen=True, slots=True)
class SpokenRequest:
    """Something said, and the call that answers it."""

    id: str
    text: str
    tool: str | None
    """None where the assistant should just talk."""
    arguments: Mapping[str, Any]
    check: Mapping[str, str]
    """How each argument is compared; see ``CHECKS``. What is not named here must be left at its default."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good a call was."""

    right_tool: bool
    """The right tool, or rightly none."""
    right_arguments: bool
    """Counts only with the right tool."""
    problems: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Tool and arguments."""
        return self.right_tool and self.right_arguments


def load(path: Path) -> tuple[SpokenRequest, ...]:
    """One request a line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(SpokenRequest(**json.loads(line)) for line in lines)


def judge(expected: SpokenRequest, call: ToolCall | None) -> Verdict:
    """Compare a call with what was expected.

    Args:
        expected: The request that was put to the model.
        call: Its first call, or None where it just talked.
    """
    if expected.tool is None:
        return Verdict(True, True) if call is None else _wrong_tool(f"called {call.name} needlessly")
    if call is None:
        return _wrong_tool(f"called nothing instead of {expected.tool}")
    if call.name != expected.tool:
        return _wrong_tool(f"called {call.name} instead of {expected.tool}")
    spec = SPECS[expected.tool]
    try:
        given = ArgumentsSchema(spec.parameters).check(call.arguments)
    except ToolError as error:
        return Verdict(True, False, (error.message,))
    problems = tuple(_compare(expected, spec, given))
    return Verdict(True, not problems, problems)


def _compare(expected: SpokenRequest, spec: ToolSpec, given: Mapping[str, Any]) -> list[str]:
    problems = []
    for name, schema in spec.parameters["properties"].items():
        default = schema.get("default")
        actual = given.get(name, default)
        wanted = expected.arguments.get(name, default)
        kind, _, detail = expected.check.get(name, "equal").partition(":")
        if not CHECKS[kind](wanted, actual, detail):
            problems.append(f"{name}={actual!r} instead of {wanted!r}")
    return problems


def _wrong_tool(problem: str) -> Verdict:
    return Verdict(False, False, (problem,))


def _equal(wanted: Any, actual: Any, _: str) -> bool:
    return bool(wanted == actual)


def _value(wanted: str, actual: str, _: str) -> bool:
    try:
        expected, value = evaluate(to_expression(wanted)), evaluate(to_expression(actual))
    except ToolError:
        return False
    return abs(expected - value) <= 1e-6 * max(1.0, abs(expected))


def _zone(wanted: str, actual: str, _: str) -> bool:
    if not wanted:
        return actual.strip().lower() in ("", "here", "local", "home")
    expected, found = find_place(wanted), find_place(actual)
    return expected is not None and found is not None and expected.zone.key == found.zone.key


def _label(wanted: str, actual: str, _: str) -> bool:
    return clean_label(wanted).lower() == clean_label(actual).lower()


def _contains(_: Any, actual: Any, words: str) -> bool:
    text = str(actual).lower().replace("-", " ")
    return all(any(word in text for word in either.split("|")) for either in words.split(","))


def _contains_optional(wanted: Any, actual: Any, words: str) -> bool:
    return not str(actual).strip() or _contains(wanted, actual, words)


def _any(wanted: Any, actual: Any, _: str) -> bool:
    return True


CHECKS: dict[str, Callable[[Any, Any, str], bool]] = {
    "equal": _equal,
    "value": _value,
    "zone": _zone,
    "label": _label,
    "contains": _contains,
    "contains_optional": _contains_optional,
    "any": _any,
}
"""Name → (wanted, actual, detail) → whether they agree.

``value``: both work out to the same number. ``zone``: both name places in the same time zone. ``label``:
equal but for words such as "the" and "timer". ``contains:a,b|c``: has "a", and "b" or "c".
``contains_optional``: likewise, or empty. ``any``: whatever it is.
"""

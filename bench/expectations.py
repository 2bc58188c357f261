"""What should come of a scene: rules over what was seen of it, each with its words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from seen import Seen


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that should come of a scene."""

    words: str
    holds: Callable[[Seen], bool]


def _sorted_out(seen: Seen) -> bool:
    texts = [text.strip() for text in seen.spoken.values() if text.strip()]
    return len(set(texts)) == len(texts)


ALWAYS = (
    Expectation("no answer runs beside another", lambda seen: seen.announced - len(seen.statuses) in (0, 1)),
    Expectation("nothing is said twice", _sorted_out),
    Expectation("nothing fails", lambda seen: not seen.errors and "failed" not in seen.statuses),
)
GOES_ON = Expectation(
    "nothing is stopped, and nobody is told that the user speaks",
    lambda seen: not seen.interrupted and seen.speech_started == 0,
)
STOPS = Expectation("the answer is stopped, once", lambda seen: seen.statuses.count("cancelled") == 1)

STORY_STOPS = Expectation("the story is stopped first", lambda seen: seen.statuses[:1] == ["cancelled"])
"""What is said in two sentences may be two turns; the answer to the first then gives way to the second."""


def calls(*names: str) -> Expectation:
    """The service's tools are called, each so often, and no other."""
    return Expectation(f"its calls are {', '.join(names)}", lambda seen: sorted(seen.calls) == sorted(names))


def makes(*lines: str) -> Expectation:
    """The tools of the household do this, each line once, and nothing else."""
    what = ", ".join(lines) or "nothing"
    return Expectation(f"what is done is: {what}", lambda seen: seen.made == [*lines])


def says(expression: str, times: int = 1) -> Expectation:
    """Something is said so often."""
    return Expectation(
        f"{expression!r} is said {times} times",
        lambda seen: len(re.findall(expression, seen.text, re.IGNORECASE)) == times,
    )


def understands(*expressions: str) -> Expectation:
    """The user's words arrive, each in its own turn or several in one, in this order."""
    return Expectation(
        f"the user is understood: {', '.join(expressions)}",
        lambda seen: bool(re.search(".*".join(expressions), " ".join(seen.heard.values()), re.IGNORECASE)),
    )


def turns(*statuses: str, more: int = 0) -> Expectation:
    """The answers end so, in this order; of more than these, so many have begun."""
    return Expectation(
        f"the answers are {', '.join(statuses)}",
        lambda seen: seen.statuses[: len(statuses)] == [*statuses] and seen.announced == len(statuses) + more,
    )

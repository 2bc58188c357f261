"""The tool that stops a timer."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context
from hearsight.tools.speech import joined
from hearsight.tools.timers import Timer, Timers, clean_label

_EVERY_ONE = frozenset({"all", "every", "everything", "both", "all of them", "all timers", "every one"})


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": True},
)
async def cancel_timer(context: Context, label: str = "") -> Reply:
    """Stop a running timer.

    Args:
        context: The session.
        label: Which one: its label, such as "tea", or its length; "all" for all; empty if there is just one.
    """
    running = context.timers.running()
    if not running:
        return _same("There's no timer running.")
    if label.strip().lower() in _EVERY_ONE or clean_label(label).lower() in _EVERY_ONE:
        return _cancelled(context.timers, running)
    found = context.timers.matching(label)
    if not found:
        return _same(f"There's no {clean_label(label)} timer. Running: {_named(running)}.")
    if len(found) > 1:
        return _same(f"Which one should I cancel: {_named(found, 'or')}?")
    return _cancelled(context.timers, found)


def _cancelled(timers: Timers, chosen: Sequence[Timer]) -> Reply:
    for timer in chosen:
        timers.cancel(timer)
    if len(chosen) == 1:
        return _same(f"Your {chosen[0].spoken_name} is cancelled.")
    return _same(f"{'Both' if len(chosen) == 2 else f'All {len(chosen)}'} timers are cancelled.")


def _named(timers: Sequence[Timer], conjunction: str = "and") -> str:
    return joined([f"the {timer.spoken_name}" for timer in timers[:5]], conjunction)


def _same(sentence: str) -> Reply:
    return Reply(sentence, sentence)

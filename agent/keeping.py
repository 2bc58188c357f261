"""What of an agent's session outlasts its process, and how another process goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from hearsight.agent.context import Context
from hearsight.agent.messages import made_call, open_calls
from hearsight.agent.pending import PendingCalls
from hearsight.agent.tool_runs import ToolRuns
from hearsight.tools.calls import ToolCall, ToolOutcome
from hearsight.tools.registry import ToolRegistry

NOT_RUN = "{name} was not run: the service was restarted before it began."
UNKNOWN = (
    "The service was restarted while {name} ran, so it is not known whether it did its work. "
    "Do not run it again unless the user wants that."
)


def agent_state(
    context: Context,
    guesses: Collection[int],
    tool_runs: ToolRuns,
    pending: PendingCalls,
    timers: list[dict[str, Any]],
) -> dict[str, Any]:
    """All that another process needs; ``messages`` are LangChain's, the rest is plain values.

    Args:
        context: The conversation as the model sees it.
        guesses: Generations of the responses that may still be thrown away.
        tool_runs: The tools that run.
        pending: What the user has been asked.
        timers: `Timers.state`.
    """
    return {
        "messages": context.lasting(guesses),
        "condensed": list(context.condensed),
        "running": [asdict(call) for call in tool_runs.calls],
        "asked": [asdict(call) for call in pending.calls],
        "timers": timers,
    }


def restore(state: Mapping[str, Any], context: Context, pending: PendingCalls) -> None:
    """Put the conversation, and what the user was asked, where they were."""
    context.restore(state["messages"], state["condensed"])
    if state["asked"]:
        pending.ask([ToolCall(**call) for call in state["asked"]], generation=0)


def pick_up(
    state: Mapping[str, Any], context: Context, tool_runs: ToolRuns, registry: ToolRegistry
) -> list[tuple[bool, asyncio.Task[ToolOutcome]]]:
    """See to the calls that another process has left without a result.

    What may be repeated is run again. What may not is not: the model is told how things stand, and the user
    decides.

    Returns:
        The runs, and whether each is a long one, whose result is told when it comes.
    """
    made = {made_call(message) for message in context.messages}
    # What a guess at an answer had begun is not in the conversation, and nobody waits for it.
    started = {call["id"]: ToolCall(**call) for call in state["running"] if call["id"] in made}
    left = {call_id: ToolCall(call_id, name, args) for call_id, name, args in open_calls(context.messages)}
    runs = []
    for call in (left | started).values():
        spec = registry.find(call.name)
        if spec is not None and spec.repeatable:
            runs.append((spec.long_running, tool_runs.start(call, registry, context)))
        else:
            note = UNKNOWN if call.id in started else NOT_RUN
            context.replace_tool_result(call.id, note.format(name=call.name), ok=False)
    return runs

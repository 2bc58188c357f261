"""What of an agent's session outlasts its process, and how another process goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from hearsight.agent.context import Context
from hearsight.agent.messages import blocks, made_call, open_calls
from hearsight.agent.models.base import Capabilities, Conversation
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
    messages = context.lasting(guesses)
    return {
        "messages": messages,
        "media": media_of(messages),
        "condensed": list(context.condensed),
        "running": [asdict(call) for call in tool_runs.calls],
        "asked": [asdict(call) for call in pending.calls],
        "timers": timers,
    }


def media_of(messages: Sequence[BaseMessage]) -> list[str]:
    """File ids of the pictures and utterances that messages name, each once."""
    named = (
        block["file_id"]
        for message in messages
        if isinstance(message, HumanMessage)
        for block in blocks(message)
        if block["type"] in ("image", "audio")
    )
    return list(dict.fromkeys(named))


def recall(
    state: Mapping[str, Any], context: Context, conversation: Conversation, capabilities: Capabilities
) -> None:
    """Give an engine back the pictures and the speech that the messages name.

    One that does not take them as they are needs them only where they have not been put into words.
    """
    pictures, speech = state.get("pictures", {}), state.get("speech", {})
    for message in context.messages:
        for block in blocks(message) if isinstance(message, HumanMessage) else ():
            file_id = str(block.get("file_id"))
            if block["type"] == "image" and file_id in pictures:
                if capabilities.pictures or not block["caption"]:
                    picture = pictures[file_id]
                    conversation.see(picture, in_depth=not picture.captured_ms)
            elif block["type"] == "audio" and file_id in speech:
                if capabilities.audio or block["transcript"] is None:
                    conversation.hear(file_id, speech[file_id])


def restore(state: Mapping[str, Any], context: Context, pending: PendingCalls) -> None:
    """Put the conversation, and what the user was asked, where they were."""
    context.restore(state["messages"], state["condensed"])
    if state["asked"]:
        pending.ask([ToolCall(**call) for call in state["asked"]], generation=0)


def pick_up(
    state: Mapping[str, Any], context: Context, tool_runs: ToolRuns, registry: ToolRegistry
) -> list[tuple[bool, asyncio.Task[ToolOutcome]]]:
    """See to the calls that another process has left without a result.

    What has returned is known to have. What may be repeated is run again. What may not is not: the model is
    told how things stand, and the user decides.

    Returns:
        The runs, and whether each is a long one, whose result is told when it comes.
    """
    made = {made_call(message) for message in context.messages}
    # What a guess at an answer had begun is not in the conversation, and nobody waits for it.
    started = {call["id"]: ToolCall(**call) for call in state["running"] if call["id"] in made}
    left = {call_id: ToolCall(call_id, name, args) for call_id, name, args in open_calls(context.messages)}
    results = state.get("results", {})
    runs = []
    for call in (left | started).values():
        spec = registry.find(call.name)
        if call.id in results:
            outcome = ToolOutcome(**results[call.id])
            context.replace_tool_result(call.id, outcome.content, ok=outcome.ok)
            if spec is not None and spec.long_running:
                runs.append((True, asyncio.create_task(_ended(outcome))))
        elif spec is not None and spec.repeatable:
            runs.append((spec.long_running, tool_runs.start(call, registry, context)))
        else:
            note = UNKNOWN if call.id in started else NOT_RUN
            context.replace_tool_result(call.id, note.format(name=call.name), ok=False)
    return runs


async def _ended(outcome: ToolOutcome) -> ToolOutcome:
    return outcome

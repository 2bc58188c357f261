"""The node that makes the calls: the service's own tools here and now, the client's by asking for them."""

from __future__ import annotations

import asyncio
import json

from langchain_core.messages import BaseMessage, ToolMessage
from langgraph.runtime import Runtime

from hearsight.agent.answer import Emit
from hearsight.agent.messages import call_message, result_id, result_message
from hearsight.agent.pending import question
from hearsight.agent.turn import State, Turn
from hearsight.streams.events import ClientCall, ServerCallFinished, ServerCallStarted
from hearsight.streams.events import ToolCall as WireCall
from hearsight.tools.calls import ToolCall, ToolOutcome

FILLERS = ("Just a moment.", "One moment, please.", "I'm on it.")
"""Said when a tool takes longer than people wait in silence."""
STARTED = "{name} has been started and goes on by itself; what it finds will be told later. Say so, briefly."

_Runs = list[tuple[list[BaseMessage], ToolOutcome]]


async def act(state: State, runtime: Runtime[Turn]) -> State:
    """Make all calls of the round, concurrently.

    The service's own tools run in tasks of the session: an answer that is cancelled here stops waiting for
    them, not them. A call that only the client can make ends the answer once it is sent.
    """
    turn, emit = runtime.context, runtime.stream_writer
    await turn.answer.flush()
    made = [_checked(turn, call) for call in state["calls"]]
    if not state.get("agreed") and (doubtful := _to_confirm(turn, made)):
        turn.pending.ask(state["calls"], turn.request.generation)
        return State(messages=[], calls=[], ready=" ".join(doubtful))
    # The session holds back what is sent until the turn is confirmed; what runs here, nobody holds back.
    server = [(call, outcome) for call, outcome in made if outcome is not None or not _is_client(turn, call)]
    runs = asyncio.gather(*(_run(turn, call, failed, emit) for call, failed in server))
    results = await _bridged(turn, state, runs, emit)
    for call, failed in made:
        if failed is None and _is_client(turn, call):
            _ask_client(turn, call, emit)
    outcomes = [outcome for _, outcome in results]
    made_messages = [message for messages, _ in results for message in messages]
    update = State(messages=_fitting(turn, state, made_messages), calls=[], agreed=False)
    if len(server) < len(made):
        update["handed_over"] = True
    elif all(outcome.say is not None for outcome in outcomes):
        update["ready"] = " ".join(outcome.say or "" for outcome in outcomes)
    return update


def _to_confirm(turn: Turn, made: list[tuple[ToolCall, ToolOutcome | None]]) -> list[str]:
    """What to ask the user first."""
    specs = [(call, turn.registry.find(call.name)) for call, failed in made if failed is None]
    return [question(call, spec) for call, spec in specs if spec is not None and spec.confirm]


async def _bridged(turn: Turn, state: State, runs: asyncio.Future[_Runs], emit: Emit) -> _Runs:
    """The results; if they take long, something is said meanwhile, for silence is taken for a failure."""
    try:
        with turn.watchdog.resting():
            await asyncio.wait({runs}, timeout=turn.limits.filler_after_s)
        if not runs.done() and turn.confirmed.is_set() and turn.request.modality == "audio":
            turn.answer.write(FILLERS[state.get("rounds", 0) % len(FILLERS)], emit)
            await turn.answer.flush()
        with turn.watchdog.resting():
            return await runs
    finally:
        runs.cancel()
        await asyncio.gather(runs, return_exceptions=True)  # else its cancellation is logged as an error


def _fitting(turn: Turn, state: State, made: list[BaseMessage]) -> list[BaseMessage]:
    """Calls and results, the results cut where the model's context has no room for them."""
    bare = [message.model_copy(update={"content": ""}) for message in made]
    head = turn.ledger.head(turn.instructions, turn.tools)
    used = head.total + sum(turn.ledger.message(message).total for message in [*state["messages"], *bare])
    results = sum(isinstance(message, ToolMessage) for message in made)
    share = max(0, turn.ledger.budget - used) // max(1, results)
    return [
        message.model_copy(update={"content": turn.ledger.cut(str(message.content), share)})
        if isinstance(message, ToolMessage)
        else message
        for message in made
    ]


def after_act(state: State) -> str:
    """Whether the model has to put the results into words."""
    return "speak" if state.get("ready") or state.get("handed_over") else "think"


def _is_client(turn: Turn, call: ToolCall) -> bool:
    spec = turn.registry.find(call.name)
    return spec is not None and spec.client


def _checked(turn: Turn, call: ToolCall) -> tuple[ToolCall, ToolOutcome | None]:
    """The call with its true name and arguments, or what is wrong with it."""
    checked = turn.registry.check(call)
    return (call, checked) if isinstance(checked, ToolOutcome) else (checked, None)


async def _run(
    turn: Turn, call: ToolCall, failed: ToolOutcome | None, emit: Emit
) -> tuple[list[BaseMessage], ToolOutcome]:
    """Run one of the service's tools, and report it; the messages are its call and its result."""
    spec = turn.registry.find(call.name)
    if failed is None and turn.request.speculative and spec is not None and spec.side_effects:
        await turn.confirmed.wait()
    item_id = turn.answer.new_item_id()
    wire = WireCall(call.id, call.name, json.dumps(call.arguments))
    turn.record.add_call(item_id, wire, turn.request.generation)
    emit(ServerCallStarted(turn.request.generation, item_id, wire))
    if failed is None and spec is not None and spec.long_running:
        outcome = _start(turn, call)
    elif failed is None:
        # Shielded: what a tool has begun it ends, and its result is not lost.
        outcome = await asyncio.shield(turn.tool_runs.start(call, turn.registry, turn.record))
    else:
        outcome = failed
        turn.record.add_tool_result(call.id, failed.content, ok=False)
    emit(ServerCallFinished(turn.request.generation, item_id, outcome.content, ok=outcome.ok))
    result = result_message(result_id(item_id), call.id, outcome.content, ok=outcome.ok)
    return [call_message(item_id, wire), result], outcome


def _start(turn: Turn, call: ToolCall) -> ToolOutcome:
    """Start a tool that nobody waits for; what it returns takes the place of this first result."""
    started = ToolOutcome(call.id, call.name, STARTED.format(name=call.name))
    turn.record.add_tool_result(call.id, started.content)
    task = turn.tool_runs.start(call, turn.registry, turn.record)
    if turn.finished is not None:
        tell = turn.finished
        task.add_done_callback(lambda done: None if done.cancelled() else tell(done.result()))
    return started


def _ask_client(turn: Turn, call: ToolCall, emit: Emit) -> None:
    """Send a call that the client makes; its result comes as an item of the conversation."""
    item_id = turn.answer.new_item_id()
    wire = WireCall(call.id, call.name, json.dumps(call.arguments))
    turn.record.add_call(item_id, wire, turn.request.generation, client=True)
    emit(ClientCall(turn.request.generation, item_id, wire))

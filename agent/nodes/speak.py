"""The last node: say what is ready, and wait until all of the answer was sent."""

from __future__ import annotations

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from hearsight.agent.turn import State, Turn
from hearsight.streams.events import AnswerFinished


async def speak(state: State, runtime: Runtime[Turn]) -> State:
    """Finish the answer.

    Raises:
        EngineError: The voice failed.
    """
    turn, ready = runtime.context, state.get("ready")
    if ready:
        separator = " " if turn.answer.text and not turn.answer.text[-1].isspace() else ""
        turn.answer.write(separator + ready if turn.answer.speaking else ready, runtime.stream_writer)
    await turn.answer.flush()
    tokens = turn.tokens.exactly(state.get("prompt_tokens", 0))
    usage = tokens.usage(
        cached=state.get("cached_tokens", 0), output=state.get("output_tokens", 0), limit=turn.ledger.limit
    )
    cut_short = state.get("cut_short")
    finished = AnswerFinished(turn.request.generation, usage, "max_output_tokens" if cut_short else None)
    runtime.stream_writer(finished)
    return State(messages=[AIMessage(content=ready)] if ready else [])

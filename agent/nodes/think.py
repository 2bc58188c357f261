"""The node in which the model writes, and its words are told from its calls while it does."""

from __future__ import annotations

from contextlib import aclosing

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.runtime import Runtime

from hearsight.agent.answer import Emit
from hearsight.agent.models.base import GenerationEnd
from hearsight.agent.router import MalformedCall, Router, RouterEvent, SpeechText
from hearsight.agent.turn import State, Turn
from hearsight.streams.observing import stage
from hearsight.tools.calls import ToolCall
from hearsight.tools.signature import positional_names

MAX_MALFORMED = 1
"""Calls that the model may write again."""
NOT_UNDERSTOOD = "Sorry, I couldn't work out how to do that."
NOTHING_TO_SAY = "Sorry, I have no answer to that."


async def think(state: State, runtime: Runtime[Turn]) -> State:
    """Let the model write the next part of the answer; what is speech goes out at once.

    Raises:
        EngineError: The model or the voice failed.
    """
    turn = runtime.context
    request = turn.generate_request(state)
    router = Router(positional_names(request.tools))
    written = _Written(turn, runtime.stream_writer)
    end = GenerationEnd("stop")
    with stage("generate") as generated, stage("first_token") as first:
        async with aclosing(turn.conversation.generate(request)) as deltas:
            async for delta in deltas:
                first.end()
                turn.watchdog.progress()
                if isinstance(delta, GenerationEnd):
                    end = delta
                    break
                for event in router.feed(delta):
                    written.take(event)
        generated.note(
            prompt_tokens=end.prompt_tokens, cached_tokens=end.cached_tokens, output_tokens=end.output_tokens
        )
    for event in router.flush():
        written.take(event)
    if request.tool_choice == "none":
        written.calls.clear()  # the model knows of the tools still, but it has had its rounds
    update = State(
        messages=written.messages(),
        calls=written.calls,
        rounds=state.get("rounds", 0) + 1,
        output_tokens=state.get("output_tokens", 0) + end.output_tokens,
        prompt_tokens=state.get("prompt_tokens") or end.prompt_tokens,
        cached_tokens=end.cached_tokens,
        cut_short=end.reason == "length",
    )
    if written.malformed is not None and not written.calls:
        update["malformed"] = state.get("malformed", 0) + 1
        if update["malformed"] > MAX_MALFORMED:
            update["ready"] = NOT_UNDERSTOOD
        else:
            update["messages"] = [*update["messages"], *_complaint(written.malformed)]
    elif not written.calls and not turn.answer.text.strip():
        update["ready"] = NOTHING_TO_SAY
    return update


def after_think(state: State) -> str:
    """What the model's text asks for."""
    if state.get("calls"):
        return "act"
    last = state["messages"][-1] if state["messages"] else None
    awaits_model = isinstance(last, HumanMessage) and last.name == _COMPLAINT
    return "think" if awaits_model and not state.get("ready") else "speak"


_COMPLAINT = "tool_syntax"
"""Name of the message that tells the model what was wrong with its call."""


class _Written:
    """What one round of the model wrote, as it becomes known."""

    def __init__(self, turn: Turn, emit: Emit) -> None:
        self._turn = turn
        self._emit = emit
        self._text = ""
        self.calls: list[ToolCall] = []
        self.malformed: MalformedCall | None = None

    def take(self, event: RouterEvent) -> None:
        """Send speech; keep calls for later."""
        if isinstance(event, SpeechText):
            self._text += event.text
            self._turn.answer.write(event.text, self._emit)
        elif isinstance(event, MalformedCall):
            self.malformed = event
        else:
            self.calls.append(ToolCall(self._turn.answer.new_call_id(), event.name, dict(event.arguments)))

    def messages(self) -> list[BaseMessage]:
        """The round's speech as a message; calls get theirs when they are made."""
        return [AIMessage(content=self._text.strip())] if self._text.strip() else []


def _complaint(malformed: MalformedCall) -> list[BaseMessage]:
    """The unreadable call and what is wrong with it, for this answer's rounds only."""
    reason = f"That call could not be read: {malformed.reason}. Write it again, or answer without it."
    return [AIMessage(content=malformed.raw), HumanMessage(content=reason, name=_COMPLAINT)]

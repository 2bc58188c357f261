"""The first node: the turn as the model can read it, within the limit of its context."""

from __future__ import annotations

import asyncio

from langgraph.runtime import Runtime

from hearsight.agent.context import Context
from hearsight.agent.messages import Block, blocks
from hearsight.agent.turn import State, Turn

INAUDIBLE = "Sorry, I didn't catch that."
"""Said when the turn holds speech, but no words."""


async def perceive(state: State, runtime: Runtime[Turn]) -> State:
    """Find out what was said and shown, and make room for the answer.

    Raises:
        EngineError: A transcript could not be made, or the turn is too long for the model.
    """
    turn = runtime.context
    if turn.request.say is not None:
        return State(messages=[], ready=turn.request.say)
    await asyncio.gather(_hear(turn), _see(turn))
    head = turn.ledger.head(turn.instructions, turn.tools)
    turn.tokens = turn.ledger.make_room(turn.source, head)
    messages = turn.source.for_model()
    if _inaudible(turn.source):
        return State(messages=messages, ready=INAUDIBLE)
    return State(messages=messages)


def after_perceive(state: State) -> str:
    """Whether there is anything to think about."""
    return "speak" if state.get("ready") else "think"


async def _hear(turn: Turn) -> None:
    if turn.capabilities.audio or turn.transcribe is None:
        return
    missing = [block["file_id"] for block in _media(turn.source, "audio") if block["transcript"] is None]
    for file_id, text in zip(missing, await asyncio.gather(*map(turn.transcribe, missing)), strict=True):
        turn.source.set_transcript(file_id, text)


async def _see(turn: Turn) -> None:
    if turn.capabilities.pictures:
        return
    missing = list(
        dict.fromkeys(block["file_id"] for block in _media(turn.source, "image") if block["caption"] is None)
    )
    captions = await asyncio.gather(*map(turn.conversation.caption, missing))
    for file_id, caption in zip(missing, captions, strict=True):
        turn.source.set_caption(file_id, caption)


def _media(context: Context, kind: str) -> list[Block]:
    return [block for message in context.messages for block in blocks(message) if block["type"] == kind]


def _inaudible(context: Context) -> bool:
    """Whether the newest message is speech without words, and nothing else."""
    if not context.messages or context.messages[-1].type != "human":
        return False
    content = blocks(context.messages[-1])
    spoken = [block for block in content if block["type"] == "audio"]
    rest = [block for block in content if block["type"] == "text"]
    return bool(spoken) and not rest and all(block["transcript"] == "" for block in spoken)

"""The first node: the turn as the model can read it, within the limit of its context."""

from __future__ import annotations

import asyncio

from langgraph.runtime import Runtime

from hearsight.agent.consent import Consent, consent
from hearsight.agent.context import Context
from hearsight.agent.messages import Block, blocks
from hearsight.agent.pending import DECLINED
from hearsight.agent.turn import State, Turn
from hearsight.streams.errors import EngineError

INAUDIBLE = "Sorry, I didn't catch that."
"""Said when the turn holds speech, but no words."""
LOST = "(inaudible)"
"""Stands for what was said earlier and could not be written down."""
UNSEEN = "a picture that could not be looked at"


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
    return State(messages=messages, **_answer_to_question(turn))


def after_perceive(state: State) -> str:
    """Whether there is anything to think about."""
    if state.get("ready"):
        return "speak"
    return "act" if state.get("agreed") else "think"


def _answer_to_question(turn: Turn) -> State:
    """What follows if the turn answers a question that the assistant asked before a call."""
    said = _words(turn.source)
    apart = turn.request.detached or turn.request.input is not None
    if not turn.pending.waiting or apart or said is None:
        return State()
    calls, answer = turn.pending.take(turn.request.generation), consent(said)
    if answer is Consent.YES:
        return State(calls=list(calls), agreed=True)
    # Anything else goes to the model, which knows what was asked: it may call again with what was corrected.
    return State(ready=DECLINED) if answer is Consent.NO else State()


def _words(context: Context) -> str | None:
    """The words of the newest message, if the user said or wrote it."""
    if not context.messages or context.messages[-1].type != "human":
        return None
    content = blocks(context.messages[-1])
    return " ".join(block.get("text") or block.get("transcript") or "" for block in content).strip()


async def _hear(turn: Turn) -> None:
    """Write down what was said; what cannot be, fails the answer only where it is what is to be answered."""
    if turn.capabilities.audio or turn.transcribe is None:
        return
    missing = [block["file_id"] for block in _media(turn.source, "audio") if block["transcript"] is None]
    texts = await asyncio.gather(*map(turn.transcribe, missing), return_exceptions=True)
    for number, (file_id, text) in enumerate(zip(missing, texts, strict=True), start=1):
        if isinstance(text, BaseException):
            if number == len(missing) or not isinstance(text, EngineError):
                raise text
            text = LOST
        turn.source.set_transcript(file_id, text)


async def _see(turn: Turn) -> None:
    """Find words for pictures; what cannot be looked at is told, and no reason not to answer."""
    if turn.capabilities.pictures:
        return
    missing = dict.fromkeys(
        block["file_id"] for block in _media(turn.source, "image") if block["caption"] is None
    )
    await asyncio.gather(*(_caption(turn, file_id) for file_id in missing))


async def _caption(turn: Turn, file_id: str) -> None:
    try:
        caption = await turn.conversation.caption(file_id)
    except EngineError:
        caption = UNSEEN
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

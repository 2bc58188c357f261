"""What a conversation gives up, in a written order: the shorter versions of its messages.

Everything here looks at messages and makes others; who decides how far to go is the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from hearsight.agent.context import SUMMARY_ID
from hearsight.agent.messages import Block, blocks, human, made_call, seen, text_block

SUMMARY_WORDS = 12
"""Words that a summary keeps of each part of a message: what was shown, what was said."""
SUMMARY_LINES = 24
"""Messages that a summary still names."""
ANSWER = '- you: "'
"""How the line of an answer begins."""


def turn_starts(messages: Sequence[BaseMessage]) -> list[int]:
    """Where turns begin: at a user's message that follows something else."""
    return [
        at
        for at, message in enumerate(messages)
        if isinstance(message, HumanMessage) and (at == 0 or not isinstance(messages[at - 1], HumanMessage))
    ]


def summarize(messages: Sequence[BaseMessage], max_lines: int = SUMMARY_LINES) -> str:
    """A few words of each of the oldest turns, for the place where they stood.

    What was answered goes before what the user said: it is their own affairs that people come back to.

    Args:
        messages: The oldest ones, possibly beginning with an earlier summary, whose lines are kept.
        max_lines: The most lines.
    """
    lines: list[str] = []
    for message in messages:
        if message.id == SUMMARY_ID:
            lines += str(message.content).splitlines()[1:]
        elif isinstance(message, SystemMessage):
            lines.append(f"- {message.content}")
        elif isinstance(message, HumanMessage):
            lines.append(f'- user: "{" ".join(map(_beginning, _spoken(message)))}"')
        elif isinstance(message, AIMessage) and made_call(message) is None and message.content:
            lines.append(f'{ANSWER}{_beginning(str(message.content))}"')
    return "\n".join(["Earlier in this conversation, shortened:", *_newest(lines, max_lines)])


def _newest(lines: Sequence[str], count: int) -> list[str]:
    """So many of the lines: the oldest answers go first, then the oldest of all."""
    surplus = max(0, len(lines) - count)
    answers = [at for at, line in enumerate(lines) if line.startswith(ANSWER)][:surplus]
    kept = [line for at, line in enumerate(lines) if at not in set(answers)]
    return kept[len(kept) - min(count, len(kept)) :]


def _spoken(message: BaseMessage) -> Iterator[str]:
    for block in blocks(message):
        text = block.get("text") or block.get("transcript")
        if text:
            yield text
        elif caption := block.get("caption"):
            yield seen("picture", caption)  # what is written in a picture, the user has not said


def _beginning(text: str) -> str:
    words = text.split()
    return " ".join(words[:SUMMARY_WORDS]) + (" …" if len(words) > SUMMARY_WORDS else "")


def newest_turn(messages: Sequence[BaseMessage]) -> int:
    """Where the newest turn begins, which nothing is taken from."""
    starts = turn_starts(messages)
    return starts[-1] if starts else len(messages)


def without_duplicates(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    """Pictures that are shown again later, oldest first."""
    counts: dict[str, int] = {}
    for message in messages:
        for block in blocks(message):
            if block["type"] == "image":
                counts[block["file_id"]] = counts.get(block["file_id"], 0) + 1
    for message in messages[: newest_turn(messages)]:
        kept = []
        for block in blocks(message):
            if block["type"] == "image" and counts[block["file_id"]] > 1:
                counts[block["file_id"]] -= 1
            else:
                kept.append(block)
        if len(kept) < len(blocks(message)):
            yield human(message.id or "", kept)


def with_captions(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    """Old pictures as what they showed."""
    yield from _replaced(
        messages, "image", lambda block: seen("picture", block["caption"] or "no longer kept")
    )


def with_transcripts(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    """Old utterances as what was said, where that is known."""
    yield from _replaced(messages, "audio", lambda block: block["transcript"])


def _replaced(
    messages: Sequence[BaseMessage], kind: str, text_of: Callable[[Block], str | None]
) -> Iterator[BaseMessage]:
    for message in messages[: newest_turn(messages)]:
        found = blocks(message)
        texts = [text_of(block) if block["type"] == kind else None for block in found]
        if any(texts):
            yield human(
                message.id or "",
                [text_block(text) if text else block for block, text in zip(found, texts, strict=True)],
            )

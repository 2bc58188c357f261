"""Wire items as the messages that engines read, and what may be read off such messages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from hearsight.streams.events import (
    INPUT_RATE_HZ,
    AudioContent,
    ImageContent,
    Item,
    ToolCall,
)

Block: TypeAlias = dict[str, Any]
"""A content block of a user's message; `hearsight.agent.models.base` lists the kinds."""

CLIENTS = "client"
"""Key in ``response_metadata`` of a call that the client makes."""
INTERRUPTED = "interrupted"
"""Key in ``response_metadata`` of an answer that the user cut off."""
OPEN_CALL_NOTE = "(no result yet)"
"""What the model is told of a call whose tool still runs."""


def text_block(text: str) -> Block:
    """Written text."""
    return {"type": "text", "text": text}


def audio_block(file_id: str, samples: int, transcript: str | None = None) -> Block:
    """An utterance of so many samples at 16 kHz."""
    return {"type": "audio", "file_id": file_id, "samples": samples, "transcript": transcript}


def image_block(file_id: str, caption: str | None = None) -> Block:
    """A picture, named by its content key."""
    return {"type": "image", "file_id": file_id, "caption": caption}


def blocks(message: BaseMessage) -> list[Block]:
    """A message's contents as blocks, whatever form they have."""
    if isinstance(message.content, str):
        return [text_block(message.content)] if message.content else []
    return [part if isinstance(part, dict) else text_block(part) for part in message.content]


def seen(label: str, caption: str) -> str:
    """What was recognised in a picture, in brackets that nothing written in the picture can close."""
    inside = " ".join(caption.replace("[", "(").replace("]", ")").split())
    return f"[{label}: {inside}]"


def human(item_id: str, content: Sequence[Block]) -> HumanMessage:
    """A user's message."""
    return HumanMessage(id=item_id, content=[dict(block) for block in content])


def call_message(item_id: str, call: ToolCall, *, client: bool = False) -> AIMessage:
    """A tool call that the model made, for the service or for the client to run."""
    arguments = parse_arguments(call.arguments)
    return AIMessage(
        id=item_id,
        content="",
        tool_calls=[{"type": "tool_call", "id": call.id, "name": call.name, "args": arguments}],
        response_metadata={CLIENTS: True} if client else {},
    )


def result_message(message_id: str, call_id: str, output: str, *, ok: bool = True) -> ToolMessage:
    """What a tool returned, or why it failed."""
    status = "success" if ok else "error"
    return ToolMessage(id=message_id, content=output, tool_call_id=call_id, status=status)


def parse_arguments(arguments: str) -> dict[str, Any]:
    """The arguments of a call; what is no JSON object counts as none, for the tool to complain about."""
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def audio_file_id(item_id: str, index: int) -> str:
    """File id of the audio at content ``index`` of an item; the first part has the item's own id."""
    return item_id if index == 0 else f"{item_id}#{index}"


def user_blocks(item: Item, heard_samples: int = 0) -> list[Block]:
    """The content of a user's item as blocks.

    Args:
        item: The item.
        heard_samples: Length of its live audio, for audio content that brings no samples of its own.
    """
    found: list[Block] = []
    for index, part in enumerate(item.content):
        if isinstance(part, ImageContent):
            found.append(image_block(part.picture.key))
        elif isinstance(part, AudioContent):
            found.append(
                audio_block(audio_file_id(item.id, index), _length(part, heard_samples), part.transcript)
            )
        elif part.text:
            found.append(text_block(part.text))
    return found


def _length(audio: AudioContent, heard_samples: int) -> int:
    if audio.samples is not None:
        return audio.samples.size
    return heard_samples or int(audio.duration_ms * INPUT_RATE_HZ / 1000)


def from_item(item: Item, heard_samples: int = 0) -> list[BaseMessage]:
    """The messages of an item: one, or a call and its result.

    An item of no known shape (a call without its call) gives none.
    """
    if item.kind == "message":
        if item.role == "user":
            return [human(item.id, user_blocks(item, heard_samples))]
        kind = SystemMessage if item.role == "system" else AIMessage
        return [kind(id=item.id, content=item.text)]
    if item.call is None:
        return []
    if item.kind == "function_call_output":
        return [result_message(item.id, item.call.id, item.output or "")]
    messages: list[BaseMessage] = [call_message(item.id, item.call, client=item.kind == "function_call")]
    if item.kind == "server_call" and (item.output is not None or item.error is not None):
        ok = item.error is None
        output = (item.output if ok else item.error) or ""
        messages.append(result_message(result_id(item.id), item.call.id, output, ok=ok))
    return messages


def result_id(item_id: str) -> str:
    """Id of the result inside a server call's item, which the wire has no name for."""
    return f"{item_id}#result"


def made_call(message: BaseMessage) -> str | None:
    """The id of the call that a message makes."""
    if isinstance(message, AIMessage) and message.tool_calls:
        return message.tool_calls[0]["id"]
    return None


def open_calls(messages: Sequence[BaseMessage]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Calls of the service's own tools that have no result: id, name and arguments of each."""
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    for message in messages:
        if isinstance(message, AIMessage) and not message.response_metadata.get(CLIENTS):
            for call in message.tool_calls:
                if call["id"] is not None and call["id"] not in answered:
                    yield call["id"], call["name"], call["args"]


def is_interrupted(message: BaseMessage) -> bool:
    """Whether the user cut this answer off."""
    return bool(message.response_metadata.get(INTERRUPTED))


def interrupted(message: AIMessage, text: str) -> AIMessage:
    """An answer cut to what was heard of it."""
    return AIMessage(id=message.id, content=text, response_metadata={INTERRUPTED: True})


def renderable(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Messages as engines may rely on them: nothing empty, and every call followed by a result."""
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    return list(_renderable(messages, answered))


def _renderable(messages: Sequence[BaseMessage], answered: set[str]) -> Iterator[BaseMessage]:
    for message in messages:
        call_id = made_call(message)
        if call_id is None and not blocks(message) and not isinstance(message, ToolMessage):
            continue
        yield message
        if call_id is not None and call_id not in answered:
            yield result_message(result_id(message.id or ""), call_id, OPEN_CALL_NOTE)

"""Messages as chat completions take them, such that a conversation that goes on begins as it did before.

The form is the one that every server and every chat template takes: one system message in front, then turns
of user and assistant in alternation. Tools stand in the system message and calls in the text, as for Gemma
3n; or, if the server is to read calls itself, as its protocol has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from hearsight.agent.messages import Block, blocks, is_interrupted
from hearsight.agent.models.base import GenerateRequest
from hearsight.agent.models.gemma3n.tool_format import call_text, describe_tools, result_text
from hearsight.agent.models.openai.media import AudioClip, SentPicture
from hearsight.tools.calls import ToolSpec

INTERRUPTED = " (The user interrupted you here.)"
"""Behind an answer that was cut off, lest the model think that it chose to end there."""
NOTHING_YET = "(Nothing was said yet.)"
"""Before a conversation that the assistant begins: the first turn is the user's, templates insist."""
GO_ON = "(Go on.)"
"""Behind a conversation that the assistant ended, for the same reason."""

Part: TypeAlias = str | AudioClip | SentPicture
Media: TypeAlias = Mapping[str, Sequence[Part]]
"""What is sent for each file that messages name; what is not in it is told in words."""

_CONTROL = re.compile(
    r"<(?=\|[^|<>\n]{1,40}\|>)"
    r"|<(?=(?:start_of_turn|end_of_turn|start_of_image|end_of_image|image_soft_token|start_of_audio"
    r"|end_of_audio|audio_soft_token|bos|eos|pad|unk|mask|s|/s)>)"
    r"|\[(?=/?(?:INST|TOOL_CALLS|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\])"
)


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of the protocol."""

    role: str
    parts: tuple[Part, ...] = ()
    calls: tuple[Mapping[str, Any], ...] = ()
    """As the protocol has them, where the server reads calls itself."""
    answers: str | None = None
    """Id of the call of which this is the result."""

    def wire(self) -> dict[str, Any]:
        """As it is sent."""
        message: dict[str, Any] = {"role": self.role, "content": _content(self.parts)}
        if self.calls:
            message["tool_calls"] = list(self.calls)
        if self.answers is not None:
            message["tool_call_id"] = self.answers
        return message


def render(
    request: GenerateRequest, media: Media, *, server_tools: bool = False, closed: bool = True
) -> list[ChatTurn]:
    """A request as messages of the protocol.

    Args:
        request: What is asked.
        media: What is sent for the speech and pictures that it names.
        server_tools: The server is told of tools by itself, and reads calls.
        closed: An answer is wanted now, so that the demand for a call belongs to it.
    """
    turns: list[ChatTurn] = []
    for message in request.messages:
        turn = _server_turn(message, media) if server_tools else None
        if turn is None:
            role = "assistant" if isinstance(message, AIMessage) else "user"
            turn = ChatTurn(role, _merged(_parts(message, media)))
        if turns and _joinable(turns[-1], turn):
            turns[-1] = ChatTurn(turn.role, _merged([*turns[-1].parts, *_set_off(turns[-1], turn)]))
        else:
            turns.append(turn)
    if not turns or turns[0].role == "assistant":
        turns.insert(0, ChatTurn("user", (NOTHING_YET,)))
    demand = "" if server_tools or not closed else _demand(request.tool_choice)
    if turns[-1].role == "assistant":
        turns.append(ChatTurn("user", (demand or GO_ON,)))
    elif demand:
        turns[-1] = ChatTurn("user", _merged([*turns[-1].parts, f"\n{demand}"]))
    head = [plain(request.instructions.strip())]
    if request.tools and not server_tools:
        head.append(plain(describe_tools(request.tools)))
    system = "\n\n".join(filter(None, head))
    return [ChatTurn("system", (system,)), *turns] if system else turns


def shortened(turns: Sequence[ChatTurn]) -> list[ChatTurn] | None:
    """The newer half of a conversation, behind the same instructions; None where there is but one turn."""
    head = [turn for turn in turns[:1] if turn.role == "system"]
    rest = list(turns[len(head) :])
    newer = rest[(len(rest) + 1) // 2 :]
    while newer and newer[0].role != "user":
        newer.pop(0)
    return [*head, *newer] if newer else None


def media_of(messages: Sequence[BaseMessage]) -> list[tuple[str, bool]]:
    """File ids that messages name, each with whether it is a picture."""
    return [
        (block["file_id"], block["type"] == "image")
        for message in messages
        for block in blocks(message)
        if block["type"] in ("audio", "image")
    ]


def tool_schemas(tools: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """Tools as the protocol declares them."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def wire_choice(tool_choice: str) -> Any:
    """A choice of tools as the protocol has it."""
    if tool_choice in ("auto", "none", "required"):
        return tool_choice
    return {"type": "function", "function": {"name": tool_choice}}


def plain(text: str) -> str:
    """Text in which nothing is a control token: what users and tools write must not forge a turn."""
    return _CONTROL.sub(lambda found: f"{found[0]} ", text)


def _parts(message: BaseMessage, media: Media) -> Iterator[Part]:
    """What a message says; each text on a line of its own."""
    if isinstance(message, ToolMessage):
        yield plain(result_text(str(message.content)))
        return
    after_text = False
    for block in blocks(message):
        sent = media.get(block.get("file_id", ""), ()) if block["type"] in ("audio", "image") else ()
        if sent:
            yield from sent
            after_text = False
        elif text := _in_words(block):
            yield ("\n" if after_text else "") + plain(text)
            after_text = True
    if is_interrupted(message):
        yield INTERRUPTED
    if isinstance(message, AIMessage) and message.tool_calls:
        call = message.tool_calls[0]
        yield ("\n" if message.content else "") + plain(call_text(call["name"], call["args"]))


def _in_words(block: Block) -> str:
    """A block as text: its own, or what is known of media that are not sent."""
    if block["type"] == "text":
        return str(block["text"]).strip()
    if block["type"] == "audio":
        return block.get("transcript") or "[speech, no longer kept]"
    return f"[picture: {block.get('caption') or 'no longer kept'}]"


def _server_turn(message: BaseMessage, media: Media) -> ChatTurn | None:
    """A call or its result in the protocol's own form; None for everything else."""
    if isinstance(message, ToolMessage):
        return ChatTurn("tool", (plain(str(message.content)),), answers=message.tool_call_id)
    if isinstance(message, AIMessage) and message.tool_calls:
        call = message.tool_calls[0]
        function = {"name": call["name"], "arguments": json.dumps(call["args"], ensure_ascii=False)}
        parts = _merged(_parts(AIMessage(message.content), media))
        return ChatTurn("assistant", parts, ({"id": call["id"], "type": "function", "function": function},))
    return None


def _joinable(before: ChatTurn, after: ChatTurn) -> bool:
    return before.role == after.role != "tool" and not (before.calls or after.calls)


def _set_off(before: ChatTurn, after: ChatTurn) -> list[Part]:
    """The parts of a turn behind another of the same role: texts begin on a line of their own."""
    parts = list(after.parts)
    if before.parts and parts and isinstance(before.parts[-1], str) and isinstance(parts[0], str):
        parts[0] = f"\n{parts[0]}"
    return parts


def _merged(parts: Iterator[Part] | Sequence[Part]) -> tuple[Part, ...]:
    """Texts that follow each other as one: templates put nothing between them, or trim them."""
    merged: list[Part] = []
    for part in parts:
        if merged and isinstance(part, str) and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return tuple(merged)


def _demand(tool_choice: str) -> str:
    if tool_choice in ("auto", "none"):
        return ""
    which = "one of the functions" if tool_choice == "required" else f"the function {tool_choice}"
    return f"(Answer with a call of {which}, and nothing else.)"


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """A text by itself goes as text, which also servers take that know nothing of parts."""
    if all(isinstance(part, str) for part in parts):
        return "".join(part for part in parts if isinstance(part, str))
    return [_wire_part(part) for part in parts]


def _wire_part(part: Part) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, AudioClip):
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": "wav"}}
    return {"type": "image_url", "image_url": {"url": part.url}}

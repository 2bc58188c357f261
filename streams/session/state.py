"""What of a session outlasts its process, and its form as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hearsight.streams.events import (
    AudioContent,
    Content,
    ImageContent,
    Item,
    Modality,
    Picture,
    ResponseEnded,
    TextContent,
    ToolCall,
)

RESTARTED = "The service was restarted while it gave this answer."
RESTARTED_CODE = "server_restarted"
INTERRUPTED_CALL = "The service was restarted while this tool ran."


@dataclass(frozen=True, slots=True)
class OpenResponse:
    """A response that the client was told of and that has not ended."""

    response_id: str
    modality: Modality
    metadata: dict[str, str] | None = None
    max_output_tokens: int | None = None

    def failed(self) -> ResponseEnded:
        """Its end, when whoever gave it is gone."""
        return ResponseEnded(
            self.response_id,
            self.modality,
            "failed",
            RESTARTED_CODE,
            RESTARTED,
            metadata=self.metadata,
            max_output_tokens=self.max_output_tokens,
        )


@dataclass(frozen=True, slots=True)
class SessionState:
    """One moment of a session, from which another process can go on.

    What is being said at that moment is not in it: an utterance that has not been committed is gone with its
    process, and of an answer that is being spoken it has the words that were heard by then.
    """

    items: tuple[Item, ...] = ()
    answered_calls: tuple[str, ...] = ()
    """Ids of the client's calls that have their output."""
    owed: bool = False
    """A turn has ended that no response has answered yet."""
    response: OpenResponse | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What calls of the server's tools returned just before the process was gone, by call id."""

    @property
    def pictures(self) -> tuple[str, ...]:
        """Keys of the pictures that its items hold."""
        return tuple(
            part.picture.key for item in self.items for part in item.content if isinstance(part, ImageContent)
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values; pictures are named by their keys, and not in it."""
        return {
            "items": [_show(item) for item in self.items],
            "answered_calls": list(self.answered_calls),
            "owed": self.owed,
            "response": None if self.response is None else asdict(self.response),
        }

    @classmethod
    def from_json(
        cls,
        data: dict[str, Any],
        pictures: Mapping[str, Picture] | None = None,
        results: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> SessionState:
        """The state that ``to_json`` wrote.

        Args:
            data: What it wrote.
            pictures: Those that are still there, by key.
            results: See `results`.

        Raises:
            LookupError: Something is missing.
            TypeError: Something is there that does not belong.
        """
        response = data["response"]
        return cls(
            tuple(_read(item, pictures or {}) for item in data["items"]),
            tuple(data["answered_calls"]),
            bool(data["owed"]),
            None if response is None else OpenResponse(**response),
            {call_id: dict(result) for call_id, result in (results or {}).items()},
        )


def stopped(item: Item, results: Mapping[str, Mapping[str, Any]] | None = None) -> Item:
    """An item as it stands once whoever was at it is gone.

    Args:
        item: The item.
        results: What calls are known to have returned.
    """
    if item.status != "in_progress":
        return item
    if item.kind == "server_call":
        result = (results or {}).get(item.call.id if item.call is not None else "")
        if result is not None and result["ok"]:
            return replace(item, status="completed", output=result["content"])
        if result is not None:
            return replace(item, status="incomplete", error=result["content"])
        return replace(item, status="incomplete", error=INTERRUPTED_CALL)
    return replace(item, status="incomplete")


def _show(item: Item) -> dict[str, Any]:
    bare = replace(item, content=())
    return {**asdict(bare), "content": [_show_part(part) for part in item.content]}


def _show_part(part: Content) -> dict[str, Any]:
    match part:
        case TextContent():
            return {"type": "text", "text": part.text}
        case AudioContent():
            return {"type": "audio", "transcript": part.transcript, "duration_ms": part.duration_ms}
        case ImageContent():
            picture = part.picture
            named = {name: getattr(picture, name) for name in _PICTURE_FIELDS}
            return {"type": "image", **named}


_PICTURE_FIELDS = ("mime_type", "width", "height", "key", "captured_ms", "detail")


def _read(data: dict[str, Any], pictures: Mapping[str, Picture]) -> Item:
    call = data["call"]
    fields = {
        **data,
        "content": tuple(_read_part(part, pictures) for part in data["content"]),
        "call": None if call is None else ToolCall(**call),
    }
    return Item(**fields)


def _read_part(data: dict[str, Any], pictures: Mapping[str, Picture]) -> Content:
    kind, fields = data["type"], {key: value for key, value in data.items() if key != "type"}
    match kind:
        case "text":
            return TextContent(**fields)
        case "audio":
            return AudioContent(**fields)
        case "image":
            kept = pictures.get(fields["key"])
            return ImageContent(Picture(data=b"" if kept is None else kept.data, **fields))
    raise TypeError(f"an item cannot hold {kind!r}")

"""A recording as people read it: who said what, and what happened meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from rich.table import Table
from rich.text import Text

from hearsight.streams.recording.event_json import TYPE, dumps
from hearsight.streams.recording.reading import Line

Who: TypeAlias = Literal["user", "assistant", "tool", ""]

_STYLES: Final[dict[Who, str]] = {"user": "cyan", "assistant": "green", "tool": "magenta", "": "dim"}
_MAX_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the conversation."""

    at_s: float
    who: Who
    """Empty for what nobody said."""
    what: str


def happenings(lines: Iterable[Line]) -> Iterator[Happening]:
    """What is worth telling of a recording."""
    began: dict[str, float] = {}
    saying: dict[str, str] = {}
    for line in lines:
        if line.kind == "raised":
            yield Happening(line.at_s, "", f"The session broke down: {line.value}")
        elif line.kind == "out":
            item_id = str(line.value.get("item_id"))
            match line.value.get(TYPE):
                case "SpeechStarted" | "AudioCommitted" | "ContentStarted":
                    began.setdefault(item_id, line.at_s)
                case "TextDelta":
                    began.setdefault(item_id, line.at_s)
                    saying[item_id] = f"{saying.get(item_id, '')}{line.value.get('text')}"
                case "ContentDone":
                    saying.pop(item_id, None)
            told = _tell(line.value, began.get(item_id, line.at_s), line.at_s)
            if told is not None:
                yield told
    for item_id, text in saying.items():
        yield Happening(began[item_id], "assistant", f"{text} … (the recording ends here)")


def table(found: Iterable[Happening], began_s: float) -> Table:
    """The conversation as a table, its times from the beginning of the session."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    shown.add_column(justify="right", style="dim", no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for each in sorted(found, key=lambda each: each.at_s):
        style = _STYLES[each.who]
        what = each.what if len(each.what) <= _MAX_CHARS else f"{each.what[:_MAX_CHARS]}…"
        shown.add_row(
            f"{each.at_s - began_s:.1f} s",
            Text(each.who, style=f"bold {style}"),
            Text(what, style=style if each.who in ("", "tool") else ""),
        )
    return shown


def summary(event: dict[str, Any]) -> str:
    """An event in a few words: its type, and its fields that are short."""
    fields = {
        name: value for name, value in event.items() if name != TYPE and not isinstance(value, dict | list)
    }
    held = [name for name, value in event.items() if isinstance(value, dict | list)]
    shown = [f"{name}={dumps(value)}" for name, value in fields.items()] + [f"{name}=…" for name in held]
    return f"{event.get(TYPE, '?')} {', '.join(shown)}".rstrip()


def _tell(output: dict[str, Any], began_s: float, at_s: float) -> Happening | None:
    match output:
        case {"type": "TranscriptionCompleted", "text": str(text)}:
            return Happening(began_s, "user", text or "(nothing that could be written down)")
        case {"type": "TranscriptionError", "message": message}:
            return Happening(at_s, "", f"What the user said could not be written down: {message}")
        case {"type": "ItemAdded", "item": dict(item)}:
            text = _typed(item)
            return Happening(at_s, "user", text) if text else None
        case {"type": "ContentDone", "text": str(text)}:
            return Happening(began_s, "assistant", text or "(nothing of it was heard)")
        case {"type": "OutputItemDone", "item": {"call": dict(call)} as item}:
            return Happening(at_s, "tool", _call(call, item))
        case {"type": "ResponseEnded", "status": str(status)} if status != "completed":
            reason = output.get("message") or output.get("reason") or "no reason was given"
            return Happening(at_s, "", f"The answer was {status}: {reason}")
        case {"type": "SpeechDismissed", "reason": reason}:
            return Happening(at_s, "", f"Speech over the answer did not stop it: {reason}")
        case {"type": "Refused", "message": message}:
            return Happening(at_s, "", f"Refused: {message}")
        case {"type": "Dropped", "what": what, "reason": reason}:
            return Happening(at_s, "", f"Dropped {what}: {reason}")
        case {"type": "IdleTimedOut"}:
            return Happening(at_s, "", "Nobody spoke for a while.")
    return None


def _call(call: Mapping[Any, Any], item: Mapping[Any, Any]) -> str:
    done = item.get("output", item.get("error", item.get("status", "handed to the client")))
    return f"{call.get('name')}({call.get('arguments')}) → {done}"


def _typed(item: Mapping[Any, Any]) -> str:
    """What a client put into the conversation itself: words and pictures, or what its tool found out."""
    if item.get("kind") == "function_call_output":
        return f"(result of a tool) {item.get('output', '')}"
    parts = []
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        match part:
            case {"type": "TextContent", "text": str(text)}:
                parts.append(text)
            case {"type": "ImageContent", "picture": {"width": width, "height": height}}:
                parts.append(f"[a picture of {width} × {height}]")
    return " ".join(parts)

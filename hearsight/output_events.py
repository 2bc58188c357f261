"""Tells a program what a session in the same process has put out."""

from __future__ import annotations

from hearsight.streams.events import (
    AudioDelta,
    Dropped,
    Item,
    Output,
    OutputItemDone,
    OutputItemStarted,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCall,
    TranscriptionCompleted,
    TranscriptionError,
)
from hearsight.streams.openai_realtime.responses import show_usage
from hearsight.user_events import (
    AnswerBegan,
    AnswerEnded,
    Problem,
    Speech,
    SpeechBegan,
    SpeechEnded,
    ToolBegan,
    ToolEnded,
    Transcript,
    UserEvent,
    Words,
)


def tell(output: Output) -> list[UserEvent]:
    """The events that tell of an output; none where it concerns the protocols only."""
    match output:
        case SpeechStarted():
            return [SpeechBegan(output.item_id, output.audio_start_ms)]
        case SpeechStopped():
            return [SpeechEnded(output.item_id, output.audio_end_ms)]
        case TranscriptionCompleted():
            return [Transcript(output.item_id, output.text)]
        case TranscriptionError():
            return [Problem("transcription_failed", output.message)]
        case ResponseStarted():
            return [AnswerBegan(output.response_id)]
        case TextDelta():
            return [Words(output.item_id, output.text)]
        case AudioDelta():
            return [Speech(output.item_id, output.samples)]
        case OutputItemStarted() if output.item.kind == "server_call":
            call = _call(output.item)
            return [ToolBegan(output.item.id, call.name, call.arguments)]
        case OutputItemDone() if output.item.kind == "server_call":
            return [_tool_ended(output.item)]
        case ResponseEnded():
            return [_answer_ended(output)]
        case Refused():
            return [Problem(output.code, output.message, output.param, output.event_id)]
        case Dropped():
            return [Problem(f"{output.what}_dropped", f"Dropped: {output.reason}.")]
        case _:
            return []


def _call(item: Item) -> ToolCall:
    return item.call or ToolCall("", "", "")


def _tool_ended(item: Item) -> ToolEnded:
    call = _call(item)
    output = item.output if item.error is None else item.error
    return ToolEnded(item.id, call.name, call.arguments, output or "", ok=item.error is None)


def _answer_ended(ended: ResponseEnded) -> AnswerEnded:
    usage = show_usage(ended.usage)
    return AnswerEnded(ended.response_id, ended.status, ended.reason, ended.message, usage)

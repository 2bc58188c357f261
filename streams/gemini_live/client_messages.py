"""Turns a client's messages, after its setup, into the session's events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import (
    AddItem,
    AudioChunk,
    AudioFormat,
    CameraPicture,
    ClearOutput,
    ClientEvent,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    Item,
    TextContent,
)
from hearsight.streams.gemini_live.calls import Calls
from hearsight.streams.gemini_live.contents import TurnReader, result_item
from hearsight.streams.gemini_live.message_models import (
    Blob,
    ClientContent,
    RealtimeMessage,
    ToolResponse,
)
from hearsight.streams.gemini_live.parsing import PCM_RATE_HZ, read_audio_format, read_bytes, validate
from hearsight.streams.gemini_live.setup import LiveSetup

_ACTIVITY_END: Final = "activityEnd"
_STREAM_END: Final = "audioStreamEnd"
COMMITS: Final = {_ACTIVITY_END: True, _STREAM_END: False}
"""What ends an utterance, and whether a client is told that there was none."""


class ClientMessages:
    """Reads everything but ``setup`` and ``contextUpdate``.

    Args:
        calls: Where the calls of the client's functions are kept.
        new_id: Makes an id from a prefix.
    """

    def __init__(self, calls: Calls, new_id: Callable[[str], str]) -> None:
        self.input_format = AudioFormat("pcm16", PCM_RATE_HZ)
        """Of the audio that came last."""
        self._calls = calls
        self._new_id = new_id
        self._history_to_come: bool | None = None
        self._unanswered: str | None = None
        """The last item of content that more is to follow."""
        self._active = False
        """The client has marked the beginning of an activity, and not its end."""
        self._wrote = False
        """It has written something in it."""

    def configure(self, setup: LiveSetup) -> None:
        """Take note of a new setup."""
        if self._history_to_come is None:
            self._history_to_come = setup.history_first
        self._active = self._active and setup.manual

    def awaits_more_after(self, item_id: str) -> bool:
        """Whether an item is the last of content that is not complete."""
        return item_id == self._unanswered

    def read(self, kind: str, content: object, setup: LiveSetup) -> list[ClientEvent]:
        """Read one message; one that is refused changes nothing.

        Args:
            kind: ``realtimeInput``, ``clientContent`` or ``toolResponse``.
            content: What it holds.
            setup: The session's.

        Raises:
            HearsightError: Saying what is wrong with it and in which field.
        """
        if kind == "realtimeInput":
            return self._realtime(validate(RealtimeMessage, content, kind), setup)
        if kind == "clientContent":
            return self._content(validate(ClientContent, content, kind), setup)
        return self._results(validate(ToolResponse, content, kind), setup)

    # --- what comes as it happens ------------------------------------------------------------------------

    def _realtime(self, message: RealtimeMessage, setup: LiveSetup) -> list[ClientEvent]:
        media = self._media(message)  # decoded first, so that a message that is refused changes nothing
        self._check_markers(message, setup)
        events: list[ClientEvent] = []
        if message.activity_start is not None:
            events += self._begin(setup)
        for each in media:
            if isinstance(each, CameraPicture):
                events.append(each)
            elif self._active or not setup.manual or setup.takes_all_input:
                events += self._audio(*each, setup)
        if message.text is not None:
            events += self._text(message.text, setup)
        if message.audio_stream_end:
            events.append(CommitAudio(_STREAM_END))
        if message.activity_end is not None:
            events += self._end()
        return events

    def _check_markers(self, message: RealtimeMessage, setup: LiveSetup) -> None:
        """Refuse what belongs to the other way of finding turns, or comes out of turn.

        Raises:
            InvalidEvent: It does.
        """
        start, end = message.activity_start is not None, message.activity_end is not None
        if not setup.manual:
            if start or end:
                raise InvalidEvent(
                    "The server finds the beginnings and ends of speech itself; to mark them, set "
                    "realtimeInputConfig.automaticActivityDetection.disabled.",
                    param=f"realtimeInput.{'activityStart' if start else 'activityEnd'}",
                )
        elif message.audio_stream_end:
            raise InvalidEvent(
                "Automatic activity detection is disabled: end the activity with activityEnd.",
                param="realtimeInput.audioStreamEnd",
            )
        elif end and not start and not self._active:
            raise InvalidEvent("No activity has begun that could end.", param="realtimeInput.activityEnd")

    def _media(self, message: RealtimeMessage) -> list[tuple[AudioFormat, bytes] | CameraPicture]:
        place = "realtimeInput"
        blobs = [(f"{place}.mediaChunks[{at}]", blob) for at, blob in enumerate(message.media_chunks or ())]
        if message.audio is not None:
            blobs.append((f"{place}.audio", message.audio))
        if message.video is not None:
            blobs.append((f"{place}.video", message.video))
        return [_read_blob(blob, param, video=blob is message.video) for param, blob in blobs]

    def _audio(self, audio_format: AudioFormat, data: bytes, setup: LiveSetup) -> Iterator[ClientEvent]:
        if audio_format != self.input_format:
            self.input_format = audio_format
            yield ConfigureSession(replace(setup.config, input_format=audio_format))
        yield AudioChunk(data)

    def _text(self, text: str, setup: LiveSetup) -> Iterator[ClientEvent]:
        added = AddItem(Item(self._new_id("item"), "message", content=(TextContent(text),)))
        if self._active:
            self._wrote = True  # answered with the rest, at the end of the activity
            yield added
            return
        if setup.interrupts:
            yield ClearOutput()
        yield added
        yield CreateResponse(when_idle=True)

    def _begin(self, setup: LiveSetup) -> Iterator[ClientEvent]:
        self._active, self._wrote = True, False
        if setup.interrupts:
            yield ClearOutput()

    def _end(self) -> Iterator[ClientEvent]:
        self._active = False
        if not self._wrote:
            yield CommitAudio(_ACTIVITY_END, answer=True)
            return
        yield CommitAudio(_STREAM_END)
        yield CreateResponse(when_idle=True)

    # --- what comes in turns -----------------------------------------------------------------------------

    def _content(self, message: ClientContent, setup: LiveSetup) -> list[ClientEvent]:
        reader = TurnReader(self._new_id, setup.detail)
        items = reader.read(message.turns or (), "clientContent.turns")
        complete = bool(message.turn_complete)
        events: list[ClientEvent] = [ClearOutput(), *map(AddItem, items)]
        self._unanswered = items[-1].id if items and not complete else None
        if complete and not self._history_to_come:
            events.append(CreateResponse(when_idle=True))
        self._history_to_come = bool(self._history_to_come) and not complete
        return events

    def _results(self, message: ToolResponse, setup: LiveSetup) -> list[ClientEvent]:
        seen: set[str] = set()
        for index, response in enumerate(message.function_responses):
            param = f"toolResponse.functionResponses[{index}]"
            self._calls.check(response.id, response.name, param)
            if response.id in seen:
                raise InvalidEvent(f"The call {response.id!r} is answered twice.", param=f"{param}.id")
            seen.add(response.id)
        items = [
            AddItem(result_item(self._new_id("item"), each.id, each.response))
            for each in message.function_responses
        ]
        schedules = set()
        for response in message.function_responses:
            kind = self._calls.answer(response.id)
            if kind == "blocking":
                schedules.add("BLOCKING")
            elif kind == "unblocking":
                schedules.add(response.scheduling or "WHEN_IDLE")
        events: list[ClientEvent] = [*items]
        if "INTERRUPT" in schedules:
            events.insert(0, ClearOutput())
        if schedules - {"SILENT", "BLOCKING"} or ("BLOCKING" in schedules and not self._calls.blocked):
            events.append(CreateResponse(when_idle=True))
        return events


def _read_blob(blob: Blob, param: str, *, video: bool) -> tuple[AudioFormat, bytes] | CameraPicture:
    if video or blob.mime_type.lower().startswith("image/"):
        return CameraPicture(read_bytes(blob.data, f"{param}.data"), blob.mime_type)
    audio_format = read_audio_format(blob.mime_type, f"{param}.mimeType")
    return audio_format, read_bytes(blob.data, f"{param}.data")

"""One response on its way to the client: opens, fills and closes its items in the order the wire asks for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from hearsight.streams.events import (
    AgentEvent,
    AnswerSpeech,
    AnswerText,
    AudioContent,
    AudioDelta,
    ClientCall,
    Content,
    ContentDone,
    ContentStarted,
    Item,
    OutputItemDone,
    OutputItemStarted,
    ResponseEnded,
    ResponseRequest,
    ResponseStarted,
    ServerCallFinished,
    ServerCallStarted,
    Status,
    TextContent,
    TextDelta,
    Usage,
)
from hearsight.streams.session.items import Items
from hearsight.streams.session.outbox import Outbox
from hearsight.streams.session.playback import Playback
from hearsight.streams.session.state import OpenResponse


@dataclass(slots=True)
class Response:
    """The active response.

    Until it is announced, it is a speculation: what the agent says is held back in ``held``.
    """

    request: ResponseRequest
    items: Items
    playback: Playback
    out: Outbox
    metadata: dict[str, str] | None = None
    announced: bool = False
    held: list[AgentEvent] = field(default_factory=list)
    finished: list[Item] = field(default_factory=list)
    _message: Item | None = None
    _text: list[str] = field(default_factory=list)
    _calls: dict[str, tuple[int, Item]] = field(default_factory=dict)
    _next_index: int = 0
    _message_index: int = 0

    @property
    def generation(self) -> int:
        """The number that every delta of this response carries."""
        return self.request.generation

    @property
    def outline(self) -> OpenResponse:
        """What is needed to tell of its end, should this process not live to do so."""
        request = self.request
        return OpenResponse(request.response_id, request.modality, self.metadata, request.max_output_tokens)

    def announce(self) -> None:
        """Tell the client that an answer begins."""
        self.announced = True
        request = self.request
        self.out.send(
            ResponseStarted(request.response_id, request.modality, self.metadata, request.max_output_tokens)
        )

    def add(self, event: AgentEvent, now: float) -> None:
        """Pass on what the agent produced, other than the end."""
        match event:
            case AnswerSpeech():
                self._open_message(event.item_id)
                self._text.append(event.text)
                self.playback.add(event, now)
                if event.text:
                    self._send_text(event.item_id, event.text)
                if event.samples.size:
                    self.out.send(
                        AudioDelta(
                            self.request.response_id, event.item_id, self._message_index, event.samples
                        )
                    )
            case AnswerText():
                self._open_message(event.item_id)
                self._text.append(event.text)
                self._send_text(event.item_id, event.text)
            case ServerCallStarted():
                self._close_message("completed")
                call = Item(event.item_id, "server_call", "assistant", status="in_progress", call=event.call)
                self._calls[call.id] = (self._start(call), call)
            case ServerCallFinished():
                self._finish_call(event)
            case ClientCall():
                self._close_message("completed")
                call = Item(
                    event.item_id, "function_call", "assistant", status="in_progress", call=event.call
                )
                self._done(self._start(call), replace(call, status="completed"))

    def heard_so_far(self, now: float) -> Item | None:
        """The message in progress as far as it was heard, or read; None between messages."""
        message = self._message
        if message is None:
            return None
        if self.request.modality == "text":
            return message.with_content(TextContent("".join(self._text)))
        heard = self.playback.heard_by(message.id, now)
        return message.with_content(AudioContent(heard.text, heard.played_ms) if heard else AudioContent(""))

    def end(
        self,
        status: Status,
        *,
        reason: str | None = None,
        message: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Close what is open and tell the client that the response has ended. Called once."""
        whole = status == "completed"
        self._close_message("completed" if whole else "incomplete")
        for index, item in self._calls.values():
            self._done(index, replace(item, status="incomplete"))
        self._calls.clear()
        request = self.request
        self.out.send(
            ResponseEnded(
                request.response_id,
                request.modality,
                status,
                reason,
                message,
                usage or Usage(),
                tuple(self.finished),
                self.metadata,
                request.max_output_tokens,
            )
        )

    def _send_text(self, item_id: str, text: str) -> None:
        request = self.request
        self.out.send(TextDelta(request.response_id, item_id, self._message_index, request.modality, text))

    def _open_message(self, item_id: str) -> None:
        if self._message is not None:
            if self._message.id == item_id:
                return
            self._close_message("completed")
        self._message = Item(item_id, "message", "assistant", status="in_progress")
        self._text = []
        self._message_index = self._start(self._message)
        request = self.request
        self.out.send(ContentStarted(request.response_id, item_id, self._message_index, request.modality))

    def _close_message(self, status: Literal["completed", "incomplete"]) -> None:
        message, self._message = self._message, None
        if message is None:
            return
        heard = self.playback.heard(message.id)
        text = "".join(self._text) if heard is None else heard.text
        content: Content = TextContent(text)
        if self.request.modality == "audio":
            content = AudioContent(text, self.playback.sent_ms(message.id) or 0.0)
        request = self.request
        self.out.send(
            ContentDone(request.response_id, message.id, self._message_index, request.modality, text)
        )
        self._done(self._message_index, replace(message.with_content(content), status=status))

    def _finish_call(self, event: ServerCallFinished) -> None:
        opened = self._calls.pop(event.item_id, None)
        if opened is None:
            return  # it belongs to a response that ended before the tool did
        index, item = opened
        if event.ok:
            self._done(index, replace(item, status="completed", output=event.output))
        else:
            self._done(index, replace(item, status="incomplete", error=event.output))

    def _start(self, item: Item) -> int:
        index, self._next_index = self._next_index, self._next_index + 1
        detached = self.request.detached
        previous = None if detached else self.items.insert(item)
        self.out.send(OutputItemStarted(self.request.response_id, index, item, previous, detached))
        return index

    def _done(self, index: int, item: Item) -> None:
        self.finished.append(item)
        detached = self.request.detached
        previous = None
        if not detached and item.id in self.items:
            self.items.replace(item)
            previous = self.items.before(item.id)
        self.out.send(OutputItemDone(self.request.response_id, index, item, previous, detached))

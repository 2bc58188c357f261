"""The answering side of a session: at most one response at a time, numbered, speculative until confirmed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from hearsight.streams.errors import InvalidEvent, NotFound, StateConflict
from hearsight.streams.events import (
    AgentEvent,
    Announce,
    AnswerFailed,
    AnswerFinished,
    AudioContent,
    ClearOutput,
    ConfirmResponse,
    CreateResponse,
    Dropped,
    ItemTruncated,
    KeepHeard,
    OutputCleared,
    ResponseRequest,
    SessionConfig,
    Speculated,
    StartResponse,
    StopResponse,
    TruncateItem,
)
from hearsight.streams.session.items import Items
from hearsight.streams.session.outbox import Outbox
from hearsight.streams.session.outlet import Outlet
from hearsight.streams.session.playback import Heard, Playback
from hearsight.streams.session.response import Response
from hearsight.streams.session.settings import SessionLimits

AS_CONFIGURED = CreateResponse()
"""An answer with nothing changed from the session's configuration."""


class Answering:
    """Starts, holds back, passes on and stops responses."""

    def __init__(
        self,
        config: SessionConfig,
        limits: SessionLimits,
        items: Items,
        out: Outbox,
        new_id: Callable[[str], str],
    ) -> None:
        self.config = config
        self.playback = Playback()
        self.active: Response | None = None
        self.owed = False
        """A turn ended that no response has answered yet."""
        self._limits = limits
        self._items = items
        self._out = out
        self._new_id = new_id
        self._generation = 0
        self._announcements: deque[Announce] = deque()
        self._outlet = Outlet(self.playback, limits.lead_ms)

    @property
    def busy(self) -> bool:
        """Whether the client has been told of a response that has not ended."""
        return self.active is not None and self.active.announced

    @property
    def speculating(self) -> bool:
        """Whether a response runs that the client knows nothing of."""
        return self.active is not None and not self.active.announced

    @property
    def waiting(self) -> bool:
        """Whether something is to be said once nobody speaks."""
        return self.owed or bool(self._announcements)

    def start(
        self,
        overrides: CreateResponse = AS_CONFIGURED,
        *,
        speculative: bool = False,
        say: str | None = None,
    ) -> None:
        """Ask the agent for an answer. A running speculation is thrown away first."""
        self.discard()
        self._generation += 1
        config = self.config
        request = ResponseRequest(
            generation=self._generation,
            response_id=self._new_id("resp"),
            modality=overrides.modality or config.modality,
            instructions=overrides.instructions,
            tools=config.tools if overrides.tools is None else overrides.tools,
            tool_choice=overrides.tool_choice or config.tool_choice,
            voice=overrides.voice or config.voice,
            speed=config.speed,
            max_output_tokens=overrides.max_output_tokens or config.max_output_tokens,
            speculative=speculative,
            say=say,
            input=overrides.input,
            detached=overrides.detached,
        )
        self._outlet = Outlet(self.playback, self._limits.lead_ms)
        self.active = Response(request, self._items, self.playback, self._out, overrides.metadata)
        self._out.ask(StartResponse(request))
        if not speculative:
            self.owed = False
            self.active.announce()

    def confirm(self, now: float) -> None:
        """The turn is over: announce the speculation and let go of what it has produced."""
        response = self.active
        if response is None or response.announced:
            return
        self.owed = False
        self._out.ask(ConfirmResponse(response.generation))
        self._out.send(Speculated(used=True))
        response.announce()
        held, response.held = response.held, []
        for event in held:
            self.agent_event(event, now)

    def discard(self) -> None:
        """Throw a speculation away; the client never knew of it."""
        if self.active is not None and not self.active.announced:
            self._out.ask(StopResponse(self.active.generation, discard=True))
            self._out.send(Speculated(used=False))
            self.active = None

    def agent_event(self, event: AgentEvent, now: float) -> None:
        """Pass on what the agent produced; what belongs to an earlier generation is stale and dropped."""
        response = self.active
        if response is None or event.generation != response.generation:
            return
        if not response.announced:
            response.held.append(event)
            if len(response.held) > self._limits.max_held_events:
                self.discard()
            return
        self._outlet.put(event)
        self.release(now)

    def release(self, now: float) -> None:
        """Let go of what may be sent by now."""
        response = self.active
        if response is None or not response.announced:
            return
        for event in self._outlet.take(now):
            match event:
                case AnswerFinished():
                    status = "incomplete" if event.incomplete_reason else "completed"
                    self.active = None
                    response.end(status, reason=event.incomplete_reason, usage=event.usage)  # type: ignore[arg-type]
                case AnswerFailed():
                    self.active = None
                    response.end("failed", reason=event.code, message=event.message)
                case _:
                    response.add(event, now)

    def pace(self, *, paced: bool) -> None:
        """Say whether audio is sent as it is played, or as soon as there is any."""
        self._outlet.paced = paced

    @property
    def release_at_s(self) -> float | None:
        """When more can be let go of, on the session's clock."""
        return self._outlet.due_s() if self.busy else None

    @property
    def unsent_audio_bytes(self) -> int:
        """Size of the audio that waits to be sent."""
        return self._outlet.audio_bytes

    def audible(self, now: float) -> bool:
        """Whether an answer can be heard, or would be if it were not held, or is about to be gone on with."""
        in_the_midst = self.busy and self._outlet.has_spoken
        return in_the_midst or self.playback.audible(now) or self._outlet.audio_bytes > 0

    def unheard_ms(self, now: float) -> float:
        """How much of the answer has not been heard; infinite while more of it is being written."""
        if self.busy and not self._outlet.ended:
            return math.inf
        return self.playback.ahead_ms(now) + self._outlet.audio_ms

    def hold(self) -> None:
        """Send no more audio for now."""
        self._outlet.held = True

    def resume(self, now: float) -> None:
        """Go on where the audio was held."""
        self._outlet.held = False
        self.release(now)

    def interrupt(self, reason: str, now: float) -> None:
        """Stop the answer and its playback; the context keeps what was heard."""
        self.discard()
        heard = self.playback.interrupt(now, self._outlet.unsent_item)
        self._outlet = Outlet(self.playback, self._limits.lead_ms)
        if self.active is not None:
            response, self.active = self.active, None
            self._out.ask(StopResponse(response.generation))
            response.end("cancelled", reason=reason)
        for part in heard:
            self._keep(part)

    def clear_output(self, event: ClearOutput, now: float) -> None:
        """The client threw away what it had not played."""
        response_id = self.active.request.response_id if self.active is not None and self.busy else None
        self.interrupt("client_cancelled", now)
        self._out.send(OutputCleared(response_id))

    def cancel(self, response_id: str | None, now: float) -> None:
        """Stop the announced response.

        Raises:
            StateConflict: None is active, or another one.
        """
        active = self.active
        if active is None or not active.announced:
            raise StateConflict("There is no active response to cancel.", code="response_cancel_not_active")
        if response_id is not None and response_id != active.request.response_id:
            raise StateConflict(
                f"Response '{response_id}' is not active; '{active.request.response_id}' is.",
                code="response_cancel_not_active",
                param="response_id",
            )
        self.interrupt("client_cancelled", now)

    def truncate(self, event: TruncateItem, now: float) -> None:
        """Cut an answer to what the client played.

        Raises:
            NotFound: There is no such item.
            InvalidEvent: The item has no audio, or less than that.
        """
        item = self._items.get(event.item_id)
        sent_ms = self.playback.sent_ms(event.item_id)
        if item.role != "assistant" or sent_ms is None:
            raise InvalidEvent(f"Item '{event.item_id}' holds no spoken answer to truncate.", param="item_id")
        if event.content_index != 0:
            raise NotFound("A spoken answer has one content part, number 0.", param="content_index")
        if event.audio_end_ms > sent_ms + 1:
            raise InvalidEvent(
                f"Audio content of {sent_ms:.0f} ms is already shorter than {event.audio_end_ms} ms.",
                param="audio_end_ms",
            )
        heard = self.playback.cut(event.item_id, event.audio_end_ms, now)
        if heard is not None:
            self._keep(heard)
        self._out.send(ItemTruncated(event.item_id, event.content_index, event.audio_end_ms))

    def announce(self, announcement: Announce) -> None:
        """Queue something to say unasked."""
        if len(self._announcements) >= self._limits.max_announcements:
            self._announcements.popleft()
            self._out.send(Dropped("speech", 1, "more announcements than can be spoken; the oldest went"))
        self._announcements.append(announcement)

    def next(self, now: float) -> None:
        """Start what is owed, or else an announcement, when nothing is being said."""
        if self.active is not None:
            return
        if self.owed:
            self.start()
        elif self._announcements and not self.audible(now):
            announced = self._announcements.popleft()
            if announced.by_instructions:
                self.start(CreateResponse(instructions=announced.text))
            else:
                self.start(say=announced.text)

    def stop_all(self, reason: str, now: float) -> None:
        """End everything: the session closes."""
        self._announcements.clear()
        self.owed = False
        self.interrupt(reason, now)

    def _keep(self, heard: Heard) -> None:
        self._out.ask(KeepHeard(heard.item_id, heard.text))
        if heard.item_id in self._items:
            item = self._items.get(heard.item_id)
            if item.status != "in_progress":
                content = AudioContent(heard.text, heard.played_ms)
                self._items.replace(replace(item.with_content(content), status="incomplete"))

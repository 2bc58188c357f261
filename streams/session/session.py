"""The session core: events and times in, outputs and commands out.

No socket, thread, sleep or model is in here, so every conversation can be replayed on a virtual clock. The
shell around it (``streams.runtime``) feeds it and follows its commands.

What it promises, whatever the order of events:

1. At most one response is active.
2. A response that was announced ends exactly once.
3. Nothing of a response is sent after its end; stale deltas are dropped by generation.
4. Barge-in cancels before the new utterance is committed, and loses no audio of the user.
5. The context keeps of an interrupted answer what the user heard, to the word.
6. Every committed utterance gets an answer or an explicit reason.
7. A tool call is answered at most once per call id.
8. A remark or a noise shorter than the barge-in threshold does not stop the answer, nor lose any of it.
9. Buffers keep their bounds, and every drop is reported.
10. Close is idempotent and leaves nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, get_args

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.errors import HearsightError, StateConflict
from hearsight.streams.events import (
    AddItem,
    AgentEvent,
    Announce,
    AnswerFinished,
    AudioFrame,
    CameraFrame,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    Close,
    Command,
    CommitAudio,
    Configure,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    EndpointEstimate,
    FrameDropped,
    Input,
    ItemAdded,
    ItemDone,
    KeepHeard,
    Output,
    Overheard,
    PlaybackPosition,
    RetrieveItem,
    SessionConfig,
    SessionConfigured,
    TextContent,
    Tick,
    Transcribed,
    TranscriptionFailed,
    TruncateItem,
)
from hearsight.streams.session.answering import Answering
from hearsight.streams.session.conversation import Conversation
from hearsight.streams.session.items import Items
from hearsight.streams.session.outbox import Outbox
from hearsight.streams.session.perceiving import Perceiving
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.state import SessionState, stopped


class Session:
    """One conversation.

    Args:
        config: What the client may change later.
        limits: What it may not.
        frames: Where camera frames wait for a turn.
        now: The injected clock's reading, seconds.
        new_id: Makes an id from a prefix; counting, unless given.
    """

    def __init__(
        self,
        config: SessionConfig,
        limits: SessionLimits,
        frames: FrameStore,
        now: float,
        new_id: Callable[[str], str] | None = None,
    ) -> None:
        counter = itertools.count(1)
        new_id = new_id or (lambda prefix: f"{prefix}_{next(counter)}")
        self.closed = False
        self._out = Outbox()
        self._items = Items()
        self._conversation = Conversation(self._items, self._out)
        self._answering = Answering(config, limits, self._items, self._out, new_id)
        self._perceiving = Perceiving(
            limits, frames, self._conversation, self._answering, self._out, new_id, now
        )
        self._wake = self._perceiving.wake
        self._takes = self._handlers()
        self._out.ask(Configure(config))

    # --- the shell's side --------------------------------------------------------------------------------

    def receive(self, event: Input, now: float) -> None:
        """Take one event. Never raises for what a client sent: it is refused in an output."""
        if self.closed:
            return
        try:
            self._takes[type(event)](event, now)
        except HearsightError as error:
            self._out.refuse(error, getattr(event, "event_id", None))
        if not self.closed:
            self._go_on(now)

    def take_outputs(self) -> list[Output]:
        """Everything for the client since the last call, in order."""
        return self._out.take_outputs()

    def take_commands(self) -> list[Command]:
        """Everything for the shell since the last call, in order."""
        return self._out.take_commands()

    @property
    def config(self) -> SessionConfig:
        """The effective configuration."""
        return self._answering.config

    @property
    def items(self) -> Items:
        """The conversation as the client sees it."""
        return self._items

    @property
    def responding(self) -> bool:
        """Whether a response was announced and has not ended."""
        return self._answering.busy

    @property
    def asleep(self) -> bool:
        """Whether what is heard is not listened to, until the wake phrase."""
        return self._wake.asleep

    @property
    def in_doubt(self) -> bool:
        """Whether the words of somebody who may be interrupting, or waking the session, are waited for."""
        return self._perceiving.in_doubt

    @property
    def unsent_audio_bytes(self) -> int:
        """Audio of the answer that is not sent yet, because nobody could have heard it yet."""
        return self._answering.unsent_audio_bytes

    def deadline(self) -> float | None:
        """When a ``Tick`` is due, on the injected clock; None when nothing is waiting for time to pass."""
        if self.closed:
            return None
        due = [*self._perceiving.deadlines, self._answering.release_at_s]
        waits = self._answering.waiting and self._answering.active is None
        if waits and self._perceiving.nobody_speaks:
            due.append(self._answering.playback.ends_at_s)
        return min((at for at in due if at is not None), default=None)

    # --- lasting longer than the process -----------------------------------------------------------------

    def state(self, now: float) -> SessionState:
        """What another process needs to go on from here."""
        active = self._answering.active if self._answering.busy else None
        heard = active.heard_so_far(now) if active is not None else None
        items = (self._items.get(item_id) for item_id in self._items.ids)
        return SessionState(
            tuple(heard if heard is not None and item.id == heard.id else item for item in items),
            self._conversation.answered_calls,
            self._answering.owed,
            None if active is None else active.outline,
        )

    def restore(self, state: SessionState, *, show: bool) -> None:
        """Go on where another process has stopped; called once, before anything else.

        The response that was being given then ends as failed, and its turn is answered anew if nothing of
        the answer was heard.

        Args:
            state: As the other process left it.
            show: Tell the client of the items, which it does not know.
        """
        items = [stopped(item) for item in state.items]
        self._conversation.restore(items, state.answered_calls)
        unfinished = [item for item in state.items if item.status == "in_progress"]
        for item, was in zip(items, state.items, strict=True):
            before = self._items.before(item.id)
            if show:
                self._out.send(ItemAdded(item, before))
            if show or was in unfinished:
                self._out.send(ItemDone(item, before))
        messages = [item for item in unfinished if item.kind == "message"]
        self._out.ask(*(KeepHeard(item.id, item.text) for item in messages))
        self._answering.owed = state.owed
        if state.response is not None:
            self._out.send(state.response.failed())
            self._answering.owed |= self._perceiving.answers_turns and not any(item.text for item in messages)

    # --- what clients ask for ----------------------------------------------------------------------------

    def _on_configure(self, event: ConfigureSession, now: float) -> None:
        self._perceiving.configure(event.config, now)
        self._out.ask(Configure(event.config))
        self._out.send(SessionConfigured(event.config))

    def _on_add(self, event: AddItem, now: float) -> None:
        self._conversation.check(event)
        is_users = event.item.kind == "message" and event.item.role == "user"
        if is_users:
            self._wake.wake("client", now)
        pictures = self._perceiving.choose_pictures() if is_users else ()
        self._conversation.add(event, pictures, transcribe=self.config.transcribe)
        if is_users:
            self._wake.turn(event.item.id, now)
            texts = [part.text for part in event.item.content if isinstance(part, TextContent)]
            self._wake.told(event.item.id, " ".join(texts))

    def _on_delete(self, event: DeleteItem, now: float) -> None:
        self._conversation.delete(event.item_id)

    def _on_retrieve(self, event: RetrieveItem, now: float) -> None:
        self._conversation.retrieve(event.item_id)

    def _on_truncate(self, event: TruncateItem, now: float) -> None:
        self._answering.truncate(event, now)

    def _on_create_response(self, event: CreateResponse, now: float) -> None:
        if event.when_idle:
            self._wake.wake("client", now)
            self._answering.owed = True
            return
        if self._answering.busy:
            raise StateConflict(
                "The conversation already has an active response; wait for its end or cancel it.",
                code="conversation_already_has_active_response",
            )
        self._wake.wake("client", now)
        self._perceiving.idle.end()
        self._answering.start(event)

    def _on_cancel(self, event: CancelResponse, now: float) -> None:
        self._answering.cancel(event.response_id, now)

    def _on_clear_output(self, event: ClearOutput, now: float) -> None:
        self._answering.clear_output(event, now)

    def _on_playback(self, event: PlaybackPosition, now: float) -> None:
        self._answering.playback.report(event.item_id, event.played_ms, now)

    def _on_announce(self, event: Announce, now: float) -> None:
        self._answering.announce(event)

    # --- answers and time --------------------------------------------------------------------------------

    def _on_agent(self, event: Any, now: float) -> None:
        self._answering.agent_event(event, now)
        if isinstance(event, AnswerFinished):
            self._perceiving.idle.begin(now)
            self._wake.answered(now)

    def _on_tick(self, event: Tick, now: float) -> None:
        self._perceiving.tick(now)

    def _go_on(self, now: float) -> None:
        live = self._perceiving.listening.is_live(now)
        self._answering.pace(paced=self._perceiving.may_interrupt and live)
        self._answering.release(now)
        if self._perceiving.nobody_speaks:
            self._answering.next(now)

    def _on_close(self, event: Close, now: float) -> None:
        self._perceiving.close()
        self._answering.stop_all("session_closed", now)
        self.closed = True

    def _handlers(self) -> dict[type, Callable[[Any, float], None]]:
        perceiving = self._perceiving
        return {
            AudioFrame: perceiving.on_audio,
            CameraFrame: perceiving.on_camera,
            FrameDropped: perceiving.on_frame_dropped,
            EndpointEstimate: perceiving.on_estimate,
            Overheard: perceiving.on_overheard,
            Transcribed: perceiving.on_transcribed,
            TranscriptionFailed: perceiving.on_transcription_failed,
            CommitAudio: perceiving.on_commit,
            ClearAudio: perceiving.on_clear,
            ConfigureSession: self._on_configure,
            AddItem: self._on_add,
            DeleteItem: self._on_delete,
            RetrieveItem: self._on_retrieve,
            TruncateItem: self._on_truncate,
            CreateResponse: self._on_create_response,
            CancelResponse: self._on_cancel,
            ClearOutput: self._on_clear_output,
            PlaybackPosition: self._on_playback,
            Announce: self._on_announce,
            Tick: self._on_tick,
            Close: self._on_close,
            **dict.fromkeys(get_args(AgentEvent), self._on_agent),
        }

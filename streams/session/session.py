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
from typing import Any

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.errors import HearsightError, StateConflict
from hearsight.streams.events import (
    AddItem,
    Announce,
    AnswerFailed,
    AnswerFinished,
    AnswerSpeech,
    AnswerText,
    AudioCleared,
    AudioFrame,
    CameraFrame,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    ClientCall,
    Close,
    Command,
    CommitAudio,
    Configure,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    Dropped,
    EndpointEstimate,
    Foresee,
    FrameDropped,
    IdleTimedOut,
    Input,
    ItemAdded,
    ItemDone,
    KeepHeard,
    Output,
    Overheard,
    Picture,
    PlaybackPosition,
    RetrieveItem,
    ServerCallFinished,
    ServerCallStarted,
    SessionConfig,
    SessionConfigured,
    TextContent,
    Tick,
    Transcribed,
    TranscriptionError,
    TranscriptionFailed,
    TruncateItem,
)
from hearsight.streams.session.answering import Answering
from hearsight.streams.session.barge_in import BargeIn
from hearsight.streams.session.conversation import Conversation
from hearsight.streams.session.items import Items
from hearsight.streams.session.listening import Listening, Utterance
from hearsight.streams.session.outbox import Outbox
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.state import SessionState, stopped
from hearsight.streams.session.turns import Signal
from hearsight.streams.session.wake import Wake

CHECK_IN = CreateResponse(
    instructions="The user has been silent for a while. Check in with one short, friendly sentence."
)


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
        self._config = config
        self._limits = limits
        self._frames = frames
        self._new_id = new_id
        self._out = Outbox()
        self._items = Items()
        self._conversation = Conversation(self._items, self._out)
        self._listening = Listening(
            config.turn_detection, limits, self._out, new_id, now, self._choose_pictures
        )
        self._answering = Answering(config, limits, self._items, self._out, new_id)
        self._barge_in = BargeIn(self._listening, self._answering, limits, self._out, self._interrupted)
        self._wake = Wake(limits.wake, self._listening, self._out, self._woken)
        self._quiet_since_s: float | None = None
        self._in_pieces = False
        """Pieces of the utterance in progress are committed already; its end brings their answer."""
        self._out.ask(Configure(config))

    # --- the shell's side --------------------------------------------------------------------------------

    def receive(self, event: Input, now: float) -> None:
        """Take one event. Never raises for what a client sent: it is refused in an output."""
        if self.closed:
            return
        try:
            self._HANDLERS[type(event)](self, event, now)
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
        return self._config

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
        return self._barge_in.in_doubt or self._wake.in_doubt

    @property
    def unsent_audio_bytes(self) -> int:
        """Audio of the answer that is not sent yet, because nobody could have heard it yet."""
        return self._answering.unsent_audio_bytes

    def deadline(self) -> float | None:
        """When a ``Tick`` is due, on the injected clock; None when nothing is waiting for time to pass."""
        if self.closed:
            return None
        due = [
            None if self._wake.in_doubt else self._listening.stalls_at_s,
            self._idle_at_s(),
            self._barge_in.due_s,
            self._wake.due_s,
            self._sleeps_at_s(),
            self._answering.release_at_s,
        ]
        if self._answering.waiting and self._answering.active is None and self._nobody_speaks:
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
        items = [stopped(item, state.results) for item in state.items]
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
            self._answering.owed |= self._answers_turns and not any(item.text for item in messages)

    # --- perception --------------------------------------------------------------------------------------

    def _on_audio(self, frame: AudioFrame, now: float) -> None:
        if not self._listening.detecting:
            self._wake.wake("client", now)
        signal = self._listening.feed(frame, now)
        if self._wake.asleep:
            self._wake.follow(signal, now)
            return
        if self._barge_in.in_doubt:
            self._barge_in.follow(signal, now)
            if signal is Signal.END and self._listening.utterance is not None:
                self._end_turn(now)
            return
        match signal:
            case Signal.ONSET if self._may_interrupt and self._answering.audible(now):
                self._barge_in.begin(now)
            case Signal.ONSET:
                self._quiet_since_s = None
                self._listening.begin()
                if self._may_interrupt:
                    self._answering.interrupt("turn_detected", now)
            case Signal.LULL:
                self._listening.lull()
            case Signal.PAUSE:
                self._ask_endpoint()
            case Signal.RESUMED:
                self._answering.discard()
            case Signal.END:
                self._end_turn(now)
            case None:
                self._speculate()
        if self._listening.too_long:
            self._answering.discard()
            self._commit(*self._listening.split(), now)
            self._in_pieces = self._answers_turns

    def _ask_endpoint(self) -> None:
        detection = self._config.turn_detection
        if self._limits.speculative or (detection is not None and detection.semantic):
            self._listening.ask_endpoint()

    def _interrupted(self) -> None:
        """Speech over an answer has turned out to be an utterance; it may have come to a pause already."""
        self._quiet_since_s = None
        if self._listening.in_silence:
            self._listening.lull()
            self._ask_endpoint()

    def _woken(self, now: float) -> None:
        """What was said asleep was meant for us."""
        if self._may_interrupt:
            self._answering.interrupt("turn_detected", now)
        self._interrupted()

    def _on_overheard(self, event: Overheard, now: float) -> None:
        self._barge_in.words(event, now)
        self._wake.words(event, now)

    def _on_estimate(self, event: EndpointEstimate, now: float) -> None:
        if not self._listening.judge(event):
            return
        if self._listening.silence_is_enough:
            self._end_turn(now)
        else:
            self._speculate()

    def _speculate(self) -> None:
        """Start to think if the turn is likely over; nobody hears of it until it is."""
        utterance = self._listening.utterance
        if not self._limits.speculative or not self._answers_turns or self._answering.busy:
            return
        if utterance is not None and self._listening.may_speculate:
            utterance.speculated = True
            self._listening.show(last_moment=True)
            self._answering.start(speculative=True)

    @property
    def _may_interrupt(self) -> bool:
        detection = self._config.turn_detection
        return detection is not None and detection.interrupt_response

    @property
    def _answers_turns(self) -> bool:
        detection = self._config.turn_detection
        return detection is not None and detection.create_response

    def _end_turn(self, now: float) -> None:
        if not self._answering.speculating:
            self._listening.show(last_moment=True)
        self._commit(*self._listening.finish(), now)
        self._in_pieces = False
        if not self._answers_turns:
            return
        if self._answering.speculating:
            self._answering.confirm(now)
        else:
            self._answering.owed = True

    def _commit(self, utterance: Utterance, duration_ms: float, now: float) -> None:
        self._wake.turn(utterance.item_id, now)
        self._conversation.commit(utterance, duration_ms, transcribe=self._config.transcribe)

    def _choose_pictures(self) -> tuple[Picture, ...]:
        return self._frames.select(self._limits.frames_per_turn)

    def _on_camera(self, frame: CameraFrame, now: float) -> None:
        # Asleep, only the newest waits, for the turn that may come; "similar" lets each give way to the next.
        change = "similar" if self._wake.asleep else frame.change
        dropped = self._frames.add(frame.picture, change, now)
        if dropped is not None:
            self._out.send(Dropped("picture", 1, dropped))
        if change != "scene_change":
            return
        if self._listening.utterance is not None:
            self._listening.show()
        else:
            self._out.ask(Foresee(self._frames.preview(self._limits.frames_per_turn)))

    def _on_frame_dropped(self, event: FrameDropped, now: float) -> None:
        self._out.send(Dropped("picture", 1, event.reason))

    def _on_transcribed(self, event: Transcribed, now: float) -> None:
        self._conversation.transcribed(event)
        self._wake.told(event.item_id, event.text)

    def _on_transcription_failed(self, event: TranscriptionFailed, now: float) -> None:
        self._out.send(TranscriptionError(event.item_id, 0, event.message))

    # --- what clients ask for ----------------------------------------------------------------------------

    def _on_configure(self, event: ConfigureSession, now: float) -> None:
        self._barge_in.confirm(now)
        self._answering.discard()
        self._config = self._answering.config = event.config
        self._listening.configure(event.config.turn_detection)
        self._out.ask(Configure(event.config))
        self._out.send(SessionConfigured(event.config))

    def _on_commit(self, event: CommitAudio, now: float) -> None:
        held_ms = self._listening.held_ms
        if held_ms < self._limits.min_commit_ms:
            raise StateConflict(
                f"There is too little audio to commit: {held_ms:.0f} ms of the "
                f"{self._limits.min_commit_ms} ms that an utterance takes.",
                code="input_audio_buffer_commit_empty",
            )
        self._wake.wake("client", now)
        self._barge_in.confirm(now)
        self._answering.discard()
        self._listening.show(last_moment=True)
        self._commit(*self._listening.finish(), now)
        if self._answers_turns or event.answer:
            self._answering.owed = True

    def _on_clear(self, event: ClearAudio, now: float) -> None:
        self._barge_in.dismiss("cleared", now)
        self._wake.forget()
        self._answering.discard()
        self._listening.drop()
        self._answering.owed |= self._in_pieces
        self._in_pieces = False
        self._out.send(AudioCleared())

    def _on_add(self, event: AddItem, now: float) -> None:
        self._conversation.check(event)
        is_users = event.item.kind == "message" and event.item.role == "user"
        if is_users:
            self._wake.wake("client", now)
        pictures = self._choose_pictures() if is_users else ()
        self._conversation.add(event, pictures, transcribe=self._config.transcribe)
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
        self._quiet_since_s = None
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
            self._quiet_since_s = now
            self._wake.answered(now)

    def _on_tick(self, event: Tick, now: float) -> None:
        self._barge_in.tick(now)
        self._wake.tick(now)
        stalls_at_s = self._listening.stalls_at_s
        if stalls_at_s is not None and now >= stalls_at_s:
            self._barge_in.give_up(now)
            if self._wake.asleep:
                self._wake.stall(now)
            elif self._listening.utterance is not None:
                self._end_turn(now)
        idle_at_s = self._idle_at_s()
        if idle_at_s is not None and now >= idle_at_s:
            self._quiet_since_s = None
            end_ms = self._listening.clock_ms
            detection = self._config.turn_detection
            assert detection is not None and detection.idle_timeout_ms is not None
            start_ms = max(0, end_ms - detection.idle_timeout_ms)
            self._out.send(IdleTimedOut(self._new_id("item"), start_ms, end_ms))
            self._answering.start(CHECK_IN)

        sleeps_at_s = self._sleeps_at_s()
        if sleeps_at_s is not None and now >= sleeps_at_s:
            self._wake.sleep()
            self._frames.clear()

    def _sleeps_at_s(self) -> float | None:
        if self._listening.utterance is not None or self._answering.active is not None:
            return None
        return None if self._answering.waiting else self._wake.sleeps_at_s(self._answering.playback.ends_at_s)

    def _idle_at_s(self) -> float | None:
        detection = self._config.turn_detection
        if self._wake.asleep:
            return None
        if detection is None or detection.idle_timeout_ms is None or self._quiet_since_s is None:
            return None
        if self._listening.utterance is not None or self._answering.active is not None:
            return None
        quiet_since_s = max(self._quiet_since_s, self._answering.playback.ends_at_s)
        return quiet_since_s + detection.idle_timeout_ms / 1000

    def _go_on(self, now: float) -> None:
        self._answering.pace(paced=self._may_interrupt and self._listening.is_live(now))
        self._answering.release(now)
        if self._nobody_speaks:
            self._answering.next(now)

    @property
    def _nobody_speaks(self) -> bool:
        """Whether what waits to be said may be: nobody speaks, not to us, or with a key held."""
        utterance = self._listening.utterance
        return utterance is None or utterance.manual or self._wake.ignoring

    def _on_close(self, event: Close, now: float) -> None:
        self._listening.drop()
        self._answering.stop_all("session_closed", now)
        self._frames.clear()
        self.closed = True

    _HANDLERS: dict[type, Callable[[Session, Any, float], None]] = {
        AudioFrame: _on_audio,
        CameraFrame: _on_camera,
        FrameDropped: _on_frame_dropped,
        EndpointEstimate: _on_estimate,
        Overheard: _on_overheard,
        Transcribed: _on_transcribed,
        TranscriptionFailed: _on_transcription_failed,
        ConfigureSession: _on_configure,
        CommitAudio: _on_commit,
        ClearAudio: _on_clear,
        AddItem: _on_add,
        DeleteItem: _on_delete,
        RetrieveItem: _on_retrieve,
        TruncateItem: _on_truncate,
        CreateResponse: _on_create_response,
        CancelResponse: _on_cancel,
        ClearOutput: _on_clear_output,
        PlaybackPosition: _on_playback,
        Announce: _on_announce,
        Tick: _on_tick,
        Close: _on_close,
        AnswerText: _on_agent,
        AnswerSpeech: _on_agent,
        ServerCallStarted: _on_agent,
        ServerCallFinished: _on_agent,
        ClientCall: _on_agent,
        AnswerFinished: _on_agent,
        AnswerFailed: _on_agent,
    }

"""The perceiving side of a session: what microphone and camera bring, and where the user's turns end."""

from __future__ import annotations

from collections.abc import Callable

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.errors import StateConflict
from hearsight.streams.events import (
    AudioCleared,
    AudioFrame,
    CameraFrame,
    ClearAudio,
    CommitAudio,
    Dropped,
    EndpointEstimate,
    Foresee,
    FrameDropped,
    Overheard,
    Picture,
    SessionConfig,
    Transcribed,
    TranscriptionError,
    TranscriptionFailed,
)
from hearsight.streams.session.answering import Answering
from hearsight.streams.session.barge_in import BargeIn
from hearsight.streams.session.conversation import Conversation
from hearsight.streams.session.idle import Idle
from hearsight.streams.session.listening import Listening, Utterance
from hearsight.streams.session.outbox import Outbox
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.turns import Signal
from hearsight.streams.session.wake import Wake


class Perceiving:
    """Makes turns of what is heard and seen, and tells the answering side of them.

    Args:
        limits: What the client may not change.
        frames: Where camera frames wait for a turn.
        conversation: Where turns go.
        answering: Who answers them.
        out: Where the client is told, and the shell asked.
        new_id: Makes an id from a prefix.
        now: The injected clock's reading, seconds.
    """

    def __init__(
        self,
        limits: SessionLimits,
        frames: FrameStore,
        conversation: Conversation,
        answering: Answering,
        out: Outbox,
        new_id: Callable[[str], str],
        now: float,
    ) -> None:
        self._limits = limits
        self._frames = frames
        self._conversation = conversation
        self._answering = answering
        self._out = out
        detection = answering.config.turn_detection
        self.listening = Listening(detection, limits, out, new_id, now, self.choose_pictures)
        self.barge_in = BargeIn(self.listening, answering, limits, out, self._interrupted)
        self.wake = Wake(limits.wake, self.listening, out, self._woken)
        self.idle = Idle(self.listening, answering, out, new_id)
        self._in_pieces = False
        """Pieces of the utterance in progress are committed already; its end brings their answer."""

    @property
    def in_doubt(self) -> bool:
        """Whether the words of somebody who may be interrupting, or waking the session, are waited for."""
        return self.barge_in.in_doubt or self.wake.in_doubt

    @property
    def nobody_speaks(self) -> bool:
        """Whether what waits to be said may be: nobody speaks, not to us, or with a key held."""
        utterance = self.listening.utterance
        return utterance is None or utterance.manual or self.wake.ignoring

    @property
    def may_interrupt(self) -> bool:
        """Whether the user's speech may stop an answer."""
        detection = self._config.turn_detection
        return detection is not None and detection.interrupt_response

    @property
    def answers_turns(self) -> bool:
        """Whether a turn that ends is answered without being asked to."""
        detection = self._config.turn_detection
        return detection is not None and detection.create_response

    @property
    def deadlines(self) -> tuple[float | None, ...]:
        """When time alone will change something, on the session's clock."""
        return (
            None if self.wake.in_doubt else self.listening.stalls_at_s,
            None if self.wake.asleep else self.idle.due_s,
            self.barge_in.due_s,
            self.wake.due_s,
            self._sleeps_at_s,
        )

    # --- what is heard -----------------------------------------------------------------------------------

    def on_audio(self, frame: AudioFrame, now: float) -> None:
        """The next 512 samples."""
        if not self.listening.detecting:
            self.wake.wake("client", now)
        signal = self.listening.feed(frame, now)
        if self.wake.asleep:
            self.wake.follow(signal, now)
            return
        if self.barge_in.in_doubt:
            if signal is Signal.PAUSE:
                self._ask_endpoint()  # later, once the words are known, any pause would sound like an end
            self.barge_in.follow(signal, now)
            if signal is Signal.END and self.listening.utterance is not None:
                self._end_turn(now)
            return
        match signal:
            case Signal.ONSET if self.may_interrupt and self._answering.audible(now):
                self.barge_in.begin(now)
            case Signal.ONSET:
                self.idle.end()
                self.listening.begin()
                if self.may_interrupt:
                    self._answering.interrupt("turn_detected", now)
            case Signal.LULL:
                self.listening.lull()
            case Signal.PAUSE:
                self._ask_endpoint()
            case Signal.RESUMED:
                self._answering.discard()
            case Signal.END:
                self._end_turn(now)
            case None:
                self._speculate()
        if self.listening.too_long:
            self._answering.discard()
            self._commit(*self.listening.split(), now)
            self._in_pieces = self.answers_turns

    def on_overheard(self, event: Overheard, now: float) -> None:
        """What was said so far by somebody who may be interrupting, or waking the session."""
        self.barge_in.words(event, now)
        self.wake.words(event, now)

    def on_estimate(self, event: EndpointEstimate, now: float) -> None:
        """What the end-of-turn model thinks of a silence."""
        if not self.listening.judge(event) or self.barge_in.in_doubt:
            return
        if self.listening.silence_is_enough:
            self._end_turn(now)
        else:
            self._speculate()

    def on_transcribed(self, event: Transcribed, now: float) -> None:
        """What was said in a turn."""
        self._conversation.transcribed(event)
        self.wake.told(event.item_id, event.text)

    def on_transcription_failed(self, event: TranscriptionFailed, now: float) -> None:
        """What was said in a turn nobody will know."""
        self._out.send(TranscriptionError(event.item_id, 0, event.message))

    # --- what is seen ------------------------------------------------------------------------------------

    def on_camera(self, frame: CameraFrame, now: float) -> None:
        """A frame that has passed the gate."""
        # Asleep, only the newest waits, for the turn that may come; "similar" lets each give way to the next.
        change = "similar" if self.wake.asleep else frame.change
        dropped = self._frames.add(frame.picture, change, now)
        if dropped is not None:
            self._out.send(Dropped("picture", 1, dropped))
        if change != "scene_change":
            return
        if self.listening.utterance is not None:
            self.listening.show()
        else:
            self._out.ask(Foresee(self._frames.preview(self._limits.frames_per_turn)))

    def on_frame_dropped(self, event: FrameDropped, now: float) -> None:
        """A frame that has not."""
        self._out.send(Dropped("picture", 1, event.reason))

    def choose_pictures(self) -> tuple[Picture, ...]:
        """What the camera has seen that the next turn should know of."""
        return self._frames.select(self._limits.frames_per_turn)

    # --- what clients ask of it --------------------------------------------------------------------------

    def configure(self, config: SessionConfig, now: float) -> None:
        """Go on under another configuration."""
        self.barge_in.confirm(now)
        self._answering.discard()
        self._answering.config = config
        self.listening.configure(config.turn_detection)

    def on_commit(self, event: CommitAudio, now: float) -> None:
        """End the turn here.

        Raises:
            StateConflict: There is no turn.
        """
        held_ms = self.listening.held_ms
        if held_ms < self._limits.min_commit_ms:
            raise StateConflict(
                f"There is too little audio to commit: {held_ms:.0f} ms of the "
                f"{self._limits.min_commit_ms} ms that an utterance takes.",
                code="input_audio_buffer_commit_empty",
            )
        self.wake.wake("client", now)
        self.barge_in.confirm(now)
        self._answering.discard()
        self.listening.show(last_moment=True)
        self._commit(*self.listening.finish(), now)
        if self.answers_turns or event.answer:
            self._answering.owed = True

    def on_clear(self, event: ClearAudio, now: float) -> None:
        """Forget what is being said."""
        self.barge_in.dismiss("cleared", now)
        self.wake.forget()
        self._answering.discard()
        self.listening.drop()
        self._answering.owed |= self._in_pieces
        self._in_pieces = False
        self._out.send(AudioCleared())

    def close(self) -> None:
        """Forget everything."""
        self.listening.drop()
        self._frames.clear()

    # --- turns and time ----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Time has passed."""
        self.barge_in.tick(now)
        self.wake.tick(now)
        stalls_at_s = self.listening.stalls_at_s
        if stalls_at_s is not None and now >= stalls_at_s:
            self.barge_in.give_up(now)
            if self.wake.asleep:
                self.wake.stall(now)
            elif self.listening.utterance is not None:
                self._end_turn(now)
        if not self.wake.asleep:
            self.idle.tick(now)
        sleeps_at_s = self._sleeps_at_s
        if sleeps_at_s is not None and now >= sleeps_at_s:
            self.wake.sleep()
            self._frames.clear()

    @property
    def _config(self) -> SessionConfig:
        return self._answering.config

    @property
    def _sleeps_at_s(self) -> float | None:
        if self.listening.utterance is not None or self._answering.active is not None:
            return None
        return None if self._answering.waiting else self.wake.sleeps_at_s(self._answering.playback.ends_at_s)

    def _ask_endpoint(self) -> None:
        detection = self._config.turn_detection
        if self._limits.speculative or (detection is not None and detection.semantic):
            self.listening.ask_endpoint()

    def _interrupted(self) -> None:
        """Speech over an answer has turned out to be an utterance; it may have come to a pause already."""
        self.idle.end()
        if self.listening.in_silence:
            self.listening.lull()

    def _woken(self, now: float) -> None:
        """What was said asleep was meant for us."""
        if self.may_interrupt:
            self._answering.interrupt("turn_detected", now)
        self._interrupted()
        if self.listening.in_silence:
            self._ask_endpoint()

    def _speculate(self) -> None:
        """Start to think if the turn is likely over; nobody hears of it until it is."""
        utterance = self.listening.utterance
        if not self._limits.speculative or not self.answers_turns or self._answering.busy:
            return
        if utterance is not None and self.listening.may_speculate:
            utterance.speculated = True
            self.listening.show(last_moment=True)
            self._answering.start(speculative=True)

    def _end_turn(self, now: float) -> None:
        if not self._answering.speculating:
            self.listening.show(last_moment=True)
        self._commit(*self.listening.finish(), now)
        self._in_pieces = False
        if not self.answers_turns:
            return
        if self._answering.speculating:
            self._answering.confirm(now)
        else:
            self._answering.owed = True

    def _commit(self, utterance: Utterance, duration_ms: float, now: float) -> None:
        self.wake.turn(utterance.item_id, now)
        self._conversation.commit(utterance, duration_ms, transcribe=self._config.transcribe)

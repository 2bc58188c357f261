"""The listening side of a session: utterances, their audio and the pictures seen while they were spoken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hearsight.streams.audio.buffer import SampleBuffer, ms_to_samples, samples_to_ms
from hearsight.streams.events import (
    AudioFrame,
    Dropped,
    EndpointEstimate,
    EstimateEndpoint,
    Forget,
    Hear,
    Lull,
    Overhear,
    Picture,
    Resumed,
    See,
    SpeechStarted,
    SpeechStopped,
    TurnDetection,
)
from hearsight.streams.session.outbox import Outbox
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.turns import Signal, TurnDetector

ESTIMATE_MS = 8_000
"""The end-of-turn model looks at this much of the utterance's end."""


@dataclass(slots=True)
class Utterance:
    """One stretch of user speech on its way to becoming an item."""

    item_id: str
    start: int
    """First sample on the audio clock, padding included."""
    manual: bool
    """The client ends it, not the detector."""
    tentative: bool = False
    """It may be nothing but a noise over an answer; neither client nor engine has been told of it."""
    sounds_finished: bool = False
    """What the end-of-turn model said of the silence it is in."""
    speculated: bool = False
    """Whether thinking has been started in the silence it is in."""
    pictures: list[Picture] = field(default_factory=list)
    ends_after_ms: int | None = None
    """The silence that ends it, while it is not known whether it is meant for the service."""


class Listening:
    """Follows the user's audio and cuts utterances out of it."""

    def __init__(
        self,
        detection: TurnDetection | None,
        limits: SessionLimits,
        out: Outbox,
        new_id: Callable[[str], str],
        now: float,
        choose_pictures: Callable[[], tuple[Picture, ...]],
    ) -> None:
        self.utterance: Utterance | None = None
        self.last_frame_at_s = now
        self._detection = detection
        self._limits = limits
        self._out = out
        self._new_id = new_id
        self._choose_pictures = choose_pictures
        padding_ms = detection.prefix_padding_ms if detection else 0
        self._buffer = SampleBuffer(ms_to_samples(ESTIMATE_MS + padding_ms + limits.barge_in_ms + 1_000))
        self._previous_end = 0
        self._dropped = 0
        self._detector = TurnDetector(
            threshold=detection.threshold if detection else 1.0,
            lull_samples=ms_to_samples(limits.lull_ms),
            pause_samples=ms_to_samples(limits.speculate_after_ms),
        )

    @property
    def clock(self) -> int:
        """Samples received: the audio clock."""
        return self._buffer.end

    @property
    def clock_ms(self) -> int:
        """The audio clock in whole milliseconds."""
        return int(samples_to_ms(self._buffer.end))

    @property
    def detecting(self) -> bool:
        """Whether the server decides where turns begin and end."""
        return self._detection is not None

    def is_live(self, now: float) -> bool:
        """Whether a microphone is open: audio has come, and not long ago."""
        return self.clock > 0 and now - self.last_frame_at_s < self._limits.live_ms / 1000

    @property
    def stalls_at_s(self) -> float | None:
        """When an utterance whose audio has stopped coming counts as over; None outside of one."""
        if self.utterance is None or self.utterance.manual:
            return None
        return self.last_frame_at_s + self._limits.stall_ms / 1000

    def configure(self, detection: TurnDetection | None) -> None:
        """Change who decides about turns. An utterance in progress goes on under the new rule."""
        self._detection = detection
        if detection is not None:
            self._detector.threshold = detection.threshold
        if self.utterance is None:
            self._detector.reset()
            return
        self.utterance.manual = detection is None
        if detection is not None and not self._detector.in_utterance:
            self._detector.begin(self.utterance.start, self.clock)

    def feed(self, frame: AudioFrame, now: float) -> Signal | None:
        """Take the next frame.

        Args:
            frame: 512 samples.
            now: Seconds of the session's clock.
        """
        start = self.clock
        self._buffer.append(frame.samples)
        self.last_frame_at_s = now
        if self._detection is None:
            self._hear_manually(frame)
            return None
        signal = self._detector.feed(
            start,
            frame.samples.size,
            frame.speech_probability,
            onset_samples=ms_to_samples(self._onset_ms),
            end_samples=ms_to_samples(self._silence_needed_ms()),
        )
        if self.utterance is not None and not self.utterance.tentative:
            self._out.ask(Hear(self.utterance.item_id, frame.samples))
            if signal is Signal.RESUMED:
                self.utterance.sounds_finished = self.utterance.speculated = False
                self._out.ask(Resumed(self.utterance.item_id))
        return signal

    @property
    def _onset_ms(self) -> int:
        own = self._detection.onset_ms if self._detection is not None else None
        return self._limits.onset_ms if own is None else own

    def _silence_needed_ms(self) -> int:
        assert self._detection is not None
        if self.utterance is not None and self.utterance.ends_after_ms is not None:
            return self.utterance.ends_after_ms
        if self._detection.semantic and self.utterance is not None and self.utterance.sounds_finished:
            return self._detection.short_silence_ms
        return self._detection.long_silence_ms

    def _hear_manually(self, frame: AudioFrame) -> None:
        if self.utterance is None:
            self.utterance = Utterance(self._new_id("item"), self.clock - frame.samples.size, manual=True)
            self.show()
        held = self.clock - self.utterance.start - self._dropped
        if held > ms_to_samples(self._limits.max_buffered_ms):
            if self._dropped % ms_to_samples(1_000) < frame.samples.size:
                self._out.send(
                    Dropped("audio", 1, "the audio buffer is full: commit it or clear it; new audio is lost")
                )
            self._dropped += frame.samples.size
            return
        self._out.ask(Hear(self.utterance.item_id, frame.samples))

    def begin(self, *, tentative: bool = False) -> str:
        """An onset was signalled: open the utterance, with the audio before it that belongs to it.

        What the camera sees comes before the speech, for it can be perceived before the speech has ended.

        Args:
            tentative: Do not tell the client yet.

        Returns:
            The id of its item.
        """
        assert self._detection is not None
        padding = ms_to_samples(self._detection.prefix_padding_ms)
        start = max(self._detector.speech_started - padding, self._previous_end, self._buffer.start)
        self.utterance = Utterance(self._new_id("item"), start, manual=False, tentative=True)
        if not tentative:
            self.announce()
        return self.utterance.item_id

    def announce(self) -> None:
        """Tell the client that somebody speaks, and the engine what they have said so far."""
        utterance = self.utterance
        assert utterance is not None and utterance.tentative
        utterance.tentative = False
        utterance.ends_after_ms = None
        self._out.send(SpeechStarted(utterance.item_id, int(samples_to_ms(utterance.start))))
        self.show()
        self._out.ask(Hear(utterance.item_id, self._buffer.slice(utterance.start, self.clock)))

    def overhear(self, first_samples: int | None = None) -> None:
        """Ask what was said so far in a tentative utterance.

        Args:
            first_samples: Ask about no more of it than these; None: about all.
        """
        assert self.utterance is not None
        start = self.utterance.start
        end = self.clock if first_samples is None else min(self.clock, start + first_samples)
        self._out.ask(Overhear(self.utterance.item_id, self._buffer.slice(start, end)))

    def end_after(self, silence_ms: int) -> None:
        """Let a tentative utterance end after another silence than usual."""
        assert self.utterance is not None
        self.utterance.ends_after_ms = silence_ms

    def lull(self) -> None:
        """The user has fallen silent."""
        assert self.utterance is not None
        self._out.ask(Lull(self.utterance.item_id))

    @property
    def spoken(self) -> int:
        """Samples of speech in the utterance so far."""
        return self._detector.spoken

    @property
    def in_silence(self) -> bool:
        """Whether the user has paused."""
        return self._detector.in_pause

    def ask_endpoint(self) -> None:
        """Ask the end-of-turn model whether this pause is the end."""
        assert self.utterance is not None
        silence_started = self._detector.silence_started
        start = max(self.utterance.start, self.clock - ms_to_samples(ESTIMATE_MS))
        samples = self._buffer.slice(start, self.clock)
        self._out.ask(EstimateEndpoint(self.utterance.item_id, silence_started, samples))

    def judge(self, estimate: EndpointEstimate) -> bool:
        """Take the end-of-turn model's answer.

        Returns:
            Whether it concerns the silence that the utterance is still in, and means "finished".
        """
        utterance, detection = self.utterance, self._detection
        if utterance is None or utterance.item_id != estimate.item_id or not self._detector.in_utterance:
            return False
        if detection is None or self._detector.silence_started != estimate.silence_started_sample:
            return False
        utterance.sounds_finished = estimate.probability >= detection.endpoint_threshold
        return utterance.sounds_finished

    @property
    def silence_is_enough(self) -> bool:
        """Whether the utterance has already been followed by all the silence that its end takes."""
        if self.utterance is None or self.utterance.manual:
            return False
        silence = self.clock - self._detector.silence_started
        return silence >= ms_to_samples(self._silence_needed_ms())

    @property
    def may_speculate(self) -> bool:
        """Whether the turn is likely enough to be over for thinking to start, once in each silence.

        It is when it sounds finished; and, for it often is in spite of how it sounds, when the silence is as
        long as would be enough if it did.
        """
        utterance, detection = self.utterance, self._detection
        if utterance is None or utterance.manual or utterance.speculated or detection is None:
            return False
        silence = self.clock - self._detector.silence_started
        return utterance.sounds_finished or silence >= ms_to_samples(detection.short_silence_ms)

    @property
    def too_long(self) -> bool:
        """Whether the utterance must be committed in pieces."""
        if self.utterance is None or self.utterance.manual:
            return False
        return self.clock - self.utterance.start >= ms_to_samples(self._limits.max_utterance_ms)

    @property
    def held_ms(self) -> float:
        """Length of the utterance so far."""
        if self.utterance is None:
            return 0.0
        return samples_to_ms(self.clock - self.utterance.start - self._dropped)

    def show(self, *, last_moment: bool = False) -> None:
        """Join what the camera sees to the utterance, to be perceived while it is still being spoken."""
        assert self.utterance is not None
        for picture in self._choose_pictures():
            self.utterance.pictures.append(picture)
            self._out.ask(See(self.utterance.item_id, picture, last_moment))

    def finish(self) -> tuple[Utterance, float]:
        """The utterance is over: close it.

        Returns:
            The utterance and its length in milliseconds.
        """
        utterance, held_ms = self.utterance, self.held_ms
        assert utterance is not None
        if not utterance.manual:
            silence_ms = int(samples_to_ms(max(0, self.clock - self._detector.silence_started)))
            self._out.send(SpeechStopped(utterance.item_id, self.clock_ms, silence_ms))
        self._close()
        return utterance, held_ms

    def split(self) -> tuple[Utterance, float]:
        """The utterance is as long as one may be: close it and go on in a new one without a gap."""
        speech_started, silence_started = self.clock, self._detector.silence_started
        finished = self.finish()
        self._detector.begin(speech_started, silence_started)
        self.utterance = Utterance(self._new_id("item"), self.clock, manual=False)
        self._out.send(SpeechStarted(self.utterance.item_id, self.clock_ms))
        return finished

    def drop(self, *, keep_audio: bool = False) -> None:
        """Forget the utterance, if there is one.

        Args:
            keep_audio: What comes next may begin with the end of its audio.
        """
        if self.utterance is not None:
            previous_end = self._previous_end
            if not self.utterance.tentative:
                self._out.ask(Forget(self.utterance.item_id))
            self._close()
            if keep_audio:
                self._previous_end = previous_end

    def _close(self) -> None:
        self.utterance = None
        self._previous_end = self.clock
        self._dropped = 0
        self._detector.reset()

"""The shell around one session: feeds it, and follows its commands.

Independent of sockets: the server, the local session and embedders all drive this.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import structlog

from hearsight.streams.audio.echo import EchoGuard
from hearsight.streams.audio.front_end import AudioFrontEnd
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.camera.eye import CameraSettings, Eye
from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import (
    AddItem,
    Announce,
    AudioChunk,
    AudioDelta,
    AudioFrame,
    CameraFrame,
    CameraPicture,
    ClientEvent,
    Close,
    Command,
    Configure,
    ConfigureSession,
    ConfirmResponse,
    ContentDone,
    CreateResponse,
    Foresee,
    Forget,
    Hear,
    ImageContent,
    Input,
    InsertItem,
    Item,
    KeepHeard,
    Lull,
    Output,
    OutputCleared,
    Picture,
    RemoveItem,
    Resumed,
    See,
    SessionConfig,
    SpeechStarted,
    Tick,
    TranscriptionCompleted,
)
from hearsight.streams.ids import SeededIds
from hearsight.streams.keeping import CHANGING, Keeping
from hearsight.streams.kept_media import KeptMedia, Kind, pictures_in, speech_in
from hearsight.streams.observing import NewObserver, Observer, Observers, Scope, within
from hearsight.streams.outgoing import Outgoing
from hearsight.streams.overload import Relief
from hearsight.streams.ports import Agent, EndOfTurn, Keeper, Record
from hearsight.streams.session.session import Session
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.state import SessionState
from hearsight.streams.session.turns import HYSTERESIS
from hearsight.streams.transport import Resumption
from hearsight.streams.workers import Workers

MAX_CHUNK_BYTES = 32_000
"""Audio is judged in pieces of at most this size, so that one large chunk does not hold up other sessions."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Perception:
    """The models that turn signals into events; shared by all sessions of a process."""

    vad: SileroModel
    end_of_turn: EndOfTurn | None


NewSession: TypeAlias = Callable[[str, SessionConfig, SessionLimits, FrameStore, float], Session]
"""Makes the session itself: of its id, what it starts with, and the time."""


def new_session(
    session_id: str, config: SessionConfig, limits: SessionLimits, frames: FrameStore, now: float
) -> Session:
    """A session that is not recorded."""
    return Session(config, limits, frames, now, SeededIds())


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """What a session starts with."""

    config: SessionConfig = field(default_factory=SessionConfig)
    limits: SessionLimits = field(default_factory=SessionLimits)
    camera: CameraSettings = field(default_factory=CameraSettings)
    echo_guard: bool = True
    """Do not take the service's own voice, back from a speaker, for the user's."""
    log_transcripts: bool = False
    """Write what both sides said into the log."""
    new_session: NewSession = new_session
    """`Recordings.new_session` makes sessions that are recorded."""
    keeper: Keeper | None = None
    """Where conversations are kept; None keeps none."""
    keep_media: tuple[Kind, ...] = ("pictures",)
    """Media that are kept with them."""
    observers: tuple[NewObserver, ...] = ()
    """Who watches sessions, from their beginning."""


class SessionRuntime:
    """Runs one session.

    Args:
        session_id: Names the session in logs.
        agent: Who answers.
        perception: The shared models.
        options: Configuration and limits.
        clock: Seconds, monotonic.
        resumed: A conversation of an earlier process, to go on with.
    """

    def __init__(
        self,
        session_id: str,
        agent: Agent,
        perception: Perception,
        options: RuntimeOptions,
        clock: Callable[[], float] = time.monotonic,
        *,
        resumed: Resumption | None = None,
    ) -> None:
        self.session_id = session_id
        self.describe_wire: Callable[[], dict[str, Any]] | None = None
        """What to keep of the protocol spoken with the client; whoever speaks it waits for `kept` as well."""
        self._clock = clock
        self._log_transcripts = options.log_transcripts
        self._eye = Eye(options.camera, clock)
        config = options.config if resumed is None else resumed.config
        self._session = options.new_session(session_id, config, options.limits, self._eye.frames, clock())
        self._echo = EchoGuard() if options.echo_guard else None
        self._front_end = AudioFrontEnd(config.input_format, perception.vad)
        media = resumed.record.media if resumed is not None else {}
        pictures = pictures_in(media)
        # Not a frame of the camera, which may be off by now: what it sees is no longer what is to be seen.
        attached = (each for each in reversed(pictures.values()) if not each.captured_ms)
        self._eye.newest = next(attached, None)
        self._media = KeptMedia(options.keep_media if options.keeper else (), media)
        self._scope = Scope(session_id, Observers())
        for new_observer in options.observers:
            self.observe(new_observer(session_id))
        with within(self._scope):
            self._agent = agent.open(session_id, self, _agent_state(resumed, pictures))
        revision = resumed.record.revision if resumed is not None else ""
        self._keeping = (
            Keeping(session_id, options.keeper, self._record, revision, done=self._was_kept)
            if options.keeper
            else None
        )
        self._outgoing = Outgoing()
        self._workers = Workers(
            session_id, self._agent, perception.end_of_turn, self._scope, self._feed, self._outgoing.room
        )
        self._timer: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        if resumed is not None:
            state = SessionState.from_json(resumed.record.session, pictures, resumed.record.results)
            self._session.restore(state, show=resumed.show)
            self._session.receive(Tick(), clock())
        self._pump()

    def observe(self, observer: Observer) -> None:
        """Let somebody watch, from now on."""
        self._scope.observers.add(observer)

    # --- in ----------------------------------------------------------------------------------------------

    async def receive(self, event: ClientEvent) -> None:
        """Take what a client sent; called in order, from one task.

        Raises:
            HearsightError: The media could not be decoded; the session goes on.
        """
        match event:
            case AudioChunk():
                await self._hear(event.data)
            case CameraPicture():
                if (seen := await self._eye.look(event)) is not None:
                    self._feed(seen)
            case ConfigureSession():
                for frame in self._front_end.reconfigure(event.config.input_format):
                    self._feed(frame)
                self._feed(event)
            case AddItem():
                self._feed(replace(event, item=await self._checked(event.item)))
            case CreateResponse() if event.input is not None:
                self._feed(replace(event, input=tuple([await self._checked(item) for item in event.input])))
            case _:
                self._feed(event)

    def relieve(self, relief: Relief) -> None:
        """Do without something from now on, for there is more to do than can be done in time."""
        self._eye.relieve(relief.frames_per_s, relief.picture_px)
        self._agent.limit_history(relief.history)

    def perceive(self, event: Input) -> None:
        """Take an event as `receive` makes it of what a client sends; for whoever has perceived already."""
        if isinstance(event, CameraFrame):
            self._eye.newest = event.picture
        self._feed(event)

    async def _hear(self, data: bytes) -> None:
        for at in range(0, len(data), MAX_CHUNK_BYTES):
            if at:
                await asyncio.sleep(0)  # let other sessions have their turn
            for frame in self._front_end.feed(data[at : at + MAX_CHUNK_BYTES]):
                self._session.receive(self._without_echo(frame), self._clock())
        self._pump()

    def _without_echo(self, frame: AudioFrame) -> AudioFrame:
        """The same audio; where it is the service's own voice, it does not count as speech."""
        if self._echo is None:
            return frame
        self._echo.hear(frame.samples, self._clock())
        detection = self._session.config.turn_detection
        if detection is None or frame.speech_probability < detection.threshold - HYSTERESIS:
            return frame
        return replace(frame, speech_probability=0.0) if self._echo.is_echo else frame

    async def _checked(self, item: Item) -> Item:
        """The same item with its pictures decoded once, so that none that is broken gets further."""
        content = list(item.content)
        for index, part in enumerate(content):
            if isinstance(part, ImageContent):
                content[index] = ImageContent(await self._eye.check(part.picture))
        return item.with_content(*content)

    def _feed(self, event: Input) -> None:
        self._session.receive(event, self._clock())
        self._pump()

    # --- out ---------------------------------------------------------------------------------------------

    async def outputs(self) -> AsyncIterator[Output]:
        """Everything for the client, in order; ends once the session has closed and all was taken."""
        async for output in self._outgoing.take():
            yield output

    @property
    def responding(self) -> bool:
        """Whether an answer is being given; a drain waits for its end."""
        return self._session.responding

    # --- what the agent may ask (ports.Host) -------------------------------------------------------------

    def latest_picture(self) -> Picture | None:
        """The newest picture: of the live camera, or else of an item."""
        return self._eye.newest

    def announce(self, text: str) -> None:
        """Speak up unasked."""
        self._feed(Announce(text))

    def report(self, instructions: str) -> None:
        """Answer unasked, by these instructions."""
        self._feed(Announce(instructions, by_instructions=True))

    async def kept(self) -> None:
        """Wait until the conversation as it stands now would survive this process.

        Raises:
            NotKept: It would not, for now.
            Superseded: It goes on elsewhere.
        """
        if self._keeping is not None:
            self._keeping.changed()
            await self._keeping.kept()

    async def note(self, call_id: str, result: Mapping[str, Any]) -> None:
        """Keep what a call has returned, ahead of all else."""
        if self._keeping is not None:
            await self._keeping.note(call_id, result)

    async def owned(self) -> bool:
        """Whether no other process has taken the conversation up."""
        return self._keeping is None or await self._keeping.owned()

    def _was_kept(self, record: Record) -> None:
        self._media.kept(record.media)

    async def _record(self) -> Record | None:
        if self.describe_wire is not None:
            # Else the conversation would be ahead of what is kept of the messages that tell of it.
            await self._outgoing.settled()
        state = self._session.state(self._clock())
        if not state.items:
            return None  # nothing has been said yet
        agent = dict(self._agent.state())
        named = {*agent.get("media", ()), *state.pictures}
        wire = self.describe_wire() if self.describe_wire else {}
        return Record(state.to_json(), agent, wire, self._media.named(named))

    # --- life --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Live until ``close``; then stop every task of the session."""
        try:
            await self._closing.wait()
        finally:
            self._shut()
            await self._workers.aclose()
            if self._keeping is not None:
                self._keeping.changed()
                await self._keeping.aclose()
            await self._agent.aclose()
            self._scope.observers.close()

    async def close(self, reason: str = "") -> None:
        """End the session; idempotent."""
        self._feed(Close(reason))
        self._shut()

    def _shut(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._closing.set()
        self._outgoing.close()

    # --- following the session ---------------------------------------------------------------------------

    def _pump(self) -> None:
        with within(self._scope):  # whoever has caused it: what begins here belongs to the session
            self._pump_on()

    def _pump_on(self) -> None:
        watching = self._scope.observers
        for command in self._session.take_commands():
            watching.follow(command)
            self._follow(command)
        for output in self._session.take_outputs():
            watching.tell(output)
            if self._log_transcripts:
                self._log_what_was_said(output)
            self._outgoing.put(output)
            self._mind_echo(output)
            if self._keeping is not None and self.describe_wire is None and isinstance(output, CHANGING):
                self._keeping.changed()
        self._outgoing.mind_room(self._session.unsent_audio_bytes)
        if not self._session.in_doubt:
            self._workers.stop_overhearing()
        self._set_timer()

    def _mind_echo(self, output: Output) -> None:
        if self._echo is None:
            return
        if isinstance(output, AudioDelta):
            self._echo.play(output.samples, self._clock())
        elif isinstance(output, SpeechStarted | OutputCleared):
            self._echo.stop(self._clock())

    def _follow(self, command: Command) -> None:
        agent = self._agent
        match command:
            case Hear():
                agent.hear(command.item_id, command.samples)
                self._media.hear(command.item_id, command.samples)
            case Lull():
                agent.lull(command.item_id)
            case Resumed():
                agent.resumed(command.item_id)
            case See():
                agent.see(command.item_id, command.picture, last_moment=command.last_moment)
            case Foresee():
                agent.foresee(command.pictures)
            case Forget():
                agent.forget(command.item_id)
                self._media.forget(command.item_id)
            case InsertItem() | RemoveItem() | KeepHeard():
                agent.edit(command)
                if isinstance(command, InsertItem):
                    self._media.insert(command.item)
                if self._keeping is not None:
                    self._keeping.changed()
            case Configure():
                agent.configure(command.config)
            case ConfirmResponse():
                agent.confirm(command.generation)
            case _:
                self._workers.follow(command)

    def _log_what_was_said(self, output: Output) -> None:
        if isinstance(output, TranscriptionCompleted):
            log.info("the user said", session_id=self.session_id, text=output.text)
        elif isinstance(output, ContentDone):
            log.info("the answer was", session_id=self.session_id, text=output.text)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._session.deadline()
        if deadline is not None and not self._closing.is_set():
            loop = asyncio.get_running_loop()
            # Not by a delay, which rounding may make too short by a hair: then it is too early for ever.
            self._timer = loop.call_at(deadline + (loop.time() - self._clock()), self._feed, Tick())


def _agent_state(resumed: Resumption | None, pictures: Mapping[str, Picture]) -> dict[str, Any] | None:
    """What an agent goes on from: its own state, and what was kept beside it."""
    if resumed is None:
        return None
    record = resumed.record
    return {
        **record.agent,
        "pictures": pictures,
        "speech": speech_in(record.media),
        "results": record.results,
    }

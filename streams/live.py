"""A session as the server holds it: runtime, codec, messages, and the socket attached to it now."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from hearsight.streams.errors import HearsightError, NotKept, Superseded
from hearsight.streams.events import ClientEvent, Degraded, Output, ResponseEnded, ResponseStarted
from hearsight.streams.keeping import CHANGING, LASTING
from hearsight.streams.keys import ANYONE, Grant
from hearsight.streams.metrics import Metrics
from hearsight.streams.overload import Relief
from hearsight.streams.replay import EventLog
from hearsight.streams.transport import Codec, Runtime, ServerOptions
from hearsight.streams.turn_clock import TurnClock

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
INVALID_DATA: Final = 1007
POLICY: Final = 1008
INTERNAL_ERROR: Final = 1011
TRY_AGAIN_LATER: Final = 1013

SHARE_OF_LOG: Final = 2
"""A log holds this many times what may wait for a slow client, so that the client can come back for it."""

TAIL_MESSAGES: Final = 64
TAIL_BYTES: Final = 256 * 1024
"""Latest messages that a client may rely on, kept with the conversation for one that missed them."""


class Socket(Protocol):
    """The connection that is attached to a session."""

    def end(self, code: int, reason: str) -> None:
        """Close it, without waiting."""
        ...


class LiveSession:
    """Lives from its first connection until its client says goodbye, stays away too long, or it is ended.

    Args:
        session_id: Its name, and the secret with which a client resumes it.
        protocol: What its client speaks.
        codec: The protocol it is spoken to in.
        runtime: The session itself.
        options: Bounds.
        metrics: Where its events are counted.
        clock: Seconds.
        written: Messages that an earlier process has sent in this session.
        greet: Whether the client has yet to be told which session this is.
        grant: Of the client; only its key leads back to the session.
        opening: What the session takes before anything of its client.
    """

    def __init__(
        self,
        session_id: str,
        protocol: str,
        codec: Codec,
        runtime: Runtime,
        options: ServerOptions,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        *,
        written: int = 0,
        greet: bool = True,
        grant: Grant = ANYONE,
        opening: Sequence[ClientEvent] = (),
    ) -> None:
        self.id: Final = session_id
        self.protocol: Final = protocol
        self.codec: Final = codec
        self.grant: Final = grant
        limits = [each for each in (options.max_session_s, grant.limits.max_session_s) if each]
        self.max_s: Final = min(limits, default=math.inf)
        """How long it may last."""
        self._opening = opening
        self._clock = clock
        self._began_s = clock()
        self.log: Final = EventLog(
            options.replay_events, SHARE_OF_LOG * options.outbound_buffer_bytes, written
        )
        self.verdict: tuple[int, str] | None = None
        """Close code and reason, once the session has ended."""
        self.ended: Final = asyncio.Event()
        self.idle: Final = asyncio.Event()
        """Set while no answer is being given."""
        self.watch: Callable[[Output], None] = lambda output: None
        """Is shown everything that the session puts out."""
        self._runtime = runtime
        self._max_unsent_bytes = options.outbound_buffer_bytes
        self._metrics = metrics
        self._socket: Socket | None = None
        self._receiving = asyncio.Lock()
        self._active: set[str] = set()
        self._logger = structlog.get_logger(__name__).bind(session_id=session_id)
        runtime.describe_wire = self._wire
        runtime.observe(TurnClock(metrics, clock))
        self._tail: deque[tuple[int, str]] = deque()
        self._tail_gone = 0
        """Number of the latest such message that is not kept any more."""
        self._to_keep = asyncio.Event()
        self._failing = False
        """Whether the client was told that its conversation cannot be kept."""
        self._lasting = written
        """Number of the latest message that has to wait until what it tells of is kept."""
        self.idle.set()
        for message in codec.greeting() if greet else ():
            self.log.append(message)

    def _wire(self) -> dict[str, Any]:
        """What another process needs to know to go on with this client."""
        return {
            "protocol": self.protocol,
            "key": self.grant.key,
            "codec": self.codec.state(),
            "written": self.log.last,
            "tail": list(self._tail),
            "tail_gone": self._tail_gone,
        }

    def send_again(self, wire: Mapping[str, Any], seen: int) -> None:
        """Send what an earlier process had to tell for good and its client has not seen.

        Args:
            wire: As the other process left it.
            seen: Number of the last message that the client has seen.
        """
        if wire["tail_gone"] > seen:
            message = "Some events from before the connection was lost are no longer kept."
            self.report(HearsightError(message, code="resume_incomplete"))
        for number, message in wire["tail"]:
            if number > seen:
                message = self.codec.again(message)
                self.log.append(message)
                self._keep_in_tail(message)

    @property
    def overdue(self) -> bool:
        """Whether it has lasted as long as it may."""
        return self._clock() - self._began_s >= self.max_s

    def belongs_to(self, grant: Grant) -> bool:
        """Whether a client may take the session up; one begun without a key is anybody's who knows its id."""
        return self.grant.key in ("", grant.key)

    @property
    def attached(self) -> bool:
        """Whether a socket is attached."""
        return self._socket is not None

    def is_attached(self, socket: Socket) -> bool:
        """Whether this socket is the one."""
        return self._socket is socket

    def attach(self, socket: Socket) -> None:
        """Let a socket speak for the client; one that did before is closed."""
        former, self._socket = self._socket, socket
        if former is not None:
            former.end(POLICY, "Another connection has taken over this session.")

    def detach(self, socket: Socket) -> bool:
        """Take a socket off; False when it was no longer the one attached."""
        if self._socket is not socket:
            return False
        self._socket = None
        return True

    def resume_after(self, position: int) -> None:
        """Send again what a client has missed; tell it where some of that is gone."""
        lost = self.log.rewind(position)
        if lost:
            message = f"{lost:,} events from before the connection was lost are no longer kept."
            self.report(HearsightError(message, code="resume_incomplete"))

    async def receive(self, socket: Socket, message: str | bytes) -> None:
        """Take one message of the client; what is wrong with it is told to the client.

        A message from a socket that has been replaced is dropped: its sender was told so.
        """
        async with self._receiving:
            if self._socket is not socket or self.verdict is not None:
                return
            await self._receive_opening()
            try:
                for event in self.codec.decode(message):
                    await self._runtime.receive(event)
            except HearsightError as error:
                self.report(error, self.codec.client_event_id)

    async def _receive_opening(self) -> None:
        opening, self._opening = self._opening, ()
        for event in opening:
            await self._runtime.receive(event)

    def report(self, error: HearsightError, event_id: str | None = None) -> None:
        """Tell the client of an error."""
        self._metrics.errors.labels(error.code).inc()
        self._send(self.codec.error(error, event_id))

    def end(self, code: int, reason: str) -> None:
        """End the session, without waiting; what waits to be sent is still sent. Idempotent."""
        if self.verdict is None:
            self.verdict = (code, reason)
            self.log.close()
            self.ended.set()

    def fail(self, error: BaseException) -> None:
        """End the session because of a fault of ours."""
        self._logger.error("session failed", exc_info=error)
        self.report(HearsightError("The server has failed; this session cannot go on. Connect again."))
        self.end(INTERNAL_ERROR, "The server has failed.")

    def relieve(self, relief: Relief, notice: Degraded) -> None:
        """Do without something from now on, and tell the client."""
        self._runtime.relieve(relief)
        self._put(notice)

    async def run(self) -> None:
        """Run the runtime until the session has ended; no fault in it goes further than this."""
        try:
            async with self._receiving:
                await self._receive_opening()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._close_when_ended())
                tasks.create_task(self._pump())
                keeping = tasks.create_task(self._keep())
                await self._runtime.run()
                self.end(NORMAL, "The session is over.")
                keeping.cancel()
        except* Exception as errors:
            self.fail(errors)
        finally:
            self.end(GOING_AWAY, "The server is shutting down.")
            await self._runtime.close("ended")

    async def _close_when_ended(self) -> None:
        await self.ended.wait()
        await self._runtime.close(self.verdict[1] if self.verdict else "ended")

    async def _pump(self) -> None:
        async for output in self._runtime.outputs():
            if isinstance(output, ResponseStarted):
                self._active.add(output.response_id)
                self.idle.clear()
            self.watch(output)
            self._put(output)
            if isinstance(output, ResponseEnded):
                self._active.discard(output.response_id)
                if not self._active:
                    self.idle.set()

    def _put(self, output: Output) -> None:
        """Write the messages that tell of an output; they are sent once what they tell of has been kept."""
        if isinstance(output, CHANGING):
            self.log.hold()
            self._to_keep.set()
        for message in self.codec.encode(output):
            self._send(message)
            if isinstance(output, CHANGING):
                self._lasting = self.log.last
            if isinstance(output, LASTING):
                self._keep_in_tail(message)

    def _keep_in_tail(self, message: str) -> None:
        self._tail.append((self.log.last, message))
        while len(self._tail) > TAIL_MESSAGES or (
            len(self._tail) > 1 and sum(len(kept) for _, kept in self._tail) > TAIL_BYTES
        ):
            self._tail_gone, _ = self._tail.popleft()

    async def _keep(self) -> None:
        """Let go of messages as soon as the conversation that they belong to is kept, all at once."""
        while True:
            await self._to_keep.wait()
            self._to_keep.clear()
            upto = self.log.last
            try:
                await self._runtime.kept()
            except Superseded as error:
                self.give_up(error)
                return
            except NotKept as error:
                if not self._failing:
                    self.report(error)
                self._failing = True
            else:
                self._failing = False
            self.log.let_go(upto if upto < self._lasting else None)

    async def owned(self) -> bool:
        """Whether the conversation has not gone on in another process."""
        return await self._runtime.owned()

    def give_up(self, error: Superseded) -> None:
        """End because the conversation goes on elsewhere; what has not been kept is told to nobody."""
        self.log.drop_held()
        self.report(error)
        self.end(POLICY, error.message)

    def _send(self, message: str) -> None:
        self.log.append(message)
        if self._socket is not None and self.log.unsent_bytes > self._max_unsent_bytes:
            kibibytes = self.log.unsent_bytes // 1024
            self._logger.warning("slow reader", unsent_bytes=self.log.unsent_bytes)
            self._socket.end(POLICY, f"Reading too slowly: {kibibytes} KiB wait. Resume to get them.")
            self._socket = None

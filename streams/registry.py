"""All sessions of a server: opened, resumed, waited for, and ended."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from weakref import WeakValueDictionary

import structlog

from hearsight.streams.errors import (
    AccessDenied,
    HearsightError,
    LimitExceeded,
    NotFound,
    StateConflict,
    Superseded,
)
from hearsight.streams.events import ClientEvent
from hearsight.streams.keys import ANYONE, Grant
from hearsight.streams.live import GOING_AWAY, NORMAL, POLICY, TRY_AGAIN_LATER, LiveSession
from hearsight.streams.load_watch import LoadWatch
from hearsight.streams.metrics import Metrics
from hearsight.streams.ports import MOVED, NOT_READABLE, Keeper, Record
from hearsight.streams.quotas import BUSY_CODE, NoRoom, Quotas
from hearsight.streams.transport import Endpoint, Handle, Resumption, RuntimeFactory, ServerOptions

DRAINING: Final = "The server is shutting down."
PATROL_S: Final = 1.0
"""Between two looks at whether sessions may go on: after this long at most, a key that is revoked is void."""

_log = structlog.get_logger(__name__)


def random_session_id() -> str:
    """A new session id; whoever knows it can resume the session, so it cannot be guessed."""
    return f"sess_{secrets.token_hex(16)}"


class Sessions:
    """Hosts every session in a task of its own, so that none can harm another.

    Args:
        new_runtime: Makes a session's runtime.
        options: Bounds and time-outs.
        metrics: Where sessions are counted.
        clock: Seconds.
    """

    def __init__(
        self,
        new_runtime: RuntimeFactory,
        options: ServerOptions,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.why_over: Callable[[Grant], str | None] = lambda grant: None
        """Tells why a client that was let in may stay no longer; None while it may."""
        self.keeper: Keeper | None = None
        """Where conversations are kept that have no session at the moment; None where none are."""
        self.load: Final = LoadWatch(options.overload, metrics, clock)
        self._reviving: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By session id; a store that is slow holds up nobody but whoever waits for that conversation."""
        self._new_runtime = new_runtime
        self._options = options
        self._metrics = metrics
        self._clock = clock
        self._live: dict[str, LiveSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        self._quotas = Quotas(clock, options.retry_after_s)
        self._patrolling: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[LiveSession]:
        return iter(tuple(self._live.values()))

    def no_room(self, grant: Grant = ANYONE) -> NoRoom | None:
        """Why another session of this client may not begin; None when it may."""
        most = self._options.max_sessions
        if len(self) >= most:
            message = f"All {most} sessions are in use; try again later."
            return NoRoom(message, BUSY_CODE, self._options.retry_after_s)
        of_key = sum(session.grant.key == grant.key for session in self._live.values())
        return self._quotas.refusal(grant, of_key)

    def open(self, endpoint: Endpoint, grant: Grant = ANYONE) -> LiveSession:
        """Begin a session.

        Args:
            endpoint: Where its client has connected.
            grant: The client's.

        Raises:
            HearsightError: There are as many as there may be, or it could not be made.
        """
        if (refusal := self.load.refusal()) is not None:
            self.load.refused()
            raise LimitExceeded(refusal[0], code="server_busy", close_code=TRY_AGAIN_LATER)
        session_id = random_session_id()
        session = self._begin(session_id, endpoint, grant)
        self._metrics.sessions_opened.labels(endpoint.protocol).inc()
        _log.info("session opened", session_id=session_id, protocol=endpoint.protocol, key=grant.key or None)
        return session

    def _begin(
        self,
        session_id: str,
        endpoint: Endpoint,
        grant: Grant,
        record: Record | None = None,
        seen: int | None = None,
    ) -> LiveSession:
        """Make a session and run it; with a record, one that goes on where another process has stopped."""
        self._check_room(grant)
        written = 0
        opening: Sequence[ClientEvent] = ()
        try:
            codec = endpoint.new_codec(session_id)
            if record is None:
                if grant.session is not None and endpoint.configuring is not None:
                    opening = codec.decode(endpoint.configuring(grant.session))
                runtime = self._new_runtime(session_id)
            else:
                written = max(record.wire["written"], seen or 0)
                config = codec.restore(record.wire["codec"], written)
                runtime = self._new_runtime(session_id, Resumption(record, config, show=seen is None))
        except HearsightError:
            raise
        except Exception as error:
            _log.error("session did not open", session_id=session_id, exc_info=error)
            if record is not None:
                raise StateConflict(NOT_READABLE, code="session_not_readable", param="session_id") from error
            raise HearsightError("The session could not be opened; try again later.") from error
        session = LiveSession(
            session_id,
            endpoint.protocol,
            codec,
            runtime,
            self._options,
            self._metrics,
            self._clock,
            written=written,
            greet=seen is None,
            grant=grant,
            opening=opening,
        )
        if record is not None and seen is not None:
            session.send_again(record.wire, seen)
        self._live[session_id] = session
        self._tasks[session_id] = asyncio.create_task(self._host(session))
        self._metrics.sessions.inc()
        self.load.attend(session_id, session)
        self._quotas.count(grant)
        self._patrol_later()
        return session

    def _check_room(self, grant: Grant) -> None:
        no_room = self.no_room(grant)
        if no_room is not None:
            raise LimitExceeded(no_room.message, code=no_room.code, close_code=TRY_AGAIN_LATER)

    async def resume(self, endpoint: Endpoint, handle: Handle, grant: Grant = ANYONE) -> LiveSession:
        """Find the session of a client that comes back, and send again what it has missed.

        Where this process has no such session, its conversation may have been kept, and goes on.

        Args:
            endpoint: Where it comes back; it must be where it left.
            handle: The session, and the last event that it has seen; without one, all that are kept are sent
                again.
            grant: The client's; it must be of the key that the session began with.

        Raises:
            HearsightError: There is no such session, or it has sent no such event.
        """
        session_id, last_event_id = handle.session_id, handle.last_event_id
        reviving = self._reviving.setdefault(session_id, asyncio.Lock())
        async with reviving:  # a client that comes back twice at once gets one session
            session = self._live.get(session_id)
            if session is not None and not session.ended.is_set() and not await session.owned():
                session.give_up(Superseded(MOVED))  # its client has been elsewhere, and comes back
            if session is None or session.ended.is_set():
                session = await self._revive(endpoint, handle, grant)
                self._metrics.sessions_resumed.inc()
                _log.info("session resumed", session_id=session_id, from_record=True, key=grant.key or None)
                return session
        if session.protocol != endpoint.protocol or not session.belongs_to(grant):
            raise self._unknown()
        session.resume_after(session.codec.position(last_event_id) if last_event_id is not None else 0)
        self._cancel_expiry(session_id)
        self._metrics.sessions_resumed.inc()
        _log.info("session resumed", session_id=session_id, key=grant.key or None)
        return session

    async def _revive(self, endpoint: Endpoint, handle: Handle, grant: Grant) -> LiveSession:
        ending = self._tasks.get(handle.session_id)
        if ending is not None:
            await asyncio.wait([ending])  # what it has to keep, it keeps first
        found = await self.keeper.find(handle.session_id) if self.keeper is not None else None
        if self.keeper is None or found is None or found.wire.get("protocol") != endpoint.protocol:
            raise self._unknown()
        if found.wire.get("key", "") not in ("", grant.key):
            raise self._unknown()
        seen = None
        if handle.last_event_id is not None:
            seen = endpoint.new_codec(handle.session_id).number(handle.last_event_id)
        self._check_room(grant)
        # Only now that nothing else can be wrong: it is taken from a session that may have it elsewhere.
        record = await self.keeper.take_up(handle.session_id)
        if record is None:
            raise self._unknown()
        return self._begin(handle.session_id, endpoint, grant, record, seen)

    def _unknown(self) -> NotFound:
        wait_s = self._options.session_ttl_s
        ends = f"one ends with its client's goodbye, or {wait_s:g} s after the connection was lost."
        kept = "no conversation of that name is kept."
        return NotFound(
            f"There is no such session any more: {ends if self.keeper is None else kept}",
            code="session_not_found",
            param="session_id",
        )

    def release(self, session: LiveSession) -> None:
        """Take note that a connection has gone; where it was the session's last, wait for the next."""
        if session.attached or session.ended.is_set():
            return
        wait_s = self._options.session_ttl_s
        reason = f"The client did not come back within {wait_s:g} s."
        loop = asyncio.get_running_loop()
        self._cancel_expiry(session.id)
        self._expiries[session.id] = loop.call_later(wait_s, session.end, GOING_AWAY, reason)
        _log.info("session waits for its client", session_id=session.id, wait_s=wait_s)

    async def drain(self, at_once: asyncio.Event) -> None:
        """Let the answers being given end, then the sessions; those that give none end at once.

        Args:
            at_once: Cuts the waiting short, which is at most ``drain_timeout_s``.
        """
        _log.info("draining", sessions=len(self), timeout_s=self._options.drain_timeout_s)
        for session in self:
            session.report(HearsightError(f"{DRAINING} This session ends soon.", code="server_draining"))
        idle = asyncio.create_task(_end_as_they_fall_idle(list(self)))
        hurried = asyncio.create_task(at_once.wait())
        await asyncio.wait(
            (idle, hurried), timeout=self._options.drain_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        idle.cancel()
        hurried.cancel()
        await asyncio.wait((idle, hurried))

    async def end_all(self) -> None:
        """End every session, and wait until nothing of them is left; one that hangs is cancelled."""
        for session in self:
            session.end(GOING_AWAY, DRAINING)
        await self.load.aclose()
        tasks = list(self._tasks.values())
        if not tasks:
            return
        patience_s = self._options.close_timeout_s
        _, hanging = await asyncio.wait(tasks, timeout=patience_s)
        while hanging:  # a second cancellation also ends a close that hangs in its turn
            _log.error("sessions hang", sessions=len(hanging), closing_for_s=patience_s)
            for task in hanging:
                task.cancel()
            _, hanging = await asyncio.wait(hanging, timeout=patience_s)

    def patrol(self) -> None:
        """End the sessions that have lasted long enough, and those whose key opens nothing any more."""
        for session in self:
            if session.ended.is_set():
                continue
            why_over = self.why_over(session.grant)
            if why_over is not None:
                session.report(AccessDenied(why_over))
                session.end(POLICY, why_over)
                _log.info("key no longer valid", session_id=session.id, key=session.grant.key)
            elif session.overdue:
                message = f"This session has lasted {session.max_s:g} s, which is as long as it may."
                session.report(LimitExceeded(f"{message} Connect again.", code="session_expired"))
                session.end(POLICY, message)

    def _patrol_later(self) -> None:
        """A round every `PATROL_S`, for as long as there are sessions."""
        if self._patrolling is None:
            self._patrolling = asyncio.get_running_loop().call_later(PATROL_S, self._go_on_patrol)

    def _go_on_patrol(self) -> None:
        self._patrolling = None
        if self._live:
            self._patrol_later()
            self.patrol()

    async def _host(self, session: LiveSession) -> None:
        """Run a session to its end, and forget it."""
        try:
            await session.run()
        finally:
            del self._live[session.id], self._tasks[session.id]
            self._cancel_expiry(session.id)
            self.load.leave(session.id)
            self._metrics.sessions.dec()
            code, reason = session.verdict or (NORMAL, "")
            _log.info(
                "session ended",
                session_id=session.id,
                code=code,
                reason=reason,
                key=session.grant.key or None,
            )

    def _cancel_expiry(self, session_id: str) -> None:
        expiry = self._expiries.pop(session_id, None)
        if expiry is not None:
            expiry.cancel()


async def _end_as_they_fall_idle(sessions: Iterable[LiveSession]) -> None:
    async def end_when_idle(session: LiveSession) -> None:
        await session.idle.wait()
        session.end(GOING_AWAY, DRAINING)

    async with asyncio.TaskGroup() as tasks:
        for session in sessions:
            tasks.create_task(end_when_idle(session))

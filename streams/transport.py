"""What the server needs of a protocol and of a session, and what can be set about it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from hearsight.streams.errors import HearsightError
from hearsight.streams.events import ClientEvent, Output, SessionConfig
from hearsight.streams.observing import Observer
from hearsight.streams.overload import OverloadOptions, Relief
from hearsight.streams.ports import Record

MIB: Final = 1024 * 1024


class Codec(Protocol):
    """One protocol, for one session; no socket. Every message written is counted, from 1."""

    client_event_id: str | None
    """What the client called its latest message, None where it gave no name."""

    @property
    def outlives_goodbye(self) -> bool:
        """Whether the client was promised that it can come back even after it has closed with code 1000."""
        ...

    def greeting(self) -> list[str]:
        """What the server says first, if anything."""
        ...

    def decode(self, message: str | bytes) -> list[ClientEvent]:
        """Read one message.

        Raises:
            HearsightError: It cannot be understood; nothing has changed.
        """
        ...

    def encode(self, output: Output) -> list[str]:
        """Write the messages that tell of one output."""
        ...

    def error(self, error: HearsightError, event_id: str | None = None) -> str:
        """Write an error; ``event_id`` names the client's event that caused it."""
        ...

    def reconnect(self) -> list[str]:
        """What the server says first to a client that comes back, before what it has missed; not counted."""
        ...

    def position(self, event_id: str) -> int:
        """Number of the message that a client names as the last it has seen.

        Raises:
            InvalidEvent: It names none.
        """
        ...

    def again(self, message: str) -> str:
        """Write a message of an earlier process once more, under the next number."""
        ...

    def number(self, event_id: str) -> int:
        """The number that a client's name for a message holds, even if another process has written it.

        Raises:
            InvalidEvent: It holds none.
        """
        ...

    def state(self) -> dict[str, Any]:
        """What another process needs to go on with this client, as JSON."""
        ...

    def restore(self, state: dict[str, Any], written: int) -> SessionConfig:
        """Go on where another process has stopped; returns the client's configuration.

        Args:
            state: As ``state`` gave it.
            written: Messages that the client may have seen; the next one gets the number after it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Resumption:
    """A conversation of an earlier process that a client comes back to."""

    record: Record
    config: SessionConfig
    show: bool = True
    """Tell the client of the conversation's items: it does not know them."""


class Runtime(Protocol):
    """A session and its workers; it outlives the sockets that are attached to it one after another."""

    describe_wire: Callable[[], dict[str, Any]] | None
    """What to keep of the protocol spoken; whoever speaks it sets this, and waits for `kept`."""

    def observe(self, observer: Observer) -> None:
        """Let somebody watch what happens from now on."""
        ...

    async def kept(self) -> None:
        """Wait until the conversation as it stands would survive this process, where any is kept.

        Raises:
            NotKept: It would not, for now.
            Superseded: It goes on elsewhere.
        """
        ...

    async def owned(self) -> bool:
        """Whether no other process has taken the conversation up."""
        ...

    def outputs(self) -> AsyncIterator[Output]:
        """What to tell the client, in order; ends after ``close``."""
        ...

    async def receive(self, event: ClientEvent) -> None:
        """Take one event of the client.

        Raises:
            HearsightError: The event cannot be followed; the session goes on.
        """
        ...

    def relieve(self, relief: Relief) -> None:
        """Do without something from now on, for there is more to do than can be done in time."""
        ...

    async def run(self) -> None:
        """Own the workers; returns after ``close``."""
        ...

    async def close(self, reason: str) -> None:
        """Stop; idempotent."""
        ...


class RuntimeFactory(Protocol):
    """Makes the runtimes of sessions."""

    def __call__(self, session_id: str, resumed: Resumption | None = None) -> Runtime:
        """The runtime of a session, new or of an earlier process."""
        ...


@dataclass(frozen=True, slots=True)
class Handle:
    """A client that comes back names its session, and the last message of it that it has seen."""

    session_id: str
    last_event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A WebSocket path and the protocol spoken there."""

    protocol: str
    """Its name in metrics and logs."""
    new_codec: Callable[[str], Codec]
    """Makes the codec of a session, given its id."""
    subprotocols: tuple[str, ...] = ()
    """WebSocket subprotocols that are accepted when a client offers them."""
    key_in_query: bool = False
    """Accept the API key as ``?key=``, where existing clients insist on it."""
    configuring: Callable[[Mapping[str, Any]], str] | None = None
    """The client's message that configures a session as its client secret says; None where none can."""
    read_opening: Callable[[str | bytes], Handle | None] | None = None
    """Where the client speaks first: checks its first message, and returns the handle in it of the session
    that it wants to go on with. Raises a ``HearsightError`` for a message with which no session can begin."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What can be set about the server."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0 takes any free one."""
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    """Any of them opens a session; without any, and without some in `keys_file`, every client may."""
    keys_file: Path | None = None
    """Where keys are that can be revoked while the server runs; see `hearsight.streams.key_file`."""
    keyless: bool = False
    """Every client may open a session, whether there are keys or not."""
    client_secret_key: str | None = field(default=None, repr=False)
    """Signs client secrets; servers that are to accept each other's share it. None: one of its own."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of pages from elsewhere that may connect; ``*`` allows all."""
    max_sessions: int = 64
    max_session_s: float = 86_400.0
    """For which a session may last, in seconds; 0: for ever."""
    max_connections: int | None = None
    """At one time, those without a session included; None: four times ``max_sessions``, and at least 256."""
    max_connections_per_address: int = 128
    """Likewise from one address; this machine's own are not counted, for they may be a proxy's."""
    handshake_timeout_s: float = 10.0
    """Within which a client has to say all of its request."""
    max_message_bytes: int = 16 * MIB
    outbound_buffer_bytes: int = 16 * MIB
    """What may wait for a client that reads too slowly."""
    events_per_s: float = 500.0
    """Of one client, over ten seconds; audio that was recorded earlier may come in one burst."""
    ping_interval_s: float | None = 20.0
    ping_timeout_s: float | None = 20.0
    idle_timeout_s: float = 600.0
    drain_timeout_s: float = 10.0
    session_ttl_s: float = 60.0
    """For which a session waits for a client that lost its connection."""
    replay_events: int = 512
    """Latest events kept to be sent again."""
    close_timeout_s: float = 5.0
    """For which a client may take to say goodbye."""
    retry_after_s: int = 5
    """What a refused client is told to wait, where it is not for overload."""
    overload: OverloadOptions = OverloadOptions()
    """What is too much to do in time, and what is given up then."""
    tls: ssl.SSLContext | None = None

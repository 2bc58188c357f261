"""The Gemini Live protocol for one session: messages in, messages out, no socket."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from hearsight.streams.errors import HearsightError, InvalidEvent
from hearsight.streams.events import (
    ClientEvent,
    ConfigureSession,
    ItemDone,
    Output,
    Refused,
    SessionConfig,
    SessionConfigured,
)
from hearsight.streams.gemini_live.calls import Calls
from hearsight.streams.gemini_live.client_messages import COMMITS, ClientMessages
from hearsight.streams.gemini_live.errors import WARNINGS, error_message, warning_message
from hearsight.streams.gemini_live.parsing import read_message
from hearsight.streams.gemini_live.server_messages import MessageEncoder, ServerMessage, server_content
from hearsight.streams.gemini_live.setup import LiveSetup, change_context, read_setup
from hearsight.streams.transport import Handle

_KINDS: Final = ("setup", "clientContent", "realtimeInput", "toolResponse", "contextUpdate")
_DRAINING: Final = "server_draining"


def random_id(prefix: str) -> str:
    """A new id, such as ``item_6f0c…``."""
    return f"{prefix}_{secrets.token_hex(10)}"


def read_opening(message: str | bytes, defaults: SessionConfig) -> Handle | None:
    """Check a client's first message, and return the handle in it of the session that it goes on with.

    Raises:
        InvalidEvent: It is no setup with which a session can begin.
    """
    with _not_too_deep():
        kind, content = _one_of(read_message(message))
        if kind != "setup":
            raise InvalidEvent(f"The first message must be a setup, not {kind}.", param=kind)
        return read_setup(content, defaults).handle


class GeminiLiveCodec:
    """Reads a client's messages and writes the session's.

    Args:
        session_id: With it, and the number of the last message seen, a client comes back.
        defaults: The session before the client has set anything.
        drain_timeout_s: What a client is told to have left when the server shuts down.
        new_id: Makes ids for items, given their prefix.
        clock: Seconds.
    """

    def __init__(
        self,
        session_id: str,
        defaults: SessionConfig,
        drain_timeout_s: float = 0.0,
        new_id: Callable[[str], str] = random_id,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client_event_id: str | None = None
        """Always None: messages have no names in this protocol."""
        self._session_id = session_id
        self._defaults = defaults
        self._drain_timeout_s = drain_timeout_s
        self._calls = Calls()
        self._client = ClientMessages(self._calls, new_id)
        self._encoder = MessageEncoder(self._calls, clock)
        self._setup: LiveSetup | None = None
        self._awaits_setup = True
        self._owes_welcome = True
        self._written = 0

    @property
    def outlives_goodbye(self) -> bool:
        """Whether the client has asked for handles: then it may leave and come back."""
        return self._setup is not None and self._setup.resumable

    def greeting(self) -> list[str]:
        """Nothing: the client speaks first."""
        return []

    def reconnect(self) -> list[str]:
        """The answer to the setup of a client that comes back."""
        self._awaits_setup, self._owes_welcome = True, False
        return [_dump(self._welcome(None))]

    def decode(self, message: str | bytes) -> list[ClientEvent]:
        """Read one message. A message that is refused changes nothing.

        Raises:
            HearsightError: Saying what is wrong with it and in which field.
        """
        with _not_too_deep():
            kind, content = _one_of(read_message(message))
            if kind == "setup":
                return self._set_up(content)
            if self._setup is None or self._awaits_setup:
                raise InvalidEvent(f"The first message must be a setup, not {kind}.", param=kind)
            if kind == "contextUpdate":
                return self._reconfigure(change_context(self._setup, content))
            return self._client.read(kind, content, self._setup)

    def encode(self, output: Output) -> list[str]:
        """Write the messages that tell of one output of the session."""
        if isinstance(output, SessionConfigured):
            if not self._owes_welcome:
                return []
            self._owes_welcome = False
            return self._write([self._welcome(self._setup)], resumable=True)
        if isinstance(output, Refused) and output.event_id in COMMITS:
            return self._write(self._nothing_to_commit(output))
        if isinstance(output, ItemDone) and self._client.awaits_more_after(output.item.id):
            return self._write([server_content(waitingForInput=True)])
        messages = self._encoder.encode(output)
        resumable = any(_ends_or_calls(message) for message in messages)
        return self._write(messages, resumable=resumable)

    def error(self, error: HearsightError, event_id: str | None = None) -> str:
        """Write an error."""
        if error.code == _DRAINING:
            message: ServerMessage = {"goAway": {"timeLeft": f"{self._drain_timeout_s:g}s"}}
        elif error.code in WARNINGS:
            message = warning_message(error.code, error.message)
        else:
            message = error_message(error.kind, error.code, error.message, error.param)
        return self._write([message])[0]

    def position(self, event_id: str) -> int:
        """The number of a message, as it stands in a handle.

        Raises:
            InvalidEvent: This session has not sent so many.
        """
        number = self.number(event_id)
        if number > self._written:
            raise InvalidEvent("It is no handle of this session.", param="setup.sessionResumption.handle")
        return number

    @staticmethod
    def number(event_id: str) -> int:
        """The number of a message, as it stands in a handle, whoever has sent it.

        Raises:
            InvalidEvent: It is no number.
        """
        if not (event_id.isascii() and event_id.isdigit()) or len(event_id) > 18:
            raise InvalidEvent("It is no handle of this server.", param="setup.sessionResumption.handle")
        return int(event_id)

    def again(self, message: str) -> str:
        """Write a message of an earlier process once more; a handle in it gets the number of now."""
        self._written += 1
        return self._resumption() if "sessionResumptionUpdate" in json.loads(message) else message

    def state(self) -> dict[str, Any]:
        """What another process needs to go on with this client, as JSON: it brings its setup itself."""
        return {"calls": self._calls.state()}

    def restore(self, state: dict[str, Any], written: int) -> SessionConfig:
        """Go on where another process has stopped; returns the configuration until the client's setup comes.

        Args:
            state: As ``state`` gave it.
            written: Messages that the client may have seen.
        """
        self._calls.restore(state["calls"])
        self._written = written
        return self._defaults

    def _set_up(self, content: object) -> list[ClientEvent]:
        if not self._awaits_setup:
            raise InvalidEvent("A session is set up once, by its first message.", param="setup")
        setup = read_setup(content, self._defaults)
        self._awaits_setup = False
        return self._reconfigure(setup)

    def _reconfigure(self, setup: LiveSetup) -> list[ClientEvent]:
        if self._setup is not None:
            # The microphone has not changed its rate because the client wants something else.
            config = replace(setup.config, input_format=self._client.input_format)
            setup = replace(setup, config=config)
        self._setup = setup
        self._client.configure(setup)
        self._encoder.configure(setup)
        return [ConfigureSession(setup.config)]

    def _welcome(self, setup: LiveSetup | None) -> ServerMessage:
        message: ServerMessage = {"setupComplete": {"sessionId": self._session_id}}
        if setup is not None and setup.without_effect:
            fields = ", ".join(setup.without_effect)
            message["warning"] = {"reason": "without_effect", "message": f"Without effect here: {fields}."}
        return message

    def _nothing_to_commit(self, refused: Refused) -> list[ServerMessage]:
        """The client has ended an activity in which it said nothing, or a stream in a silence."""
        return [server_content(waitingForInput=True)] if COMMITS[refused.event_id or ""] else []

    def _write(self, messages: list[ServerMessage], *, resumable: bool = False) -> list[str]:
        written = [_dump(message) for message in messages]
        self._written += len(written)
        if resumable and self.outlives_goodbye:
            self._written += 1
            written.append(self._resumption())
        return written

    def _resumption(self) -> str:
        handle = f"{self._session_id}.{self._written}"
        return _dump({"sessionResumptionUpdate": {"newHandle": handle, "resumable": True}})


@contextmanager
def _not_too_deep() -> Iterator[None]:
    """Refuse what is nested deeper than it can be followed."""
    try:
        yield
    except RecursionError:
        raise InvalidEvent("The message is nested too deeply.", code="invalid_json") from None


def _one_of(event: dict[str, Any]) -> tuple[str, object]:
    """The kind of a message and its content.

    Raises:
        InvalidEvent: It is of none, of several, or of an unknown one.
    """
    known = ", ".join(_KINDS)
    for name in event:
        if name not in _KINDS:
            shown = name if len(name) <= 64 else f"{name[:64]}…"
            raise InvalidEvent(
                f"There is no message of the kind {shown!r}; there are {known}.",
                code="unknown_parameter",
                param=shown,
            )
    if len(event) != 1:
        raise InvalidEvent(f"A message must hold one of {known}.", code="missing_required_parameter")
    return next(iter(event.items()))


def _ends_or_calls(message: ServerMessage) -> bool:
    content = message.get("serverContent", {})
    return "toolCall" in message or "turnComplete" in content


def _dump(message: ServerMessage) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))

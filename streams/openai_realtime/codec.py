"""The OpenAI Realtime protocol (GA) for one session: messages in, messages out, no socket."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from hearsight.streams.errors import HearsightError, InvalidEvent
from hearsight.streams.events import (
    AudioChunk,
    ClientEvent,
    ConfigureSession,
    Output,
    SessionConfig,
    SessionConfigured,
    WakeChanged,
)
from hearsight.streams.openai_realtime.client_events import translate
from hearsight.streams.openai_realtime.event_models import (
    AUDIO_APPEND,
    EVENTS,
    EXTENSIONS,
    WAKE_EXTENSIONS,
    SessionUpdate,
)
from hearsight.streams.openai_realtime.parsing import read_base64, read_id, read_object, validate
from hearsight.streams.openai_realtime.server_events import EventEncoder, ServerEvent, error_event
from hearsight.streams.openai_realtime.session import open_session, show_session, to_config, update_session
from hearsight.streams.openai_realtime.session_models import WireSession
from hearsight.streams.session.settings import WakeRules

_APPEND_FIELDS: Final = frozenset({"type", "audio", "event_id"})
_MAX_UPDATES: Final = 64
"""Session updates that may be on their way through the session at one time."""


def random_id(prefix: str) -> str:
    """A new id, such as ``item_6f0c…``."""
    return f"{prefix}_{secrets.token_hex(10)}"


class OpenAIRealtimeCodec:
    """Reads a client's messages and writes the session's.

    Every message written carries the next ``event_id``: ``event_1``, ``event_2``, … so that a client that
    comes back can name the last one it has seen.

    Args:
        session_id: Shown to the client; with it a client that lost its connection resumes.
        model: Name of the model that serves.
        defaults: The session before the client has set anything.
        new_id: Makes ids for items that the client leaves unnamed, given their prefix.
        wake: When the session listens, None where it always does; shown to the client.
    """

    def __init__(
        self,
        session_id: str,
        model: str,
        defaults: SessionConfig,
        new_id: Callable[[str], str] = random_id,
        *,
        wake: WakeRules | None = None,
    ) -> None:
        self._session_id = session_id
        self._defaults = defaults
        self._new_id = new_id
        self._session = open_session(model, defaults)
        self._config = defaults
        self._updates: deque[tuple[SessionConfig, WireSession]] = deque(maxlen=_MAX_UPDATES)
        self._encoder = EventEncoder(f"conv_{session_id.removeprefix('sess_')}", defaults)
        self._wake = wake
        self._asleep = wake is not None
        self._written = 0
        self.client_event_id: str | None = None
        """The ``event_id`` of the client's latest message, None where it had none."""
        self.outlives_goodbye: Final = False

    def greeting(self) -> list[str]:
        """What the server says first: the whole effective session."""
        return [self._write("session.created", {"session": self._show(self._session)})]

    def decode(self, message: str | bytes) -> list[ClientEvent]:
        """Read one message. A message that is refused changes nothing.

        Raises:
            HearsightError: Saying what is wrong with it and in which field.
        """
        self.client_event_id = None
        event = read_object(message)
        self.client_event_id = read_id(event)
        kind = event.get("type")
        if kind == AUDIO_APPEND and event.keys() <= _APPEND_FIELDS:
            # Fifty of these arrive a second, so they skip the models; an odd one is sent there for its error.
            return [AudioChunk(read_base64(event.get("audio"), "audio"))]
        if not isinstance(kind, str) or kind not in EVENTS:
            raise _unknown(kind)
        checked = validate(EVENTS[kind], event)
        if isinstance(checked, SessionUpdate):
            return [self._update(checked)]
        return [translate(checked, self._config, self._new_id)]

    def encode(self, output: Output) -> list[str]:
        """Write the messages that tell of one output of the session."""
        if isinstance(output, WakeChanged):
            self._asleep = not output.awake
        if isinstance(output, SessionConfigured):
            session = self._configured(output.config)
            return [self._write("session.updated", {"session": self._show(session)})]
        return [self._write(*event) for event in self._encoder.encode(output)]

    def error(self, error: HearsightError, event_id: str | None = None) -> str:
        """Write an error; ``event_id`` names the client's event that caused it."""
        return self._write(*error_event(error.kind, error.code, error.message, error.param, event_id))

    def reconnect(self) -> list[str]:
        """Nothing: the client has seen the session already, and goes on."""
        return []

    def position(self, event_id: str) -> int:
        """How many messages had been written up to and including ``event_id``.

        Raises:
            InvalidEvent: It is no ``event_id`` that this session has sent.
        """
        number = self.number(event_id)
        if number > self._written:
            raise InvalidEvent("This session has not sent such an event yet.", param="last_event_id")
        return number

    def again(self, message: str) -> str:
        """Write a message of an earlier process once more, under the next number."""
        event = json.loads(message)
        return self._write(
            event.pop("type"), {key: value for key, value in event.items() if key != "event_id"}
        )

    @staticmethod
    def number(event_id: str) -> int:
        """The number in an ``event_id``, whoever has sent it.

        Raises:
            InvalidEvent: There is none.
        """
        number = event_id.removeprefix("event_")
        if number == event_id or not (number.isascii() and number.isdigit()) or len(number) > 18:
            raise InvalidEvent("It is no `event_id` of this server.", param="last_event_id")
        return int(number)

    def state(self) -> dict[str, Any]:
        """What another process needs to go on with this client, as JSON."""
        return {"session": self._session.model_dump(mode="json")}

    def restore(self, state: dict[str, Any], written: int) -> SessionConfig:
        """Go on where another process has stopped; returns the client's configuration.

        Args:
            state: As ``state`` gave it.
            written: Messages that the client may have seen; the next one gets the number after it.
        """
        self._session = WireSession.model_validate(state["session"])
        self._config = to_config(self._session, self._defaults)
        self._encoder.configure(self._config)
        self._written = written
        return self._config

    def _update(self, event: SessionUpdate) -> ConfigureSession:
        session = update_session(self._session, event.session)
        config = to_config(session, self._defaults)
        self._session, self._config = session, config
        self._updates.append((config, session))
        return ConfigureSession(config)

    def _configured(self, config: SessionConfig) -> WireSession:
        """The wire's session that belongs to a configuration which has just come into force."""
        self._encoder.configure(config)
        while self._updates:
            requested, session = self._updates.popleft()
            if requested == config:
                return session
        return self._session

    def _show(self, session: WireSession) -> dict[str, Any]:
        shown = {**show_session(session, self._session_id), "extensions": EXTENSIONS}
        if self._wake is not None:
            shown["extensions"] = (*EXTENSIONS, *WAKE_EXTENSIONS)
            shown["wake"] = {
                "asleep": self._asleep,
                "phrases": self._wake.phrases,
                "sleep_phrases": self._wake.sleep_phrases,
                "sleep_after_s": self._wake.sleep_after_s,
            }
        return shown

    def _write(self, kind: str, fields: dict[str, Any]) -> str:
        self._written += 1
        event = {"type": kind, "event_id": f"event_{self._written}", **fields}
        return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _unknown(kind: object) -> InvalidEvent:
    if kind is None:
        return InvalidEvent("The field 'type' is missing.", code="missing_required_parameter", param="type")
    known = ", ".join(sorted((AUDIO_APPEND, *EVENTS)))
    if not isinstance(kind, str):
        return InvalidEvent(f"The field 'type' must be one of: {known}.", code="invalid_type", param="type")
    shown = kind if len(kind) <= 64 else f"{kind[:64]}…"
    return InvalidEvent(f"There is no event of type '{shown}'; there are: {known}.", param="type")


__all__ = ["OpenAIRealtimeCodec", "ServerEvent", "random_id"]

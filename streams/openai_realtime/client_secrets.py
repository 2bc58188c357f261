"""``POST /v1/realtime/client_secrets``: a short-lived secret for a program that must not know the key."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import Field, JsonValue
from websockets.http11 import Response

from hearsight.streams.access import Access
from hearsight.streams.client_secrets import MAX_LIFE_S, MIN_LIFE_S, USUAL_LIFE_S
from hearsight.streams.events import SessionConfig
from hearsight.streams.http import JSON, respond
from hearsight.streams.keys import Grant
from hearsight.streams.openai_realtime.parsing import Wire, read_object, validate
from hearsight.streams.openai_realtime.session import open_session, show_session, to_config, update_session

CLIENT_SECRETS_PATH: Final = "/v1/realtime/client_secrets"


class ExpiresAfter(Wire):
    """When the secret expires."""

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(USUAL_LIFE_S, ge=MIN_LIFE_S, le=MAX_LIFE_S)


class SecretRequest(Wire):
    """What may be asked for."""

    expires_after: ExpiresAfter = Field(default_factory=ExpiresAfter)
    session: dict[str, JsonValue] = Field(default_factory=dict)


class SecretsDesk:
    """Answers the request.

    Args:
        model: Name of the model that serves.
        defaults: A session before its client has set anything.
    """

    def __init__(self, model: str, defaults: SessionConfig) -> None:
        self._model = model
        self._defaults = defaults

    def answer(self, body: bytes, grant: Grant, access: Access) -> Response:
        """Make a secret.

        Args:
            body: As the protocol has it; empty for a secret as usual.
            grant: Of who asks.
            access: Makes it.

        Raises:
            HearsightError: The body cannot be followed, or who asks may not have one.
        """
        asked = validate(SecretRequest, read_object(body) if body.strip() else {})
        session = update_session(open_session(self._model, self._defaults), asked.session)
        to_config(session, self._defaults)  # finds what only a session could not follow
        value, expires_at = access.make_secret(grant, asked.expires_after.seconds, asked.session or None)
        # No session has begun; the protocol wants an id all the same.
        shown = show_session(session, f"sess_{secrets.token_hex(16)}")
        answer = {"value": value, "expires_at": expires_at, "session": shown}
        return respond(HTTPStatus.OK, json.dumps(answer), JSON)


def configuring(session: Mapping[str, Any]) -> str:
    """The message with which a client would configure its session so."""
    return json.dumps({"type": "session.update", "session": {"type": "realtime", **session}})

"""What a server takes of a request: found out by asking, and remembered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import openai
import structlog

OPTIONAL = ("stream_options", "seed", "top_k", "top_p", "temperature", "tool_choice", "max_tokens")
"""What a server may not know; it is left out from then on. The longest answer goes by another name then."""
_UNKNOWN = re.compile(
    r"un(supported|expected|known|recogni[sz]ed)|not (supported|permitted|allowed|accepted|known|valid for)"
    r"|extra (inputs|fields)|additional propert|use '?\w+'? instead",
    re.IGNORECASE,
)

_log = structlog.get_logger(__name__)


class Fields:
    """The fields that one server does not take."""

    def __init__(self) -> None:
        self._unknown: set[str] = set()

    def accepted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request without them, as the SDK wants it."""
        known = {name: value for name, value in body.items() if name not in self._unknown}
        if "max_tokens" in self._unknown:
            known["max_completion_tokens"] = body["max_tokens"]
        if "top_k" in known:
            known["extra_body"] = {"top_k": known.pop("top_k")}
        return known

    def learn(self, error: openai.APIStatusError, body: Mapping[str, Any]) -> bool:
        """Whether the server complains of a field that it can do without; it is left out from now on."""
        text = f"{error.param or ''} {error.body} {error.message}"
        if not _UNKNOWN.search(text):
            return False
        for name in OPTIONAL:
            if name in body and name not in self._unknown and re.search(rf"\b{name}\b", text):
                _log.info("the model server does not take a field", field=name)
                self._unknown.add(name)
                return True
        return False

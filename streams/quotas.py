"""How many sessions the clients of each key may open. No socket and no session in here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from hearsight.streams.keys import Grant
from hearsight.streams.rate import TokenBucket

RATE_CODE = "rate_limit_exceeded"
BUSY_CODE = "server_busy"


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Why a session may not begin now."""

    message: str
    code: str
    """`RATE_CODE` where the client is at fault, `BUSY_CODE` where the server is."""
    retry_after_s: int


class Quotas:
    """Counts against the limits of keys.

    Args:
        clock: Seconds, never going back.
        retry_after_s: What a client is told to wait where nobody knows how long it will be.
    """

    def __init__(self, clock: Callable[[], float], retry_after_s: int = 5) -> None:
        self._clock = clock
        self._retry_after_s = retry_after_s
        self._rates: dict[str, tuple[int, TokenBucket]] = {}

    def refusal(self, grant: Grant, open_sessions: int) -> NoRoom | None:
        """Why another session of this client's key may not begin; None when it may. Counts nothing.

        Args:
            grant: The client's.
            open_sessions: Of the key.
        """
        most = grant.limits.max_sessions
        if most is not None and open_sessions >= most:
            message = f"All {most} sessions of this API key are in use; end one, or try again later."
            return NoRoom(message, RATE_CODE, self._retry_after_s)
        rate = self._rate(grant)
        if rate is not None and (wait_s := rate.wait_s) > 0:
            message = f"This API key may open {grant.limits.sessions_per_minute} sessions per minute."
            return NoRoom(message, RATE_CODE, max(1, math.ceil(wait_s)))
        return None

    def count(self, grant: Grant) -> None:
        """A session has begun."""
        rate = self._rate(grant)
        if rate is not None:
            rate.take()

    def _rate(self, grant: Grant) -> TokenBucket | None:
        """The key's bucket; a new one where its limit was changed. There are no more of them than keys."""
        per_minute = grant.limits.sessions_per_minute
        if per_minute is None:
            return None
        known = self._rates.get(grant.key)
        if known is None or known[0] != per_minute:
            known = self._rates[grant.key] = (
                per_minute,
                TokenBucket(per_minute / 60, per_minute, self._clock),
            )
        return known[1]

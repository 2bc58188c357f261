"""A limit on how often something may happen."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """Lets ``rate_per_s`` through in the long run and ``burst`` at once.

    Args:
        rate_per_s: Tokens that come back each second.
        burst: Tokens when full.
        clock: Seconds, never going back.
    """

    def __init__(self, rate_per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._at_s = clock()

    def take(self) -> bool:
        """Take a token; False when there is none."""
        now_s = self._clock()
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

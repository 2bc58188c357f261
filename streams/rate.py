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

    def take(self, tokens: float = 1.0) -> bool:
        """Take a token, or so many; False when there are not enough, and then none is taken."""
        self._refill()
        if self._tokens < tokens:
            return False
        self._tokens -= tokens
        return True

    @property
    def wait_s(self) -> float:
        """Seconds until a token is there to be taken; 0 when one is."""
        self._refill()
        return max(0.0, 1 - self._tokens) / self._rate_per_s

    def _refill(self) -> None:
        now_s = self._clock()
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s

"""Names of items and responses, from a seed: the same seed gives the same names in the same order.

They are no secrets. What must not be guessed, the id that resumes a session, is made elsewhere.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from typing import Final

SHOWN_CHARS: Final = 13
"""Of a session's id: enough to tell it from others, and too little to take up its session."""


def shown(session_id: str) -> str:
    """A session's id as people and other machines may see it."""
    return session_id[:SHOWN_CHARS] if session_id.startswith("sess_") else session_id


class SeededIds:
    """Makes ids such as ``item_6f0c…`` from a prefix.

    Args:
        seed: Whatever text; a new one that nobody else has, unless given.
    """

    def __init__(self, seed: str | None = None) -> None:
        self.seed = secrets.token_hex(16) if seed is None else seed
        self._numbers = itertools.count(1)

    def __call__(self, prefix: str) -> str:
        """The next id."""
        text = f"{self.seed}:{next(self._numbers)}"
        return f"{prefix}_{hashlib.blake2b(text.encode(), digest_size=10).hexdigest()}"

"""Words for what is allowed, and for what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """A clause that proposes the likeliest allowed name, or nothing where none is near.

    Args:
        given: What was written.
        allowed: What could have been.

    Returns:
        `` did you mean X?`` with the leading blank, or an empty string.
    """
    near = difflib.get_close_matches(given, list(allowed), n=1, cutoff=0.6)
    return f" did you mean {near[0]}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them: ``a, b or c``."""
    *rest, last = names
    return f"{', '.join(rest)} or {last}" if rest else last

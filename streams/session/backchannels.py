"""Telling "mhm" from "stop": what listeners say to go on listening."""

from __future__ import annotations

import re

BACKCHANNELS = (
    *("of course", "got it", "i see", "makes sense", "no way", "thank you", "uh huh", "mm hmm", "mm hm"),
    *("ah", "aha", "alright", "cool", "exactly", "good", "great", "hm", "hmm", "huh", "interesting", "mhm"),
    *("mm", "mmm", "nice", "oh", "ok", "okay", "really", "right", "sure", "thanks", "true", "uh", "uhhuh"),
    *("um", "wow", "yeah", "yep", "yes", "yup", "you"),
)
"""English. "You" and "thank you" are what speech recognition makes of a cough or a breath."""
_LAUGHTER = r"ha(?:ha)*h?|heh(?:eh)*e?"
"""And of a murmured "aha" it makes "haha"."""
MOST = 4
"""Whoever says more of them has something to say."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_REMARK = re.compile(rf"(?:(?:{'|'.join(BACKCHANNELS)}|{_LAUGHTER})(?: |$)){{0,{MOST}}}")


def is_backchannel(text: str) -> bool:
    """Whether somebody who says this only shows that they listen, or did not say anything.

    Args:
        text: As speech recognition writes it, in any case, with any punctuation.
    """
    return _REMARK.fullmatch(" ".join(_WORD.findall(text.lower()))) is not None

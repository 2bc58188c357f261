"""What the devices of a machine have in common: how they fail, and that their drivers are noisy."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hearsight.streams.errors import HearsightError

DEFAULT: Final = "default"
"""In place of a device's name: the one that the system prefers."""
NONE: Final = "none"
"""In place of a device's name: go without one."""
SCREEN: Final = "screen"
"""In place of a camera's name: this machine's screen."""

_one_at_a_time = threading.RLock()


class DeviceError(HearsightError):
    """A microphone, speaker or camera that cannot be used; the message says what to do."""

    code = "device_failed"


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Keep C libraries, which write past Python, from standard error."""
    with _one_at_a_time:
        sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(nowhere)
            os.close(kept)

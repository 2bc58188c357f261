"""Why the program cannot start: errors meant for the person at the command line.

The tree::

    StartupError
    ├── ConfigError             a setting is unknown, malformed or contradicts another
    ├── RecordingError          a recording cannot be read
    └── PayloadError            a model file cannot be used
        ├── PayloadMissing      it is not on this machine
        ├── PayloadCorrupt      its bytes are not the ones that the manifest pins
        ├── PayloadUnreachable  no source could deliver it
        └── DiskFull            the cache folder has no room for it

None of them is sent to a client of the server; those errors live in `hearsight.streams.errors`.
"""

from __future__ import annotations


class StartupError(Exception):
    """Base of the errors that end a command with one readable message."""


class ConfigError(StartupError):
    """One or more settings cannot be used.

    Attributes:
        problems: One sentence for each setting at fault, naming the key, the value given, where it came
            from and what is allowed. Secrets are never quoted.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RecordingError(StartupError):
    """What was given is no recording, is damaged, or was made by a newer version."""


class PayloadError(StartupError):
    """A model file cannot be used.

    Attributes:
        payload: Name of the payload in the manifest.
    """

    def __init__(self, payload: str, message: str) -> None:
        super().__init__(message)
        self.payload = payload


class PayloadMissing(PayloadError):
    """The payload is not, or not completely, on this machine."""


class PayloadCorrupt(PayloadError):
    """Bytes that are not the pinned ones; what was just fetched has been removed."""


class PayloadUnreachable(PayloadError):
    """Every source of the payload failed."""


class DiskFull(PayloadError):
    """The disk that holds the cache folder has too little room."""

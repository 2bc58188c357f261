"""What can go wrong with a tool."""

from __future__ import annotations


class ToolError(Exception):
    """A tool cannot do what it was asked.

    The message is one sentence that the model can act on or that the user can be told; it names no path,
    secret or internal.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

"""What a session has decided: outputs for the client, commands for the shell, each drained as a list."""

from __future__ import annotations

from hearsight.streams.errors import HearsightError
from hearsight.streams.events import Command, Output, Refused


class Outbox:
    """Two queues, filled by the session's parts and emptied by the shell."""

    def __init__(self) -> None:
        self._outputs: list[Output] = []
        self._commands: list[Command] = []

    def send(self, *outputs: Output) -> None:
        """Tell the client."""
        self._outputs += outputs

    def ask(self, *commands: Command) -> None:
        """Tell the shell."""
        self._commands += commands

    def refuse(self, error: HearsightError, event_id: str | None) -> None:
        """Tell the client that its event was not followed, and why."""
        self.send(Refused(error.code, error.message, error.kind, error.param, event_id))

    def take_outputs(self) -> list[Output]:
        """Everything for the client since the last call."""
        outputs, self._outputs = self._outputs, []
        return outputs

    def take_commands(self) -> list[Command]:
        """Everything for the shell since the last call."""
        commands, self._commands = self._commands, []
        return commands

"""A process of the benchmarks, and the pipe to it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

ANSWER_TIMEOUT_S = 900.0


class Child:
    """Runs ``target(pipe, *arguments)`` in a process of its own, which ends when it is told ``"stop"``."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._pipe.send("stop")
            self._process.join(30)
        self._process.kill()
        self._process.join()

    def say(self, message: object) -> None:
        self._pipe.send(message)

    def hear(self) -> Any:
        """Wait for what the process says.

        Raises:
            RuntimeError: It has ended, or says nothing.
        """
        try:
            if self._pipe.poll(ANSWER_TIMEOUT_S):
                return self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("A process of the benchmark has ended; its error stands above.") from error
        raise RuntimeError("A process of the benchmark does not answer.")

    def ask(self, message: object) -> Any:
        self.say(message)
        return self.hear()

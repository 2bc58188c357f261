"""What was said in each utterance, found out once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from hearsight.agent.models.base import Transcription
from hearsight.streams.observing import stage

MAX_REMEMBERED = 64


class Transcripts:
    """Shares each utterance's transcription between all who ask for it.

    The transcript that a speculative answer was made from holds for the utterance that is committed in the
    end, though a moment of silence was added to it; if the user went on speaking, `revise` says so.

    Args:
        transcribe: Finds out what was said, by file id.
    """

    def __init__(self, transcribe: Callable[[str], Awaitable[Transcription]]) -> None:
        self._transcribe = transcribe
        self._tasks: OrderedDict[str, asyncio.Task[Transcription]] = OrderedDict()

    async def get(self, file_id: str) -> Transcription:
        """What was said in an utterance.

        Raises:
            EngineError: It could not be found out; the next who asks tries again.
        """
        return await asyncio.shield(self.begin(file_id))

    async def peek(self, file_id: str) -> str | None:
        """What was said in an utterance; None if it was revised meanwhile, or could not be found out."""
        task = self.begin(file_id)
        await asyncio.wait([task])
        return None if task.cancelled() or task.exception() is not None else task.result().text

    def begin(self, file_id: str) -> asyncio.Task[Transcription]:
        """Set out to find out what was said in an utterance, for whoever will ask."""
        task = self._tasks.get(file_id)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(self._run(file_id), name=f"transcribe {file_id}")
            self._tasks[file_id] = task
            while len(self._tasks) > MAX_REMEMBERED:
                self._tasks.popitem(last=False)[1].cancel()
        return task

    def revise(self, file_id: str) -> None:
        """There is more of the utterance, or it is gone: what was found out no longer holds."""
        task = self._tasks.pop(file_id, None)
        if task is not None:
            task.cancel()

    async def aclose(self) -> None:
        """Stop; no task remains."""
        tasks = tuple(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, file_id: str) -> Transcription:
        with stage("speech_to_text") as heard:
            said = await self._transcribe(file_id)
            heard.note(speech_s=round(said.duration_s, 2))
            return said

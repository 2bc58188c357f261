"""What one response sends, in order: its items, numbered, and the voice between its text and its audio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hearsight.agent.context import Context
from hearsight.agent.voice.base import Voice
from hearsight.agent.voice.speech import SpeechStream
from hearsight.streams.events import AgentEvent, AnswerSpeech, AnswerText, ResponseRequest

Emit = Callable[[AgentEvent], None]


class Answer:
    """Turns what the nodes produce into events.

    Text becomes speech in a task of its own, so that a clause is heard while the next is being written. A
    stretch of uninterrupted speech is one item; a call, or ``flush``, ends it.

    Args:
        request: Names the response and its items, and says whether it is spoken or written.
        voice: Who speaks.
        context: Where the items will stand. A message's place is taken when its text is written; its words
            are added by the session when they are sent.
    """

    def __init__(self, request: ResponseRequest, voice: Voice, context: Context) -> None:
        self._request = request
        self._voice = voice
        self._context = context
        self._items = 0
        self._calls = 0
        self._item_id: str | None = None
        self._speech: SpeechStream | None = None
        self._speaker: asyncio.Task[None] | None = None
        self.text = ""
        """All that was written so far."""

    @property
    def speaking(self) -> bool:
        """Whether an item is being written."""
        return self._item_id is not None

    def new_item_id(self) -> str:
        """Id of the response's next item."""
        self._items += 1
        return self._request.item_id(self._items - 1)

    def new_call_id(self) -> str:
        """Id of the response's next call."""
        self._calls += 1
        return f"call_{self._request.response_id.removeprefix('resp_')}_{self._calls - 1}"

    def write(self, text: str, emit: Emit) -> None:
        """More of the answer's text, as decoded.

        Raises:
            EngineError: The voice failed at something written earlier.
        """
        if not text or (self._item_id is None and not text.strip()):
            return
        if self._item_id is None:
            self._item_id = self.new_item_id()
            self._context.add_text(self._item_id, "", self._request.generation)
        self.text += text
        if self._request.modality == "text":
            emit(AnswerText(self._request.generation, self._item_id, text))
            return
        if self._speech is None or self._speaker is None:
            self._speech = SpeechStream(self._voice, self._request.speed)
            self._speaker = asyncio.create_task(self._speak(self._item_id, self._speech, emit))
        elif self._speaker.done():
            self._speaker.result()
        self._speech.feed(text)

    async def flush(self) -> None:
        """End the item being written and wait until all of it was sent.

        Raises:
            EngineError: The voice failed.
        """
        speech, speaker = self._speech, self._speaker
        self._item_id = None
        if speech is not None and speaker is not None:
            speech.finish()
            await speaker
        self._speech = self._speaker = None

    async def aclose(self) -> None:
        """Stop speaking; no task remains."""
        if self._speaker is not None:
            self._speaker.cancel()
            await asyncio.gather(self._speaker, return_exceptions=True)
        self._speech = self._speaker = None

    async def _speak(self, item_id: str, speech: SpeechStream, emit: Emit) -> None:
        async with speech:
            async for clause in speech:
                emit(
                    AnswerSpeech(self._request.generation, item_id, clause.text, clause.samples, clause.words)
                )

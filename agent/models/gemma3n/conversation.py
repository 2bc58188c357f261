"""Gemma 3n's side of one session: a cache that is filled while the user speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from langchain_core.messages import AIMessage, HumanMessage

from hearsight.agent.models.base import Delta, GenerateRequest, GenerationEnd, Transcription
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.counter import Gemma3nCounter
from hearsight.agent.models.gemma3n.generation import Generation
from hearsight.agent.models.gemma3n.media import SessionMedia
from hearsight.agent.models.gemma3n.requests import Requests, before_last_turn, media_of
from hearsight.agent.models.gemma3n.scheduler import Scheduler
from hearsight.streams.errors import EngineError
from hearsight.streams.events import INPUT_RATE_HZ, Detail, Picture, Samples

TRANSCRIBE = "Write down what is said, word for word. Write nothing else."
CAPTION = "Say in one short line what this picture shows."
READ = (
    "Write down the text in this picture, line by line. Write nothing else; nothing at all if there is none."
)


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """How the sessions of an engine work.

    Attributes:
        piece: Tokens that one step prefills: others wait no longer than for so many.
        sides_px: The side of a picture by the detail wanted.
        wait_for: Tokens of an utterance being spoken that are prefilled together.
        slow_pictures: To encode one takes so long that it waits while anybody's answer is being written.
        seed: Of the sampling; None draws a fresh one for every answer.
        aside_tokens: The longest transcript, caption or description.
    """

    piece: int
    sides_px: dict[Detail, int]
    wait_for: int = 1
    slow_pictures: bool = False
    seed: int | None = None
    aside_tokens: int = 512


class Gemma3nConversation:
    """Implements ``Conversation`` and ``scheduler.Work``.

    Args:
        adapter: The model.
        scheduler: Runs the steps.
        settings: See `ConversationSettings`.
    """

    def __init__(self, adapter: Gemma3nAdapter, scheduler: Scheduler, settings: ConversationSettings) -> None:
        self._adapter = adapter
        self._scheduler = scheduler
        self._settings = settings
        self._media = SessionMedia(adapter, settings.sides_px)
        self._requests = Requests(adapter, self._media, settings.seed)
        self._cache = self._requests.new_cache()
        self._expected: GenerateRequest | None = None
        """What stands before the user's next words, as far as anyone knows."""
        self._answering = asyncio.Lock()
        self._settled = asyncio.Event()
        self.generations: list[Generation] = []
        self.counter = Gemma3nCounter(adapter)

    @property
    def cached_tokens(self) -> int:
        """Tokens in the cache now."""
        return len(self._cache)

    # --- what arrives -------------------------------------------------------------------------------------

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance: encoded and prefilled while the rest is being said."""
        self._media.hear(item_id, samples)
        self._wake()

    def see(self, picture: Picture, *, in_depth: bool = False) -> None:
        """A picture that messages will name by its key: encoded now, finely where there is time."""
        self._media.see(closely(picture) if in_depth else picture)
        self._wake()

    def foresee(self, pictures: Sequence[Picture]) -> None:
        """Pictures that most likely come before the user's next words: encoded and prefilled meanwhile."""
        self._media.foresee([closely(picture) for picture in pictures])
        self._wake()

    def forget(self, file_id: str) -> None:
        """Drop an utterance (by item id) or a picture (by key)."""
        self._media.forget(file_id)

    async def overhear(self, item_id: str) -> str | None:
        """Nothing: this engine hears for itself."""
        return None

    async def prefill(self, request: GenerateRequest, *, unfinished: bool = False) -> None:
        """Read the conversation so far; returns once it is read, or an answer is asked for."""
        self._expected = request
        if not self.generations:  # one of them may be of other media
            self._media.retain({file_id for file_id, _ in media_of(request.messages)})
        self._wake()
        await self._settled.wait()

    # --- answering ----------------------------------------------------------------------------------------

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        """Write the next message; closing the iterator stops the model within a token.

        Raises:
            EngineError: The model failed, or the request is longer than it can read.
        """
        async with self._answering:
            # Should this answer be cut short, its user most likely goes on speaking.
            self._expected = replace(request, messages=before_last_turn(request.messages))
            self._settled.set()
            written: list[str] = []
            async with aclosing(self._deltas(self._generation(request))) as deltas:
                async for delta in deltas:
                    if isinstance(delta, GenerationEnd):
                        self._media.answered()
                        self._expect_answer(request, "".join(written))
                    else:
                        written.append(delta)
                    yield delta

    async def transcribe(self, item_id: str) -> Transcription:
        """What was said in an utterance, all of which has been heard.

        Raises:
            EngineError: It is not held, or the model failed.
        """
        samples = self._media.samples(item_id)
        if not samples:
            raise EngineError("There is no speech to write down: it was forgotten, or never heard.")
        block = {"type": "audio", "file_id": item_id, "samples": samples, "transcript": None}
        text = await self._aside([block], TRANSCRIBE)
        return Transcription(text, samples / INPUT_RATE_HZ)

    async def caption(self, file_id: str) -> str:
        """What a picture shows, in one line.

        Raises:
            EngineError: The picture is gone or could not be looked at.
        """
        return await self._look(file_id, CAPTION)

    async def describe(self, picture: Picture, question: str, detail: Detail) -> str:
        """Look at a picture with a question in mind.

        Raises:
            EngineError: The picture could not be looked at.
        """
        return await self._look_closely(picture, question, detail)

    async def read_text(self, picture: Picture) -> str:
        """The text in a picture, line by line; empty when there is none.

        Raises:
            EngineError: The picture could not be looked at.
        """
        return await self._look_closely(picture, READ, "high")

    async def aclose(self) -> None:
        """Stop what goes on and free what is held; idempotent."""
        self._scheduler.remove(self)
        self._settled.set()
        for generation in self.generations:
            generation.output.put_nowait(EngineError("The session has ended."))
        self.generations.clear()

    # --- Work ---------------------------------------------------------------------------------------------

    def prepare(self, generation: Generation) -> None:
        """Do a step towards an answer's first token (worker's thread)."""
        generation.prepare(self._finish, self._settings.piece)

    def background(self, *, quick: bool = False) -> bool:
        """Encode, then prefill what is known of the next prompt (worker's thread)."""
        without_pictures = quick and self._settings.slow_pictures
        if self._media.step(pictures=not without_pictures):
            return True
        expected = self._expected
        if expected is None or self.generations or (without_pictures and self._media.unseen):
            return False
        prompt = self._requests.open_prompt(expected)
        if len(prompt.tokens) > self._adapter.context_limit:
            return False  # the request itself will say so
        missing = len(prompt.tokens) - self._cache.rewind(prompt)
        if missing < (self._settings.wait_for if self._media.listening else 1):
            return False
        self._cache.advance(prompt, self._settings.piece, more_to_come=True)
        return True

    def settled(self) -> None:
        """There is nothing left to do ahead."""
        self._settled.set()

    @property
    def cache_bytes(self) -> int:
        """Memory of the cache."""
        return self._cache.kv.nbytes

    def drop_cache(self) -> None:
        """Free the cache: it is filled anew, with the same, once there is something to read."""
        self._cache.reset()
        self._expected = None

    def failed(self) -> None:
        """A step failed: what is in the cache is not to be trusted."""
        self.drop_cache()

    # --- parts --------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._settled.clear()
        self._scheduler.wake()

    def _finish(self, file_id: str, is_picture: bool) -> None:
        if is_picture:
            self._media.encode_picture(file_id)
        else:
            self._media.end(file_id)

    def _generation(self, request: GenerateRequest) -> Generation:
        return self._requests.generation(request, self._cache)

    async def _deltas(self, generation: Generation) -> AsyncGenerator[Delta]:
        self.generations.append(generation)
        self._scheduler.wake()
        try:
            while True:
                delta = await generation.output.get()
                if isinstance(delta, EngineError):
                    raise delta
                yield delta
                if isinstance(delta, GenerationEnd):
                    return
        finally:
            if generation in self.generations:
                self.generations.remove(generation)

    def _expect_answer(self, request: GenerateRequest, written: str) -> None:
        """The user's next words will most likely follow this answer."""
        self._expected = replace(request, messages=(*request.messages, AIMessage(written)))
        self._wake()

    async def _look_closely(self, picture: Picture, question: str, detail: Detail) -> str:
        wanted = replace(picture, detail=detail, key=f"{picture.key}@{detail}")
        self._media.hold(wanted)
        try:
            return await self._look(wanted.key, question)
        finally:
            self._media.forget(wanted.key)

    async def _look(self, key: str, question: str) -> str:
        if self._media.picture(key) is None:
            raise EngineError("The picture is no longer kept.", code="item_not_found")
        return await self._aside([{"type": "image", "file_id": key, "caption": None}], question)

    async def _aside(self, content: list[dict[str, object]], question: str) -> str:
        """Ask about media outside the conversation, in a cache of its own."""
        message = HumanMessage([*content, {"type": "text", "text": question}])
        request = GenerateRequest((message,), max_tokens=self._settings.aside_tokens, temperature=0)
        generation = self._requests.generation(request, self._requests.new_cache())
        async with aclosing(self._deltas(generation)) as deltas:
            return "".join([delta async for delta in deltas if isinstance(delta, str)]).strip()


def closely(picture: Picture) -> Picture:
    """The picture in full detail where nobody asked for another."""
    return replace(picture, detail="high") if picture.detail == "auto" else picture

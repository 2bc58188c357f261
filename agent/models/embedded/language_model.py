"""The language model: a GGUF file run by llama.cpp in this process, with a warm KV cache per session."""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from hearsight.agent.models.base import Delta
from hearsight.agent.models.embedded.continuation import (
    GREEDY,
    Continuation,
    Foreseen,
    Sampling,
    Seat,
)
from hearsight.agent.models.embedded.llama_client import ServerLost
from hearsight.agent.models.embedded.llama_host import LlamaHost
from hearsight.agent.models.embedded.openings import AS_IT_COMES, Candidate, Opening
from hearsight.agent.models.embedded.slots import (
    Placement,
    SlotTable,
    Tokens,
)
from hearsight.agent.models.embedded.tokens import Prompt, Tokenizer
from hearsight.agent.models.fair_queue import FairQueue
from hearsight.streams.errors import EngineError

log = structlog.get_logger(__name__)


CANDIDATES = 40
"""First tokens to choose from; what is not among them is of no weight."""
_UNSPEAKABLE = re.compile(r"^$|\ufffd|^<\|")
"""Parts of characters, and control tokens."""
_BEGINNING = "beginning.kv"
"""File in the server's folder, and name of the session, of what all sessions begin with."""


def _never(text: str) -> bool:
    return False


class LanguageModel:
    """A GGUF model; all of it runs in llama.cpp's own threads, and nothing here blocks the event loop."""

    def __init__(self, path: Path, *, threads: int, context_tokens: int, slots: int) -> None:
        """Prepare; nothing works before `load`.

        Args:
            path: The GGUF file.
            threads: CPU threads to compute with.
            context_tokens: Size of the KV cache, of which every session takes what it needs.
            slots: Sessions that may be in that cache, and generate, at the same time. More can be open: what
                leaves a slot is saved to a private temporary folder, for as many tokens again.
        """
        self._path = path
        self._table = SlotTable(slots, saved_tokens=context_tokens)
        self._queue = FairQueue(slots)
        self._tokenizer: Tokenizer | None = None
        self._foreseen: dict[str, Foreseen] = {}
        self._host = LlamaHost(
            path, threads=threads, context_tokens=context_tokens, slots=slots, restarted=self._restarted
        )

    async def load(self) -> None:
        """Read the model into memory, which takes some seconds.

        Raises:
            EngineError: A library is missing, or the file cannot be loaded.
        """
        if self._tokenizer is None:
            self._tokenizer = await asyncio.to_thread(Tokenizer, self._path)
        await self._host.load()

    def count_tokens(self, prompt: Prompt | str) -> int:
        """Tokens of a prompt or of a piece of text; what has been counted before is remembered."""
        return len(self._encode(prompt))

    async def generate(
        self,
        prompt: Prompt | str,
        *,
        session_id: str,
        max_tokens: int,
        sampling: Sampling = GREEDY,
        grammar: str | None = None,
        opening: Opening = AS_IT_COMES,
        until: Callable[[str], bool] = _never,
    ) -> AsyncGenerator[Delta]:
        """Go on with a prompt; closing the iterator stops the model within a token.

        Waits while all slots are busy.

        Args:
            prompt: Pieces, of which only those that say so are control tokens; or a text in which control
                tokens count as such, for whoever has taken them out of what users wrote.
            session_id: Whose KV cache this is.
            max_tokens: The longest continuation.
            sampling: How tokens are chosen.
            grammar: GBNF that the continuation has to follow.
            opening: Chooses the first token, and says what follows for sure.
            until: Is given the text as it comes, and says whether it is complete.

        Yields:
            Text as decoded, and at last how it ended.

        Raises:
            EngineError: The model failed, or the prompt is longer than its context.
        """
        written = Continuation(self._encode(prompt), max_tokens, sampling, grammar)
        foreseen = self._foreseen.pop(session_id, None)
        async with self._seat(session_id, written.prompt) as seat:
            if grammar is None and max_tokens > 1:
                if foreseen is None or not foreseen.follows(written.prompt, sampling):
                    reading = _reading(written.prompt, sampling)
                    foreseen = await self._read(reading, seat)
                    written.cached = reading.cached
                if foreseen is not None:
                    first = opening.choose(foreseen.candidates)
                    known = opening.rest(first.text)
                    yield first.text + known
                    complete = until(first.text + known)
                    written.begin([first.token, *self._encode(known)], complete=complete)
            while not written.ended:
                async with aclosing(self._events(written, seat)) as events:
                    async for event in events:
                        if text := event.get("content"):
                            yield text
                            written.ended |= until(text)
                        if written.ended or (text and written.is_to_be_guarded):
                            break
            yield written.end
            await self._save(self._table.worth_saving(seat.held), seat.slot, seat.held)

    async def warm(self, prompt: Prompt | str, *, session_id: str, sampling: Sampling = GREEDY) -> None:
        """Prefill a prompt, so that a generation from one that begins with it starts at its end.

        The first token after it comes with that, and is kept in case the next generation is from this very
        prompt, with this sampling.

        Raises:
            EngineError: The model failed, or the prompt is longer than its context.
        """
        tokens = self._encode(prompt)
        foreseen = self._foreseen.pop(session_id, None)
        if foreseen is None or not foreseen.follows(tokens, sampling):
            async with self._seat(session_id, tokens) as seat:
                if seat.holds(tokens):
                    return
                foreseen = await self._read(_reading(tokens, sampling), seat)
                await self._save(self._table.worth_saving(seat.held), seat.slot, seat.held)
        if foreseen is not None:
            self._foreseen[session_id] = foreseen

    async def begin_with(self, prompt: Prompt | str, *, kept_in: Path) -> None:
        """Have in the KV cache what most sessions begin with: from an earlier run's file, else by prefill.

        Args:
            prompt: The beginning.
            kept_in: The folder of that file; made when there is none. It is safe to delete.

        Raises:
            EngineError: The model failed.
        """
        tokens = self._encode(prompt)
        kept = kept_in / f"{_fingerprint(self._path, tokens)}.kv"
        if kept.is_file():
            await asyncio.to_thread(shutil.copyfile, kept, self._host.folder / _BEGINNING)
            self._table.saved(_BEGINNING, tokens)
        await self.warm(prompt, session_id=_BEGINNING)
        self.forget(_BEGINNING)
        file = self._table.file_of(tokens)
        if file is not None and file != _BEGINNING:
            await asyncio.to_thread(_keep, self._host.folder / file, kept)

    def forget(self, session_id: str) -> None:
        """A session has ended; its slot goes to the next one that needs one."""
        self._foreseen.pop(session_id, None)
        self._table.forget(session_id)

    async def aclose(self) -> None:
        """Stop what is being generated and free the model."""
        await self._host.aclose()

    def _restarted(self) -> None:
        self._table.restart()
        self._foreseen.clear()

    def _encode(self, prompt: Prompt | str) -> list[int]:
        if self._tokenizer is None:
            raise EngineError("The language model is not loaded.", code="engine_unavailable")
        return self._tokenizer.encode(prompt)

    async def _read(self, reading: Continuation, seat: Seat) -> Foreseen | None:
        """Read a prompt; returns what may come first, unless the text ends there, or within a character."""
        foreseen = None
        async with aclosing(self._events(reading, seat)) as events:
            async for event in events:
                if event.get("content") and len(event["tokens"]) == 1:
                    foreseen = Foreseen(reading.prompt, reading.sampling, _candidates(event))
        return foreseen

    async def _events(self, written: Continuation, seat: Seat) -> AsyncGenerator[dict[str, Any]]:
        """What the server says while it writes the rest of a continuation."""
        request = written.request()
        seat.ask(request["prompt"])
        try:
            async with aclosing(self._host.client.complete(request | {"id_slot": seat.slot})) as events:
                async for event in events:
                    seat.follow(event)
                    written.follow(event)
                    yield event
        except ServerLost:
            self._host.lost()
            raise

    @asynccontextmanager
    async def _seat(self, session_id: str, tokens: list[int]) -> AsyncIterator[Seat]:
        """A slot for a prompt, with as much of it in its KV cache as there is anywhere."""
        async with self._queue.turn(session_id):
            await self._host.ready()
            placement = self._table.place(session_id, tokens)
            assert placement is not None  # there are as many turns as slots
            held: Tokens = ()
            try:
                await self._prepare(placement)
                seat = Seat(placement.slot, self._table.held(placement.slot))
                try:
                    yield seat
                finally:
                    held = seat.held
            finally:
                self._table.release(placement.slot, held)

    async def _prepare(self, placement: Placement) -> None:
        slot = placement.slot
        await self._save(placement.save, slot, self._table.held(slot))
        if placement.restore is None:
            return
        try:
            await self._host.client.move("restore", slot, placement.restore)
        except EngineError:  # the prompt is read from its beginning instead
            log.warning("kv_cache_not_restored", exc_info=True)
            self._table.discard(placement.restore)
        else:
            self._table.restored(slot, placement.restore)

    async def _save(self, file: str | None, slot: int, held: Tokens) -> None:
        """Save a slot's KV cache, and delete files that give way to it."""
        if file is None:
            return
        try:
            count = await self._host.client.move("save", slot, file)
        except EngineError:  # it will be computed again
            log.warning("kv_cache_not_saved", exc_info=True)
        else:
            self._table.saved(file, held[:count])
        for dropped in self._table.dropped_files():
            (self._host.folder / dropped).unlink(missing_ok=True)


def _reading(prompt: list[int], sampling: Sampling) -> Continuation:
    return Continuation(prompt, 0, sampling, candidates=CANDIDATES)


def _candidates(event: dict[str, Any]) -> list[Candidate]:
    """The tokens that the server told of, in front the one that it took."""
    (token,) = event["tokens"]
    (chosen,) = event["completion_probabilities"]
    told = [Candidate(one["id"], one["token"], math.exp(one["logprob"])) for one in chosen["top_logprobs"]]
    taken = Candidate(token, event["content"], math.exp(chosen["logprob"]))
    return [taken, *(one for one in told if one.token != token and not _UNSPEAKABLE.search(one.text))]


def _fingerprint(model: Path, tokens: Sequence[int]) -> str:
    """Names a KV cache by all that it depends on."""
    about = model.stat()
    build = f"{model.name} {about.st_size} {about.st_mtime_ns} {version('xllamacpp')}"
    return blake2b(f"{build} {tokens}".encode(), digest_size=12).hexdigest()


def _keep(file: Path, kept: Path) -> None:
    """Put a file where the next run finds it, in place of the one that an earlier version left."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as copy, file.open("rb") as source:
            shutil.copyfileobj(source, copy)
        for older in kept.parent.glob("*.kv"):
            older.unlink(missing_ok=True)
        Path(copy.name).replace(kept)
    except OSError as error:  # a full disk costs the next start some seconds, and this one nothing
        log.warning("kv_cache_not_kept", reason=error.strerror)

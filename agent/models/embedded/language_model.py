"""The language model: a GGUF file run by llama.cpp in this process, with a warm KV cache per session."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from hearsight.agent.models.base import Delta, GenerationEnd
from hearsight.agent.models.embedded.llama_client import LlamaClient
from hearsight.agent.models.embedded.llama_server import SOCKET, start_server
from hearsight.agent.models.embedded.slots import (
    Placement,
    SlotTable,
    Tokens,
    common_prefix,
)
from hearsight.agent.models.embedded.tokens import Prompt, Tokenizer
from hearsight.streams.errors import EngineError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float = 0.0
    """0 takes the likeliest, always."""
    top_k: int = 40
    top_p: float = 0.95
    seed: int = 0


GREEDY = Sampling()
_BEGINNING = "beginning.kv"
"""File in the server's folder, and name of the session, of what all sessions begin with."""


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
        self._threads = threads
        self._context_tokens = context_tokens
        self._table = SlotTable(slots, saved_tokens=context_tokens)
        self._freed = asyncio.Condition()
        self._tokenizer: Tokenizer | None = None
        self._foreseen: dict[str, _Foreseen] = {}
        self._server: Any = None
        self._folder = tempfile.TemporaryDirectory(prefix="hearsight-", ignore_cleanup_errors=True)
        self._client = LlamaClient(Path(self._folder.name) / SOCKET)

    async def load(self) -> None:
        """Read the model into memory, which takes some seconds.

        Raises:
            EngineError: A library is missing, or the file cannot be loaded.
        """
        if self._server is None:
            await asyncio.to_thread(self._load)

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
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> AsyncGenerator[Delta]:
        """Go on with a prompt; closing the iterator stops the model within a token.

        Waits while all slots are busy.

        Args:
            prompt: Pieces, of which only those that say so are control tokens; or a text in which control
                tokens count as such, for whoever has taken them out of what users wrote.
            session_id: Whose KV cache this is.
            max_tokens: The longest continuation.
            sampling: How tokens are chosen.
            stop: Texts that end the continuation and are not part of it.
            grammar: GBNF that the continuation has to follow.

        Yields:
            Text as decoded, and at last how it ended.

        Raises:
            EngineError: The model failed, or the prompt is longer than its context.
        """
        tokens = self._encode(prompt)
        foreseen = self._foreseen.pop(session_id, None)
        if foreseen is not None and foreseen.prompt != (tokens, sampling):
            foreseen = None
        if grammar is not None or stop or max_tokens < 2:
            foreseen = None
        if foreseen is not None:
            yield foreseen.text
            tokens = [*tokens, foreseen.token]
        request: dict[str, Any] = {"n_predict": max_tokens - (foreseen is not None), "stop": list(stop)}
        if grammar is not None:
            request["grammar"] = grammar
        async with self._seat(session_id, tokens) as seat:
            async with aclosing(self._events(request, tokens, sampling, seat)) as events:
                async for event in events:
                    if text := event.get("content"):
                        yield text
                    if event.get("stop"):
                        yield _end(event, foreseen=foreseen is not None)
            await self._save(self._table.worth_saving(seat.held), seat.slot, seat.held)

    async def warm(self, prompt: Prompt | str, *, session_id: str, sampling: Sampling = GREEDY) -> None:
        """Prefill a prompt, so that a generation from one that begins with it starts at its end.

        The first token after it comes with that, and is kept in case the next generation is from this very
        prompt, with this sampling.

        Raises:
            EngineError: The model failed, or the prompt is longer than its context.
        """
        tokens = self._encode(prompt)
        foreseen = self._foreseen.get(session_id)
        if foreseen is not None and foreseen.prompt == (tokens, sampling):
            return
        self._foreseen.pop(session_id, None)
        async with self._seat(session_id, tokens) as seat:
            if seat.holds_all:
                return
            async with aclosing(self._events({"n_predict": 0}, tokens, sampling, seat)) as events:
                async for event in events:
                    if event.get("content") and len(event["tokens"]) == 1:
                        first = _Foreseen((tokens, sampling), event["tokens"][0], event["content"])
                        self._foreseen[session_id] = first
            await self._save(self._table.worth_saving(seat.held), seat.slot, seat.held)

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
            await asyncio.to_thread(shutil.copyfile, kept, Path(self._folder.name) / _BEGINNING)
            self._table.saved(_BEGINNING, tokens)
        await self.warm(prompt, session_id=_BEGINNING)
        self.forget(_BEGINNING)
        file = self._table.file_of(tokens)
        if file is not None and file != _BEGINNING:
            await asyncio.to_thread(_keep, Path(self._folder.name) / file, kept)

    def forget(self, session_id: str) -> None:
        """A session has ended; its slot goes to the next one that needs one."""
        self._foreseen.pop(session_id, None)
        self._table.forget(session_id)

    async def aclose(self) -> None:
        """Stop what is being generated and free the model."""
        await self._client.aclose()
        await asyncio.to_thread(self._unload)

    def _load(self) -> None:
        self._tokenizer = Tokenizer(self._path)
        self._server = start_server(
            self._path,
            Path(self._folder.name),
            threads=self._threads,
            context_tokens=self._context_tokens,
            slots=self._table.slots,
        )

    def _unload(self) -> None:
        self._server = None
        self._folder.cleanup()

    def _encode(self, prompt: Prompt | str) -> list[int]:
        if self._tokenizer is None:
            raise EngineError("The language model is not loaded.", code="engine_unavailable")
        return self._tokenizer.encode(prompt)

    async def _events(
        self, request: dict[str, Any], tokens: list[int], sampling: Sampling, seat: _Seat
    ) -> AsyncGenerator[dict[str, Any]]:
        """What the server says while it writes on from a prompt."""
        body = request | {
            "prompt": tokens,
            "id_slot": seat.slot,
            "cache_prompt": True,
            "return_progress": True,  # something to notice a closed iterator by while the prompt is read
            "return_tokens": True,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        seat.ask()
        async with aclosing(self._client.complete(body)) as events:
            async for event in events:
                seat.follow(event)
                yield event

    @asynccontextmanager
    async def _seat(self, session_id: str, tokens: list[int]) -> AsyncIterator[_Seat]:
        """A slot for a prompt, with as much of it in its KV cache as there is anywhere."""
        async with self._freed:
            while (placement := self._table.place(session_id, tokens)) is None:
                await self._freed.wait()
        seat = _Seat(placement.slot, tokens)
        try:
            await self._prepare(placement)
            seat.find(self._table.held(placement.slot))
            yield seat
        finally:
            self._table.release(seat.slot, seat.held)
            async with self._freed:
                self._freed.notify_all()

    async def _prepare(self, placement: Placement) -> None:
        slot = placement.slot
        await self._save(placement.save, slot, self._table.held(slot))
        if placement.restore is None:
            return
        try:
            await self._client.move("restore", slot, placement.restore)
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
            count = await self._client.move("save", slot, file)
        except EngineError:  # it will be computed again
            log.warning("kv_cache_not_saved", exc_info=True)
        else:
            self._table.saved(file, held[:count])
        for dropped in self._table.dropped_files():
            (Path(self._folder.name) / dropped).unlink(missing_ok=True)


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


class _Seat:
    """A slot in use, and what its KV cache holds for sure."""

    def __init__(self, slot: int, prompt: list[int]) -> None:
        self.slot = slot
        self._prompt = prompt
        self._read = 0
        self._written: Tokens = []

    def find(self, held: Tokens) -> None:
        """Take note of what is in the slot before anything is asked of the server."""
        self._read = common_prefix(held, self._prompt)
        self._written = held[self._read :]

    def ask(self) -> None:
        """The server is asked: of what it holds, it keeps as far as the prompt agrees."""
        self._written = []

    @property
    def holds_all(self) -> bool:
        """Whether the whole prompt is in the cache."""
        return self._read == len(self._prompt)

    @property
    def held(self) -> list[int]:
        """Tokens in the cache: what has been read of the prompt, and what was written after it."""
        return [*self._prompt[: self._read], *self._written]

    def follow(self, event: dict[str, Any]) -> None:
        """Take note of an event of the server."""
        progress = event.get("prompt_progress")
        if progress is not None:
            self._read = int(progress["processed"])
        else:
            self._read = len(self._prompt)
            self._written = [*self._written, *event.get("tokens", ())]


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """The token that comes first after a prompt that was read in advance."""

    prompt: tuple[list[int], Sampling]
    token: int
    text: str


def _end(event: dict[str, Any], *, foreseen: bool) -> GenerationEnd:
    return GenerationEnd(
        reason="length" if event.get("stop_type") == "limit" else "stop",
        prompt_tokens=int(event["tokens_evaluated"]) - foreseen,
        cached_tokens=int(event["timings"]["cache_n"]),
        output_tokens=int(event["tokens_predicted"]) + foreseen,
    )

"""The default engine: small open models on the CPU, for a machine with no GPU and no account."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path

from hearsight.agent.models.base import Capabilities, GenerateRequest
from hearsight.agent.models.embedded.continuation import GREEDY, Sampling
from hearsight.agent.models.embedded.conversation import EmbeddedConversation
from hearsight.agent.models.embedded.language_model import LanguageModel
from hearsight.agent.models.embedded.prompt import context_pieces
from hearsight.agent.models.embedded.sight import Sight
from hearsight.agent.models.embedded.speech_to_text import SpeechToText
from hearsight.config.engines import EmbeddedSettings
from hearsight.config.errors import PayloadMissing
from hearsight.config.payloads import PayloadStore

ENGLISH_ONLY = "tiny.en"


class EmbeddedEngine:
    """Implements ``hearsight.agent.models.base.Engine``; speech and pictures become text first.

    Args:
        language_model: Writes.
        speech_to_text: Hears.
        sight: Sees.
        context_limit: Tokens that a prompt and its answer may have together.
        sampling: How the language model chooses its words.
        reads: Whether text in pictures is read.
        kept_in: Folder in which the KV cache of the standing instructions outlives the process.
    """

    name = "embedded"
    capabilities = Capabilities(audio=False, pictures=False)

    def __init__(
        self,
        language_model: LanguageModel,
        speech_to_text: SpeechToText,
        sight: Sight,
        *,
        context_limit: int,
        sampling: Sampling = GREEDY,
        reads: bool = True,
        kept_in: Path,
    ) -> None:
        self._kept_in = kept_in
        self._standing = ""
        self.context_limit = context_limit
        self._language_model = language_model
        self._speech_to_text = speech_to_text
        self._sight = sight
        self._sampling = sampling
        self._reads = reads

    def open(self, session_id: str) -> EmbeddedConversation:
        """A session's own conversation."""
        return EmbeddedConversation(
            session_id,
            self._language_model,
            self._speech_to_text.of(session_id),
            self._sight.of(session_id),
            sampling=self._sampling,
            reads=self._reads,
            standing=self._standing,
        )

    async def warm_up(self, request: GenerateRequest) -> None:
        """Read the standing instructions, or what an earlier run made of them.

        Raises:
            EngineError: The language model failed.
        """
        self._standing = request.instructions
        beginning = context_pieces(request, self._standing)
        await self._language_model.begin_with(beginning, kept_in=self._kept_in)

    async def load(self) -> None:
        """Load all models side by side.

        Raises:
            EngineError: A library is missing, or a model cannot be loaded.
        """
        models = (self._language_model, self._speech_to_text, self._sight)
        results = await asyncio.gather(*(model.load() for model in models), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def aclose(self) -> None:
        """Free the models."""
        async with AsyncExitStack() as closing:
            for model in (self._sight, self._speech_to_text, self._language_model):
                closing.push_async_callback(model.aclose)


async def open_embedded_engine(
    settings: EmbeddedSettings, store: PayloadStore, *, language: str = "en"
) -> EmbeddedEngine:
    """Load the models that the settings name.

    Args:
        settings: The engine's settings.
        store: Where the model files are.
        language: BCP 47 tag of what is spoken; the English speech model knows one only.

    Raises:
        PayloadError: A model file is missing or damaged.
        EngineError: A library is missing, or a model cannot be loaded.
    """
    threads = settings.threads or os.cpu_count() or 2
    english = settings.speech_to_text == ENGLISH_ONLY
    try:
        objects_dir = store.path("coco-ssd") if settings.objects else None
    except PayloadMissing:
        objects_dir = None  # it is optional: without it, pictures are described by colours, codes and text
    engine = EmbeddedEngine(
        LanguageModel(
            store.file(settings.language_model),
            threads=threads,
            context_tokens=settings.context_tokens,
            slots=settings.slots,
        ),
        SpeechToText(
            store.path(f"whisper-{settings.speech_to_text}"),
            # Whisper was measured to be as fast on one of two cores as on both, and the other has much to do.
            threads=max(1, threads // 2),
            language="en" if english else language.split("-")[0],
        ),
        Sight(objects_dir=objects_dir, text=settings.ocr, threads=threads),
        context_limit=settings.context_tokens,
        sampling=Sampling(settings.temperature),
        reads=settings.ocr,
        kept_in=store.cache_dir / "prefill",
    )
    try:
        await engine.load()
    except BaseException:
        await engine.aclose()
        raise
    return engine

"""The engine: a model on another machine, and this one's ears and eyes where it has none."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

import structlog
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential

from hearsight.agent.ledger import CONTEXT_LIMIT
from hearsight.agent.models.base import Capabilities, GenerateRequest
from hearsight.agent.models.embedded.sight import Sight
from hearsight.agent.models.embedded.speech_to_text import SpeechToText
from hearsight.agent.models.openai.conversation import OpenAIConversation, Senses
from hearsight.agent.models.openai.counter import Calibration
from hearsight.agent.models.openai.prompt import render, tool_schemas
from hearsight.agent.models.openai.remote import Remote, ServedModel, ServerError
from hearsight.config.engines import EmbeddedSettings, OpenAISettings
from hearsight.config.errors import PayloadMissing
from hearsight.config.payloads import PayloadStore
from hearsight.streams.errors import EngineError

ENGLISH_ONLY = "tiny.en"

_log = structlog.get_logger(__name__)


class OpenAIEngine:
    """Implements ``hearsight.agent.models.base.Engine``.

    Args:
        remote: The server; closed with the engine.
        ear: Writes down what is said, where the model does not.
        eye: Puts pictures into words, where the model does not see.
        reads: Whether the eye reads text.
        context_limit: Tokens that a prompt and its answer may have together.
    """

    name = "openai"

    def __init__(
        self,
        remote: Remote,
        *,
        ear: SpeechToText | None = None,
        eye: Sight | None = None,
        reads: bool = True,
        context_limit: int = CONTEXT_LIMIT,
    ) -> None:
        settings = remote.settings
        self.capabilities = Capabilities(audio=settings.audio, pictures=settings.pictures)
        self.context_limit = context_limit
        self.calibration = Calibration(padded=settings.audio_tokens == "padded")
        self._remote = remote
        self._ear = ear
        self._eye = eye
        self._senses = Senses(ear, eye, reads)

    def open(self, session_id: str) -> OpenAIConversation:
        """A session's own conversation."""
        return OpenAIConversation(session_id, self._remote, self._senses, self.calibration)

    async def warm_up(self, request: GenerateRequest) -> None:
        """Have the server read what sessions begin with, which also shows that it will answer them.

        Raises:
            EngineError: It does not answer; this is for whoever runs the service, and names it.
        """
        server_tools = self._remote.settings.tools == "server"
        turns = render(request, {}, server_tools=server_tools, closed=False)
        body = {"messages": [turn.wire() for turn in turns]}
        if server_tools and request.tools:
            body["tools"] = tool_schemas(request.tools)
        try:
            end = await self._remote.read(body)
        except ServerError as error:
            raise EngineError(error.trouble.logged, code=error.code) from error
        if end.prompt_tokens:
            self.calibration.learn(turns, end.prompt_tokens)

    async def aclose(self) -> None:
        """Close the connections, and free the models of this machine."""
        async with AsyncExitStack() as closing:
            for part in (self._remote, self._ear, self._eye):
                if part is not None:
                    closing.push_async_callback(part.aclose)


async def open_openai_engine(
    settings: OpenAISettings,
    embedded: EmbeddedSettings,
    store: PayloadStore,
    *,
    context_limit: int = CONTEXT_LIMIT,
    language: str = "en",
) -> OpenAIEngine:
    """Reach the server, and load what hears and sees here in its place.

    Args:
        settings: Of the server.
        embedded: Of what hears and sees here.
        store: Where the model files are.
        context_limit: Tokens that a prompt and its answer may have together; fewer if the server has fewer.
        language: BCP 47 tag of what is spoken.

    Raises:
        PayloadError: A model file is missing or damaged.
        EngineError: The server cannot be reached, or a model of this machine cannot be loaded.
    """
    async with AsyncExitStack() as opened:
        remote = Remote(settings)
        opened.push_async_callback(remote.aclose)
        served = await _first_sign(remote)
        ear = eye = None
        if settings.hears_here:
            ear = _ear(embedded, store, language)
            opened.push_async_callback(ear.aclose)
            await ear.load()
        if not settings.pictures:
            eye = _eye(embedded, store)
            opened.push_async_callback(eye.aclose)
            await eye.load()
        limit = min(context_limit, served.context_tokens or context_limit)
        opened.pop_all()
        return OpenAIEngine(remote, ear=ear, eye=eye, reads=embedded.ocr, context_limit=limit)


async def _first_sign(remote: Remote) -> ServedModel:
    """What the server says of the model; waits for it as long as the settings say.

    Not every server lists the models that it has, so one that is not listed is no error yet.
    """
    settings = remote.settings
    retrying = AsyncRetrying(
        stop=stop_after_delay(settings.start_timeout_s),
        wait=wait_exponential(multiplier=0.5, max=5.0),
        retry=retry_if_exception(lambda error: isinstance(error, ServerError) and error.trouble.passing),
        reraise=True,
    )
    models: list[ServedModel] = []  # where the server has no such list
    try:
        models = await retrying(remote.models)
    except ServerError as error:
        if error.code not in ("engine_misconfigured", "engine_failed"):
            raise EngineError(error.trouble.logged, code=error.code) from error
    named = next((model for model in models if model.name == settings.model), None)
    if models and named is None:
        _log.warning("model not listed", model=settings.model, listed=[model.name for model in models][:16])
    return named or ServedModel(settings.model)


def _ear(embedded: EmbeddedSettings, store: PayloadStore, language: str) -> SpeechToText:
    english = embedded.speech_to_text == ENGLISH_ONLY
    return SpeechToText(
        store.path(f"whisper-{embedded.speech_to_text}"),
        threads=max(1, _threads(embedded) // 2),
        language="en" if english else language.split("-")[0],
    )


def _eye(embedded: EmbeddedSettings, store: PayloadStore) -> Sight:
    try:
        objects_dir = store.path("coco-ssd") if embedded.objects else None
    except PayloadMissing:
        objects_dir = None  # it is optional: pictures are described by colours, codes and text
    return Sight(objects_dir=objects_dir, text=embedded.ocr, threads=_threads(embedded))


def _threads(embedded: EmbeddedSettings) -> int:
    return embedded.threads or os.cpu_count() or 2

"""The server: requests to it, repeated where that is safe, and what comes back as text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

import openai
import structlog
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from hearsight.agent.models.base import Delta, GenerationEnd
from hearsight.agent.models.openai.fields import Fields
from hearsight.agent.models.openai.troubles import Asked, Trouble, trouble_of
from hearsight.agent.models.openai.written import Written
from hearsight.config.engines import OpenAISettings
from hearsight.streams.errors import EngineError

NO_KEY = "none"
"""The SDK insists on a key; servers that want none do not look at it."""
MAX_RETRY_AFTER_S = 5.0
"""Nobody waits longer for an answer to begin, whatever the server asks for."""

_log = structlog.get_logger(__name__)

_Begun: TypeAlias = tuple[AsyncGenerator[ChatCompletionChunk], ChatCompletionChunk]
"""The rest of an answer, and its first chunk that says something."""


class ServerError(EngineError):
    """An error of the server, with what whoever runs the service has to know."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.told, code=trouble.code)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that the server lists."""

    name: str
    context_tokens: int | None = None
    """Where the server tells, as vLLM does."""


class Remote:
    """A client of one server, shared by all sessions.

    Args:
        settings: Where it is, and how it is asked.
        client: The SDK's client; None makes one.
    """

    def __init__(self, settings: OpenAISettings, client: AsyncOpenAI | None = None) -> None:
        self.settings = settings
        self._client = client or new_client(settings)
        self._fields = Fields()

    async def models(self) -> list[ServedModel]:
        """The models that the server has.

        Raises:
            ServerError: It cannot be asked.
        """
        try:
            listed = [model async for model in self._client.models.list()]
        except openai.OpenAIError as error:
            raise ServerError(trouble_of(error, self._asked({}))) from error
        return [ServedModel(each.id, _context_tokens(each.model_extra or {})) for each in listed]

    async def stream(
        self, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Delta]:
        """Have an answer written; closing the iterator closes the connection, upon which the server stops.

        Args:
            body: The request, but for the model and the sampling of the settings.
            headers: Beside the usual ones.

        Raises:
            ServerError: The server cannot be reached, refuses, or fails.
        """
        body = self._complete(body)
        try:
            async with aclosing(self._chunks(body, headers)) as chunks:
                written = Written()
                async for chunk in chunks:
                    if text := written.take(chunk):
                        yield text
                if calls := written.calls.text():
                    yield calls
                yield written.end
        except openai.OpenAIError as error:
            trouble = trouble_of(error, self._asked(body))
            _log.warning("model server failed", reason=trouble.logged, code=trouble.code)
            raise ServerError(trouble) from error

    async def read(
        self, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> GenerationEnd:
        """Have a prompt read, and one token written, which nobody wants.

        Raises:
            ServerError: As for `stream`.
        """
        end = GenerationEnd("stop")
        async with aclosing(self.stream({**body, "max_tokens": 1}, headers=headers)) as deltas:
            async for delta in deltas:
                if isinstance(delta, GenerationEnd):
                    end = delta
        return end

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _chunks(
        self, body: dict[str, Any], headers: Mapping[str, str] | None
    ) -> AsyncGenerator[ChatCompletionChunk]:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(1 + self.settings.retries),
            wait=_wait,
            retry=retry_if_exception(self._may_pass),
            reraise=True,
        )
        begun: _Begun = await retrying(self._begin, body, headers)
        stream, first = begun
        async with aclosing(stream):
            yield first
            async for chunk in stream:
                yield chunk

    async def _begin(self, body: dict[str, Any], headers: Mapping[str, str] | None) -> _Begun:
        """Ask, and wait for the first sign of an answer: until then, asking again changes nothing."""
        while True:
            try:
                opened = await self._client.chat.completions.create(
                    **self._fields.accepted(body), stream=True, extra_headers=headers
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not self._fields.learn(error, body):
                    raise
                continue
            stream = _closing(opened)
            try:
                async for chunk in stream:
                    if _says_something(chunk):
                        return stream, chunk
            except BaseException:
                await stream.aclose()
                raise
            raise openai.APIError("the answer broke off before it began", opened.response.request, body=None)

    def _complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        settings = self.settings
        sampling = {"temperature": settings.temperature, "top_p": settings.top_p, "seed": settings.seed}
        whole = {
            "model": settings.model,
            "stream_options": {"include_usage": True},
            **{name: value for name, value in sampling.items() if value is not None},
            **body,
        }
        if settings.top_k is not None:
            whole["top_k"] = settings.top_k
        return whole

    def _may_pass(self, error: BaseException) -> bool:
        return isinstance(error, openai.OpenAIError) and trouble_of(error, self._asked({})).passing

    def _asked(self, body: Mapping[str, Any]) -> Asked:
        kinds = {
            part["type"]
            for message in body.get("messages", ())
            if isinstance(message["content"], list)
            for part in message["content"]
        }
        return Asked(
            self.settings.base_url,
            self.settings.model,
            audio="input_audio" in kinds,
            pictures="image_url" in kinds,
            token_timeout_s=self.settings.token_timeout_s,
        )


def new_client(settings: OpenAISettings) -> AsyncOpenAI:
    """The SDK's client as the settings want it."""
    timeout = openai.Timeout(settings.token_timeout_s, connect=settings.connect_timeout_s)
    return AsyncOpenAI(
        base_url=settings.base_url,
        api_key=settings.api_key.get_secret_value() if settings.api_key else NO_KEY,
        timeout=timeout,
        max_retries=0,  # here it is known whether something has been said already
    )


async def _closing(stream: openai.AsyncStream[ChatCompletionChunk]) -> AsyncGenerator[ChatCompletionChunk]:
    try:
        async for chunk in stream:
            yield chunk
    finally:
        await stream.close()


def _says_something(chunk: ChatCompletionChunk) -> bool:
    """Whether a chunk is more than the announcement that there will be an answer."""
    return bool(chunk.usage) or any(
        choice.delta.content or choice.delta.tool_calls or choice.finish_reason for choice in chunk.choices
    )


def _context_tokens(extra: Mapping[str, Any]) -> int | None:
    value = extra.get("max_model_len")
    return value if isinstance(value, int) and value > 0 else None


_backoff = wait_exponential_jitter(initial=0.2, max=2.0, jitter=0.2)


def _wait(state: RetryCallState) -> float:
    """As long as the server asks for, within reason; else a little, and then more."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, openai.APIStatusError):
        try:
            return min(max(float(error.response.headers.get("retry-after", "")), 0.0), MAX_RETRY_AFTER_S)
        except ValueError:
            pass
    return _backoff(state)

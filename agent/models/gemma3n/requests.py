"""What is asked of a session, as prompts and generations over its media."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from langchain_core.messages import BaseMessage, HumanMessage

from hearsight.agent.models.base import GenerateRequest
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.context_cache import ContextCache
from hearsight.agent.models.gemma3n.decoding import Answer, Detokenizer
from hearsight.agent.models.gemma3n.generation import Generation
from hearsight.agent.models.gemma3n.media import SessionMedia
from hearsight.agent.models.gemma3n.prompt import Prompt
from hearsight.agent.models.gemma3n.sampling import Sampler
from hearsight.streams.errors import EngineError


class Requests:
    """Renders one session's requests.

    Args:
        adapter: The model.
        media: What the messages name.
        seed: Of the sampling; None draws a fresh one for every answer.
    """

    def __init__(self, adapter: Gemma3nAdapter, media: SessionMedia, seed: int | None) -> None:
        self._adapter = adapter
        self._media = media
        self._seed = seed

    def new_cache(self) -> ContextCache:
        """An empty cache that takes the session's media."""
        return ContextCache(self._adapter.decoder, self._adapter.embedder, self._media.embed)

    def open_prompt(self, expected: GenerateRequest) -> Prompt:
        """A prompt up to what the user is saying, or will most likely be shown before they speak."""
        known = {file_id for file_id, _ in media_of(expected.messages)}
        return self._adapter.prompts.open(
            expected.messages,
            self._media,
            instructions=expected.instructions,
            tools=expected.tools,
            heard=self._media.arriving(known),
        )

    def generation(self, request: GenerateRequest, cache: ContextCache) -> Generation:
        """An answer that is to be written, in this cache."""
        sampling = self._adapter.sampling
        if request.temperature is not None:
            sampling = replace(sampling, temperature=request.temperature)
        answer = Answer(
            Sampler(sampling, self._seed),
            Detokenizer(self._adapter.tokenizer),
            self._adapter.stop_ids,
            request.max_tokens,
            self._adapter.forced_start(request.tool_choice, request.tools),
        )
        return Generation(cache, self._renderer(request), media_of(request.messages), answer)

    def _renderer(self, request: GenerateRequest) -> Callable[[], Prompt]:
        limit = self._adapter.context_limit - request.max_tokens

        def render() -> Prompt:
            prompt = self._adapter.prompts.closed(
                request.messages, self._media, instructions=request.instructions, tools=request.tools
            )
            if len(prompt.tokens) > limit:
                raise EngineError(
                    f"The conversation takes {len(prompt.tokens):,} tokens, and {max(0, limit):,} fit beside "
                    "the answer.",
                    code="context_length_exceeded",
                )
            return prompt

        return render


def before_last_turn(messages: Sequence[BaseMessage]) -> tuple[BaseMessage, ...]:
    """The messages without the user's last ones."""
    end = len(messages)
    while end and isinstance(messages[end - 1], HumanMessage):
        end -= 1
    return tuple(messages[:end])


def media_of(messages: Sequence[BaseMessage]) -> list[tuple[str, bool]]:
    """File ids that messages name, each with whether it is a picture."""
    return [
        (part["file_id"], part["type"] == "image")
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
        if isinstance(part, dict) and part["type"] in ("audio", "image")
    ]

"""What an answer has come to, chunk by chunk."""

from __future__ import annotations

from typing import Any

from openai.types.chat import ChatCompletionChunk

from hearsight.agent.models.base import GenerationEnd
from hearsight.agent.models.openai.streamed_calls import StreamedCalls


class Written:
    """What one answer has come to."""

    def __init__(self) -> None:
        self.calls = StreamedCalls()
        self._pieces = 0
        self._reason = "stop"
        self._usage: Any = None

    def take(self, chunk: ChatCompletionChunk) -> str:
        """Take a chunk; return the text in it."""
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self._reason = choice.finish_reason or self._reason
        self.calls.take(choice.delta.tool_calls or ())
        text = choice.delta.content or ""
        self._pieces += bool(text)
        return text

    @property
    def end(self) -> GenerationEnd:
        """How it ended, and what it cost as the server counts; its pieces, where it does not."""
        reason: Any = "length" if self._reason == "length" else "stop"
        if self._usage is None:
            return GenerationEnd(reason, output_tokens=self._pieces)
        details = self._usage.prompt_tokens_details
        cached = (details.cached_tokens if details else None) or 0
        return GenerationEnd(reason, self._usage.prompt_tokens, cached, self._usage.completion_tokens)

"""Tokens of the parts of a prompt, as the checkpoint's tokenizer counts them."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from hearsight.agent.messages import is_interrupted
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.clips import MAX_CLIP_SAMPLES, SEARCH_SAMPLES
from hearsight.agent.models.gemma3n.prompt import GEMMA3N_MARKUP, INTERRUPTED
from hearsight.agent.models.gemma3n.tool_format import call_text, describe_tools, result_text
from hearsight.tools.calls import ToolSpec


class Gemma3nCounter:
    """Implements ``TokenCounter``.

    Line ends at a seam between two parts merge into one token in the prompt, so the sum of the parts may be
    a token or two for each part above the prompt itself. It is never below, but for the empty turn in front
    of a conversation that the assistant begins.

    Args:
        adapter: Whose prompts are counted.
    """

    def __init__(self, adapter: Gemma3nAdapter) -> None:
        self._adapter = adapter
        markup = GEMMA3N_MARKUP
        count = self._count
        self._turn = max(map(count, (markup.user_start, markup.model_start))) + count(markup.turn_end)
        self._audio_wrapper = count(markup.audio_start) + count(markup.audio_end)
        self._picture_wrapper = count(markup.picture_start) + count(markup.picture_end)

    def _count(self, text: str) -> int:
        return len(self._adapter.prompts.encode(text))

    def wrapper(self, message: BaseMessage) -> int:
        """Tokens of a message besides its contents: its turn, its call, what stands around a result."""
        if isinstance(message, ToolMessage):
            # As JSON, a text may be much longer than it is.
            whole = self._count(self._adapter.prompts.plain(result_text(str(message.content))))
            return self._turn + max(0, whole + 1 - self.text(str(message.content)))
        if isinstance(message, AIMessage) and message.tool_calls:
            call = message.tool_calls[0]
            written = self._adapter.prompts.plain(call_text(call["name"], call["args"]))
            return self._turn + self._count(written) + 1
        return self._turn + (self._count(INTERRUPTED) if is_interrupted(message) else 0)

    def text(self, text: str) -> int:
        """Tokens of a text, and of the line end that may set it off."""
        return self._count(self._adapter.prompts.plain(text)) + 1

    def audio(self, samples: int, transcript: str | None) -> int:
        """Tokens of an utterance; beyond 30 seconds it is several clips, cut at pauses."""
        shortest = MAX_CLIP_SAMPLES - SEARCH_SAMPLES
        clips = 1 if samples <= MAX_CLIP_SAMPLES else -(-samples // shortest)
        each = -(-samples // clips)
        return clips * (self._adapter.audio_token_count(each) + 1 + self._audio_wrapper)

    def picture(self, caption: str | None) -> int:
        """Tokens of a picture."""
        return self._adapter.pictures.tokens + self._picture_wrapper

    def system(self, instructions: str) -> int:
        """Tokens of the instructions and of all that stands around the conversation."""
        markup = GEMMA3N_MARKUP
        around = self._count(markup.begin) + self._count(markup.model_start)
        return around + self._count(self._adapter.prompts.head(instructions, ()))

    def tools(self, tools: Sequence[ToolSpec]) -> int:
        """Tokens of the tools' descriptions."""
        return self._count(f"{describe_tools(tools)}\n\n") if tools else 0

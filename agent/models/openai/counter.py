"""How long a prompt is for a model whose tokenizer is elsewhere: reckoned, then put right by its server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from hearsight.agent.ledger import PICTURE_TOKENS, audio_tokens
from hearsight.agent.messages import is_interrupted
from hearsight.agent.models.embedded.speech_to_text import MAX_PIECE_S
from hearsight.agent.models.gemma3n.tool_format import call_text, describe_tools, result_text
from hearsight.agent.models.openai.media import AudioClip
from hearsight.agent.models.openai.prompt import INTERRUPTED, ChatTurn, Part
from hearsight.streams.events import INPUT_RATE_HZ
from hearsight.tools.calls import ToolSpec

FIRST_BYTES_PER_TOKEN = 3.0
"""Of UTF-8, before anything is known: English takes more than four, code and other languages about three."""
BYTES_PER_TOKEN = (1.0, 6.0)
"""No tokenizer is outside of this."""
CAUTION = 0.95
"""Texts differ: they are reckoned a little longer than the last ones were."""
LEARNING = 0.3
"""Weight of the newest prompt."""
WORTH_LEARNING_BYTES = 200
"""Of a shorter text, what stands around it says more than it does."""
TURN_TOKENS = 6
"""What a template puts around a turn: Gemma's takes five, Qwen's six."""
MEDIA_TOKENS = 4
"""What stands around speech or a picture."""
PADDED_CLIP_TOKENS = 188
"""What vLLM and transformers make of a clip of up to 30 seconds, whatever its length."""


@dataclass(slots=True)
class Calibration:
    """What is known of the server's tokenizer; shared by all sessions.

    Attributes:
        padded: A clip counts as `PADDED_CLIP_TOKENS`.
        bytes_per_token: Of text, as last seen.
    """

    padded: bool = True
    bytes_per_token: float = FIRST_BYTES_PER_TOKEN

    def text(self, text: str) -> int:
        """Tokens of a text."""
        size = len(text.encode("utf-8", "replace"))
        return math.ceil(size / (self.bytes_per_token * CAUTION))

    def clip(self, samples: int) -> int:
        """Tokens of a clip of so many samples at 16 kHz."""
        return MEDIA_TOKENS + (PADDED_CLIP_TOKENS if self.padded else audio_tokens(samples))

    def part(self, part: Part) -> int:
        """Tokens of a part of a message."""
        if isinstance(part, str):
            return self.text(part)
        return self.clip(part.samples) if isinstance(part, AudioClip) else MEDIA_TOKENS + PICTURE_TOKENS

    def turn(self, turn: ChatTurn) -> int:
        """Tokens of a message."""
        return TURN_TOKENS + sum(map(self.part, turn.parts))

    def learn(self, turns: Sequence[ChatTurn], prompt_tokens: int) -> None:
        """The server has counted a prompt."""
        parts = [part for turn in turns for part in turn.parts]
        size = sum(len(part.encode("utf-8", "replace")) for part in parts if isinstance(part, str))
        media = sum(self.part(part) for part in parts if not isinstance(part, str))
        text_tokens = prompt_tokens - media - TURN_TOKENS * len(turns)
        if size < WORTH_LEARNING_BYTES or text_tokens <= 0:
            return
        self._move(self.bytes_per_token + LEARNING * (size / text_tokens - self.bytes_per_token))

    def too_long(self) -> None:
        """The server refused a prompt that should have fitted."""
        self._move(self.bytes_per_token * 0.8)

    def _move(self, bytes_per_token: float) -> None:
        least, most = BYTES_PER_TOKEN
        self.bytes_per_token = min(max(bytes_per_token, least), most)


class RemoteCounter:
    """Implements ``TokenCounter``.

    Args:
        calibration: What is known of the tokenizer.
        audio: Speech goes to the server as it is.
        pictures: Pictures do.
    """

    def __init__(self, calibration: Calibration, *, audio: bool, pictures: bool) -> None:
        self._calibration = calibration
        self._audio = audio
        self._pictures = pictures

    def wrapper(self, message: BaseMessage) -> int:
        """Tokens of a message besides its contents: its turn, its call, what stands around a result."""
        if isinstance(message, ToolMessage):
            whole, content = result_text(str(message.content)), str(message.content)
            return TURN_TOKENS + max(0, self.text(whole) - self.text(content))
        if isinstance(message, AIMessage) and message.tool_calls:
            call = message.tool_calls[0]
            return TURN_TOKENS + self.text(call_text(call["name"], call["args"]))
        return TURN_TOKENS + (self.text(INTERRUPTED) if is_interrupted(message) else 0)

    def text(self, text: str) -> int:
        """Tokens of a piece of text."""
        return self._calibration.text(text)

    def audio(self, samples: int, transcript: str | None) -> int:
        """Tokens of an utterance, which is several clips where it is long; or of what was said in it."""
        if not self._audio:
            return self.text(transcript or "")
        clips = max(1, math.ceil(samples / (MAX_PIECE_S * INPUT_RATE_HZ)))
        return clips * self._calibration.clip(math.ceil(samples / clips))

    def picture(self, caption: str | None) -> int:
        """Tokens of a picture, or of what it shows."""
        if not self._pictures:
            return self.text(f"[picture: {caption or ''}]")
        return MEDIA_TOKENS + PICTURE_TOKENS

    def system(self, instructions: str) -> int:
        """Tokens of the instructions, and of where the answer begins."""
        return 2 * TURN_TOKENS + self.text(instructions)

    def tools(self, tools: Sequence[ToolSpec]) -> int:
        """Tokens of the tools' descriptions."""
        return self.text(f"\n\n{describe_tools(tools)}") if tools else 0

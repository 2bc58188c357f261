"""Messages as the tokens of one prompt, media included, such that two prompts can be compared token by token.

Text between special tokens is tokenised in one run, as the reference processor does it: runs of line ends
merge across the seams. A soft token stands for itself by name, so that the cache can be compared with a
prompt without encoding anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from hearsight.agent.messages import is_interrupted, seen
from hearsight.agent.models.gemma3n.tool_format import call_text, describe_tools, result_text
from hearsight.tools.calls import ToolSpec


class AudioToken(NamedTuple):
    """Soft token ``place`` of a clip of an utterance."""

    item_id: str
    clip: int
    place: int
    ended_at: int = 0
    """Samples after which the clip was taken to be over, where the token depends on that; else 0."""


class PictureToken(NamedTuple):
    """Soft token ``place`` of a picture at a size."""

    key: str
    side_px: int
    place: int


class AudioPadding(NamedTuple):
    """What fills a clip up to the length that the reference processor gives to each."""


INTERRUPTED = " (The user interrupted you here.)"
"""Behind an answer that was cut off, lest the model think that it chose to end there."""

Token: TypeAlias = int | AudioToken | PictureToken | AudioPadding


@dataclass(frozen=True, slots=True)
class Markup:
    """The strings around turns and media in a model's prompt."""

    begin: str
    user_start: str
    model_start: str
    turn_end: str
    audio_start: str
    audio_end: str
    picture_start: str
    picture_end: str


GEMMA3N_MARKUP = Markup(
    begin="<bos>",
    user_start="<start_of_turn>user\n",
    model_start="<start_of_turn>model\n",
    turn_end="<end_of_turn>\n",
    audio_start="\n\n<start_of_audio>",
    audio_end="<end_of_audio>\n\n",
    picture_start="\n\n<start_of_image>",
    picture_end="<end_of_image>\n\n",
)


class Media(Protocol):
    """What a prompt has to know of the media that its messages name."""

    def clips(self, item_id: str) -> Sequence[Sequence[Token]] | None:
        """The tokens of each clip of an utterance, None when it is not held."""
        ...

    def open_clips(self, item_id: str) -> Sequence[Sequence[Token]] | None:
        """Like ``clips``, but only tokens that more speech does not change."""
        ...

    def picture(self, key: str) -> Sequence[Token] | None:
        """The tokens of a picture, None when it is not held."""
        ...

    def shown_before(self, item_id: str) -> Collection[str]:
        """Keys of the pictures that came before an utterance began."""
        ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tokens, and the places among them where a turn begins or a picture ends: good places to return to."""

    tokens: tuple[Token, ...]
    boundaries: tuple[int, ...]


_Part: TypeAlias = str | Sequence[Token]
"""Text that goes through the tokenizer, or tokens that do not."""


class PromptBuilder:
    """Renders messages.

    Args:
        tokenizer: The checkpoint's tokenizer.
        markup: The strings of its prompt.
    """

    def __init__(self, tokenizer: Any, markup: Markup = GEMMA3N_MARKUP) -> None:
        self._markup = markup
        self._special = re.compile("|".join(map(re.escape, _special_tokens(tokenizer))))
        # Every turn is tokenised once, however often the conversation is rendered.
        self.encode: Callable[[str], tuple[int, ...]] = lru_cache(maxsize=2048)(
            lambda text: tuple(tokenizer.encode(text, add_special_tokens=False))
        )

    def closed(
        self,
        messages: Sequence[BaseMessage],
        media: Media,
        *,
        instructions: str = "",
        tools: Sequence[ToolSpec] = (),
    ) -> Prompt:
        """A prompt whose next token is the first of the model's answer."""
        turns = self._turns(messages, media, instructions, tools)
        if turns[-1][0] == "user":
            turns.append(("model", []))
        return self._tokens(turns)

    def open(
        self,
        messages: Sequence[BaseMessage],
        media: Media,
        *,
        instructions: str = "",
        tools: Sequence[ToolSpec] = (),
        heard: Iterable[tuple[str, bool]] = (),
    ) -> Prompt:
        """A prompt in which the user's turn has begun and goes on.

        Args:
            messages: The conversation before it.
            media: What they name.
            instructions: Of the system.
            tools: What the model may call.
            heard: File ids of what is being said and shown, in order, each with whether it is a picture; the
                last one may be unfinished.
        """
        turns = self._turns(messages, media, instructions, tools)
        if turns[-1][0] == "model":
            turns.append(("user", []))
        open_end = False
        for file_id, is_picture in heard:
            clips = () if is_picture else media.open_clips(file_id) or ()
            parts = list(self._picture(file_id, media) if is_picture else self._audio(clips))
            turns[-1][1].extend(parts)
            open_end = not is_picture and bool(parts)
        if open_end:
            turns[-1][1].pop()  # the end of the audio is not known to have come
        return self._tokens(turns)

    # --- turns --------------------------------------------------------------------------------------------

    def _turns(
        self, messages: Sequence[BaseMessage], media: Media, instructions: str, tools: Sequence[ToolSpec]
    ) -> list[tuple[str, list[_Part]]]:
        """The parts of each turn; roles alternate and the first is the user's, as the template demands."""
        head = self.head(instructions, tools)
        first: list[_Part] = [head] if head else []
        turns: list[tuple[str, list[_Part]]] = [("user", first)]
        fresh = True
        for message in messages:
            role = "model" if isinstance(message, AIMessage) else "user"
            if turns[-1][0] != role:
                turns.append((role, []))
                fresh = True
            parts = list(self._message(message, media))
            if not fresh and parts and isinstance(parts[0], str) and isinstance(turns[-1][1][-1], str):
                parts.insert(0, "\n")
            turns[-1][1].extend(parts)
            fresh = fresh and not parts
        return turns

    def head(self, instructions: str, tools: Sequence[ToolSpec]) -> str:
        """What the first turn begins with: the instructions and the tools."""
        parts = [self.plain(instructions.strip()), self.plain(describe_tools(tools)) if tools else ""]
        return "".join(f"{part}\n\n" for part in parts if part)

    def _message(self, message: BaseMessage, media: Media) -> Iterator[_Part]:
        if isinstance(message, ToolMessage):
            yield self.plain(result_text(str(message.content)))
            return
        blocks = [{"type": "text", "text": message.content}]
        if not isinstance(message.content, str):
            blocks = [part for part in message.content if isinstance(part, dict)]
        yield from self._blocks(_in_order_of_arrival(blocks, media), media)
        if is_interrupted(message):
            yield INTERRUPTED
        if isinstance(message, AIMessage) and message.tool_calls:
            call = message.tool_calls[0]
            break_before = "\n" if message.content else ""
            yield break_before + self.plain(call_text(call["name"], call["args"]))

    def _blocks(self, blocks: Iterable[dict[str, Any]], media: Media) -> Iterator[_Part]:
        after_text = False
        for block in blocks:
            found: list[_Part] = []
            if block["type"] == "audio":
                found = list(self._audio(media.clips(block["file_id"]) or ()))
            elif block["type"] == "image":
                found = list(self._picture(block["file_id"], media))
            if found:
                yield from found
                after_text = False
            elif text := _text_of(block):
                yield ("\n" if after_text else "") + self.plain(text)
                after_text = True

    def _audio(self, clips: Sequence[Sequence[Token]]) -> Iterator[_Part]:
        for clip in clips:
            yield self._markup.audio_start
            yield clip
            yield self._markup.audio_end

    def _picture(self, key: str, media: Media) -> Iterator[_Part]:
        if tokens := media.picture(key):
            yield self._markup.picture_start
            yield tokens
            yield self._markup.picture_end

    def plain(self, text: str) -> str:
        """Text in which nothing is a special token: what users and tools write must not forge a turn."""
        return self._special.sub(lambda found: found[0][0] + " " + found[0][1:], text)

    # --- tokens -------------------------------------------------------------------------------------------

    def _tokens(self, turns: Sequence[tuple[str, list[_Part]]]) -> Prompt:
        tokens: list[Token] = list(self.encode(self._markup.begin))
        boundaries: list[int] = []
        for number, (role, parts) in enumerate(turns):
            last = number == len(turns) - 1
            # What comes between the end of speech and the answer is few tokens: they are read in one go.
            if number and (parts or not last):
                boundaries.append(len(tokens))
            text = self._markup.user_start if role == "user" else self._markup.model_start
            if not number and parts and isinstance(parts[0], str):
                # The head stays, whatever follows; only its last token may merge with that.
                boundaries.append(len(tokens) + len(self.encode(text + parts[0])) - 1)
            for part in parts:
                if isinstance(part, str):
                    text += part
                    continue
                tokens += self.encode(text)
                tokens += part
                if (last and part is parts[-1]) or not _is_speech(part):
                    boundaries.append(len(tokens))
                text = ""
            tokens += self.encode(text + ("" if last else self._markup.turn_end))
        return Prompt(tuple(tokens), tuple(boundaries))


def _is_speech(part: Sequence[Token]) -> bool:
    return bool(part) and isinstance(part[0], AudioToken | AudioPadding)


def _special_tokens(tokenizer: Any) -> list[str]:
    """All strings that the tokenizer reads as control tokens, longest first."""
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted(added | set(tokenizer.all_special_tokens), key=len, reverse=True)


def _in_order_of_arrival(blocks: Sequence[dict[str, Any]], media: Media) -> list[dict[str, Any]]:
    """Pictures that came while somebody spoke go behind the speech, which was in the cache before them."""
    speech = next((at for at, block in enumerate(blocks) if block["type"] == "audio"), None)
    if speech is None:
        return list(blocks)
    first = media.shown_before(blocks[speech]["file_id"])
    late = [b for b in blocks[:speech] if b["type"] == "image" and b["file_id"] not in first]
    early = [block for block in blocks[:speech] if block not in late]
    return [*early, blocks[speech], *late, *blocks[speech + 1 :]]


def _text_of(block: dict[str, Any]) -> str:
    """A block as text: its own, or what is known of media that are no longer held."""
    if block["type"] == "text":
        return str(block["text"]).strip()
    if block["type"] == "audio":
        return block.get("transcript") or "[speech, no longer kept]"
    return seen("picture", block.get("caption") or "no longer kept")

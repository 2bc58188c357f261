"""Settings of the engines: which one thinks, and how each is set up."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from hearsight.config.fields import Section, UserPath

MAX_CONTEXT_TOKENS = 32_768
"""The longest context that Gemma 3n was trained on."""


class EngineSettings(Section):
    """Which engine perceives and thinks."""

    name: Literal["embedded", "gemma3n", "openai", "scripted"] = Field(
        "embedded",
        description="The engine: `embedded` (small models on the CPU), `gemma3n` (Gemma 3n in this process), "
        "`openai` (an OpenAI-compatible server such as vLLM) or `scripted` (fixed answers, for tests).",
    )
    script: UserPath | None = Field(
        None, description="File with the answers of the `scripted` engine; needed by that engine only."
    )

    stall_s: float = Field(
        120,
        ge=0,
        le=3600,
        description="Seconds in which an answer that is waited for gets nowhere, tools aside, after which it "
        "is given up with an error; 0: never.",
    )

    @model_validator(mode="after")
    def _script_for_scripted(self) -> EngineSettings:
        if self.name == "scripted" and self.script is None:
            raise PydanticCustomError(
                "contradiction",
                "The scripted engine needs a file of answers: set engine.script",
                {"keys": ["engine.name", "engine.script"]},
            )
        return self


class EmbeddedSettings(Section):
    """The engine made of small models, for a machine without a GPU."""

    speech_to_text: Literal["tiny.en", "base"] = Field(
        "tiny.en",
        description="Whisper model that writes down the speech: `tiny.en` (English, 75 MB) or `base` "
        "(more accurate, many languages, 145 MB, about twice the time).",
    )
    language_model: Literal["qwen2.5-1.5b", "qwen2.5-0.5b"] = Field(
        "qwen2.5-1.5b",
        description="Language model: `qwen2.5-1.5b` (1.1 GB) or `qwen2.5-0.5b` (0.5 GB, faster, but makes up "
        "facts where it should call a tool).",
    )
    threads: int | None = Field(
        None, ge=1, le=256, description="CPU threads of each model; unset uses every core of this machine."
    )
    context_tokens: int = Field(
        MAX_CONTEXT_TOKENS,
        ge=1024,
        le=MAX_CONTEXT_TOKENS,
        description="Size of the language model's KV cache, in tokens, all slots together.",
    )
    slots: int = Field(2, ge=1, le=64, description="Conversations whose KV cache is kept warm side by side.")
    temperature: float = Field(
        0.2, ge=0.0, le=2.0, description="Sampling temperature of the language model; 0 is deterministic."
    )
    ocr: bool = Field(True, description="Read the text in pictures.")
    objects: bool = Field(True, description="Recognise objects in pictures.")


class Gemma3nSettings(Section):
    """Gemma 3n in this process, through transformers."""

    model: str = Field(
        "google/gemma-3n-E2B-it",
        min_length=1,
        description="Hub name or local folder of the weights, such as `google/gemma-3n-E4B-it`.",
    )
    dtype: Literal["auto", "bfloat16", "float32"] = Field(
        "auto",
        description="Number format of the weights in memory; `auto` takes bfloat16.",
    )
    device_map: str = Field(
        "auto",
        min_length=1,
        description="Where accelerate puts the layers: `auto`, `balanced`, `cpu` or a device as `cuda:0`.",
    )
    audio_tokens: Literal["exact", "padded"] = Field(
        "exact",
        description="Soft tokens of an utterance: `exact` (6.25 per second of speech) or `padded` (188 for "
        "every 30 seconds begun, as the reference processor does).",
    )
    quantization: Literal["none", "int8", "int4"] = Field(
        "none",
        description="Weights of the decoder in 8 or 4 bits: half or a quarter of their memory, and a little "
        "less sense. Wants torchao; `int4` also wants a GPU.",
    )
    cache_mib: int | None = Field(
        None,
        ge=64,
        description="Memory for the KV caches of all sessions, in MiB; beyond it those unused for longest "
        "are dropped, and filled anew when needed. Unset takes half of what is free beside the model.",
    )
    seed: int | None = Field(
        None,
        ge=0,
        description="The same conversation gets the same answers; unset draws anew each time.",
    )


class OpenAISettings(Section):
    """A server of OpenAI chat completions that thinks for this one: vLLM, llama.cpp, `transformers serve`."""

    base_url: str = Field(
        "http://127.0.0.1:8000/v1",
        pattern=r"^https?://[^\s/]+",
        description="Address of the server's API, up to and including `/v1`.",
    )
    api_key: SecretStr | None = Field(None, description="Bearer token for that server, where it wants one.")
    model: str = Field(
        "google/gemma-3n-E2B-it", min_length=1, description="Model name that is asked of the server."
    )
    audio: bool = Field(
        True,
        description="The model hears for itself (`input_audio`); if not, Whisper writes it down here.",
    )
    pictures: bool = Field(
        True,
        description="The model sees for itself (`image_url`); if not, pictures are put into words here.",
    )
    transcripts: Literal["model", "local"] = Field(
        "model",
        description="Who writes down for the client what was said, where the model hears: `model`, or "
        "`local`, Whisper on this machine.",
    )
    audio_tokens: Literal["exact", "padded"] = Field(
        "padded",
        description="How the server counts speech: `padded` (188 tokens for every 30 seconds begun, as vLLM "
        "and transformers do for Gemma 3n) or `exact` (6.25 per second).",
    )
    tools: Literal["prompt", "server"] = Field(
        "prompt",
        description="How the model learns of tools: `prompt` describes them in the instructions and reads "
        "calls from the text, with any server; `server` leaves both to the server (`tools`, `tool_calls`).",
    )
    temperature: float | None = Field(
        None, ge=0.0, le=2.0, description="Sampling temperature; unset leaves it to the server."
    )
    top_p: float | None = Field(
        None, gt=0.0, le=1.0, description="Share of the likeliest words to draw from; unset: the server's."
    )
    top_k: int | None = Field(
        None, ge=1, description="Number of the likeliest words to draw from; unset: the server's."
    )
    seed: int | None = Field(
        None, ge=0, description="The same conversation gets the same answers, as far as the server can."
    )
    read_ahead: bool = Field(
        True,
        description="Let the server read, while the user speaks, what comes before their words and is new to "
        "it. Pays with a server that keeps prefixes in its cache, as vLLM does.",
    )
    picture_px: int = Field(
        768,
        ge=64,
        le=4096,
        description="Longest side of a picture as it is sent; Gemma 3n looks at no more than 768.",
    )
    start_timeout_s: float = Field(
        0,
        ge=0,
        le=86_400,
        description="Seconds to wait at the start for a server that cannot be reached yet; 0 does not wait.",
    )
    connect_timeout_s: float = Field(5, gt=0, le=600, description="Seconds that a connection may take.")
    token_timeout_s: float = Field(
        60, gt=0, le=3600, description="Seconds without a word from the server after which an answer fails."
    )
    retries: int = Field(
        2, ge=0, le=10, description="Times that a request is repeated of which no word has come yet."
    )

    @property
    def hears_here(self) -> bool:
        """Whether speech is written down on this machine."""
        return not self.audio or self.transcripts == "local"

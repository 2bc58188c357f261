"""The engine: one model, shared by all sessions of the process."""

from __future__ import annotations

from dataclasses import replace

from hearsight.agent.models.base import Capabilities, GenerateRequest
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.conversation import ConversationSettings, Gemma3nConversation
from hearsight.agent.models.gemma3n.loading import LoadSettings, free_memory, load_gemma3n
from hearsight.agent.models.gemma3n.scheduler import Scheduler
from hearsight.config.engines import Gemma3nSettings
from hearsight.streams.events import Detail

MIB = 1024 * 1024
CPU_PIECE, GPU_PIECE = 64, 512
"""Tokens of a prefill step: about half a second on two cores, and some milliseconds on a GPU."""
CPU_WAIT_FOR, GPU_WAIT_FOR = 9, 1
"""Soft tokens of speech that are prefilled together: on a CPU a few cost as much as one."""
CPU_SIDES_PX: dict[Detail, int] = {"low": 256, "auto": 512, "high": 768}
GPU_SIDES_PX: dict[Detail, int] = {"low": 256, "auto": 768, "high": 768}


class Gemma3nEngine:
    """Implements ``Engine``.

    Args:
        adapter: The model.
        settings: How its sessions work; None fits them to the model's device.
        cache_limit: Memory for the KV caches of all sessions, in bytes.
    """

    name = "gemma3n"
    capabilities = Capabilities(audio=True, pictures=True)

    def __init__(
        self,
        adapter: Gemma3nAdapter,
        settings: ConversationSettings | None = None,
        *,
        cache_limit: int | None = None,
    ) -> None:
        self._adapter = adapter
        self._settings = settings or fitting_settings(adapter)
        self._scheduler = Scheduler(cache_limit=cache_limit)

    @classmethod
    def load(cls, settings: Gemma3nSettings) -> Gemma3nEngine:
        """Load the model that the settings name; takes a while, and belongs on a thread.

        Raises:
            StartupError: It cannot be loaded.
        """
        wanted = LoadSettings(
            settings.model,
            dtype=settings.dtype,
            device_map=settings.device_map,
            audio_tokens=settings.audio_tokens,
            quantization=settings.quantization,
        )
        adapter = load_gemma3n(wanted)
        limit = settings.cache_mib * MIB if settings.cache_mib else free_memory(adapter.model.device) // 2
        return cls(adapter, replace(fitting_settings(adapter), seed=settings.seed), cache_limit=limit)

    @property
    def context_limit(self) -> int:
        """Tokens that a prompt and its answer may have together."""
        return self._adapter.context_limit

    def open(self, session_id: str) -> Gemma3nConversation:
        """A session's own conversation."""
        conversation = Gemma3nConversation(self._adapter, self._scheduler, self._settings)
        self._scheduler.add(conversation)
        return conversation

    async def warm_up(self, request: GenerateRequest) -> None:
        """Run the model once over what sessions begin with, so that the first of them meets it warm.

        Raises:
            EngineError: The model failed.
        """
        conversation = self.open("warm-up")
        try:
            await conversation.prefill(request)
        finally:
            await conversation.aclose()

    async def aclose(self) -> None:
        """Stop the model's thread; idempotent."""
        await self._scheduler.aclose()


def fitting_settings(adapter: Gemma3nAdapter) -> ConversationSettings:
    """Small steps and pictures on a CPU, large ones on a GPU."""
    if adapter.model.device.type == "cpu":
        return ConversationSettings(CPU_PIECE, CPU_SIDES_PX, wait_for=CPU_WAIT_FOR, slow_pictures=True)
    return ConversationSettings(GPU_PIECE, GPU_SIDES_PX, wait_for=GPU_WAIT_FOR)

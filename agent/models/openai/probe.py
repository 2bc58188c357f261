"""Whether a server does what will be asked of it: text, a moment of silence, a small picture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import cv2
import numpy as np

from hearsight.agent.models.openai.media import SentPicture, data_url, wav_clip
from hearsight.agent.models.openai.prompt import ChatTurn, Part
from hearsight.agent.models.openai.remote import Remote, ServedModel, ServerError
from hearsight.agent.models.openai.troubles import Trouble

SILENCE = np.zeros(8_000, np.int16)
"""Half a second."""
PICTURE_PX = 64


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of one question.

    Attributes:
        what: ``text``, ``speech`` or ``pictures``.
        trouble: Why there was no answer; None where there was one.
        prompt_tokens: What the server made of the question; 0 where it does not tell.
    """

    what: str
    trouble: Trouble | None = None
    prompt_tokens: int = 0


async def listed(remote: Remote) -> list[ServedModel] | Trouble:
    """The models that the server lists, or why it does not."""
    try:
        return await remote.models()
    except ServerError as error:
        return error.trouble


async def probe(remote: Remote) -> AsyncIterator[Probe]:
    """Ask for one token to everything that the settings send to the model."""
    asked: list[tuple[str, tuple[Part, ...]]] = [("text", ("Hello.",))]
    if remote.settings.audio:
        asked.append(("speech", (wav_clip(SILENCE), "What is said?")))
    if remote.settings.pictures:
        asked.append(("pictures", (_grey_picture(), "What is shown?")))
    for what, parts in asked:
        try:
            end = await remote.read({"messages": [ChatTurn("user", parts).wire()]})
        except ServerError as error:
            yield Probe(what, error.trouble)
        else:
            yield Probe(what, prompt_tokens=end.prompt_tokens)


def _grey_picture() -> SentPicture:
    pixels = np.full((PICTURE_PX, PICTURE_PX, 3), 128, np.uint8)
    return SentPicture(data_url(cv2.imencode(".jpg", pixels)[1].tobytes()))

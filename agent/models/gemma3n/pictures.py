"""Pictures to soft tokens: squashed to a square, encoded once, kept while they may be asked for again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDES_PX = (256, 512, 768)
"""The vision tower gives 256 tokens at each; a smaller side costs a tenth, and shows less detail."""


class PictureEncoder:
    """Encodes pictures, the same one only once for each size.

    Args:
        model: A ``Gemma3nForConditionalGeneration``.
        image_processor: Its processor's ``image_processor``.
        capacity: Encoded pictures to keep; the one unused for longest goes first.
    """

    def __init__(self, model: Any, image_processor: Any, *, capacity: int = 32) -> None:
        self._model = model.model
        # Convolutions run faster so, on CPU (a seventh) as on GPU, and come out the same.
        self._model.vision_tower.to(memory_format=torch.channels_last)
        self._processor = image_processor
        self._capacity = capacity
        self._encoded: OrderedDict[tuple[str, int], Tensor] = OrderedDict()
        self.tokens: int = model.config.vision_soft_tokens_per_image

    @property
    def full_side_px(self) -> int:
        """The side that the checkpoint's own processor takes."""
        return int(self._processor.size["height"])

    def cached(self, key: str, side_px: int) -> Tensor | None:
        """The soft tokens of a picture if they are still here."""
        tokens = self._encoded.get((key, side_px))
        if tokens is not None:
            self._encoded.move_to_end((key, side_px))
        return tokens

    def encode(self, key: str, bgr: NDArray[np.uint8], side_px: int) -> Tensor:
        """Encode a picture.

        Args:
            key: Equal pictures have equal keys.
            bgr: The decoded picture, shape (height, width, 3), blue first as OpenCV has it.
            side_px: Side of the square that it is squashed to.

        Returns:
            Its soft tokens, shape (tokens, text hidden).
        """
        if (known := self.cached(key, side_px)) is not None:
            return known
        tokens = self._run(bgr, side_px)
        self._encoded[key, side_px] = tokens
        while len(self._encoded) > self._capacity:
            self._encoded.popitem(last=False)
        return tokens

    def forget(self, key: str) -> None:
        """Drop a picture at every size."""
        for known in [known for known in self._encoded if known[0] == key]:
            del self._encoded[known]

    @torch.inference_mode()
    def _run(self, bgr: NDArray[np.uint8], side_px: int) -> Tensor:
        rgb = np.ascontiguousarray(bgr[:, :, ::-1])
        size = {"height": side_px, "width": side_px}
        batch = self._processor(images=rgb, size=size, return_tensors="pt", input_data_format="channels_last")
        weight = next(self._model.vision_tower.parameters())
        pixels = batch["pixel_values"].to(weight.device, weight.dtype, memory_format=torch.channels_last)
        features: Tensor = self._model.get_image_features(pixels, return_dict=True).pooler_output[0]
        return features

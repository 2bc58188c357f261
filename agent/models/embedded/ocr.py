"""Text in pictures, read by PaddleOCR's models through rapidocr, whose package carries them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from hearsight.agent.models.embedded.extra import import_from_extra
from hearsight.agent.models.embedded.text_lines import TextPiece, in_reading_order
from hearsight.streams.camera.decode import Pixels
from hearsight.streams.errors import EngineError

DETECTION_PX: Final = 1280
"""Longer sides are scaled down for finding text, not for reading it."""
MIN_SIDE_PX: Final = 400
"""Shorter sides are scaled up, for letters below ten pixels. rapidocr does so up to 736, which takes twice
the time on a camera's 640 × 480 and reads letters of 12 to 16 pixels worse."""
MAX_ENLARGEMENT: Final = 2.0
MIN_SCORE: Final = 0.65
"""Mean confidence in a piece's characters; what is below came out garbled."""
MIN_SINGLE_SCORE: Final = 0.95
"""For a single character: patterns and reflections look like one."""

_MODELS: Final = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
"""Finds the text, turns it upright, reads it."""


class TextReader:
    """Reads Latin and Chinese script; synchronous, to be used from one thread at a time."""

    def __init__(self, *, threads: int) -> None:
        """Prepare; the models are loaded with the first picture, never downloaded.

        Args:
            threads: CPU threads to compute with; what exceeds the machine's cores is ignored.

        Raises:
            EngineError: rapidocr is not installed, or its models are not in it.
        """
        rapidocr = import_from_extra("rapidocr", "Reading text in pictures")
        folder = Path(str(rapidocr.__file__)).parent / "models"
        models = {part: folder / name for part, name in _MODELS.items()}
        # Without explicit paths, rapidocr fetches what is missing from a server.
        if not all(path.is_file() for path in models.values()):
            raise EngineError(
                "The models that read text are missing; reinstall them with: "
                "pip install --force-reinstall --no-deps rapidocr==3.10.0",
                code="engine_unavailable",
            )
        self._ocr: Any = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",  # it logs every picture without text as a warning
                "Global.text_score": MIN_SCORE,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Det.limit_type": "max",
                "Det.limit_side_len": DETECTION_PX,
                **{f"{part}.model_path": str(path) for part, path in models.items()},
            }
        )

    def read(self, bgr: Pixels) -> tuple[str, ...]:
        """Read what is written in a picture.

        Args:
            bgr: Shape ``(height, width, 3)``: blue, green, red.

        Returns:
            Lines in reading order; none where there is no text.

        Raises:
            EngineError: The picture could not be read.
        """
        try:
            result = self._ocr(_enlarged(bgr))
        except Exception as error:  # what its several libraries raise has no common base
            raise EngineError("The text in the picture could not be read.") from error
        if result.boxes is None or not result.txts:
            return ()
        pieces = [
            TextPiece(" ".join(text.split()), np.asarray(box, dtype=np.float32))
            for box, text, score in zip(result.boxes, result.txts, result.scores, strict=True)
            if len(text.strip()) > 1 or score >= MIN_SINGLE_SCORE
        ]
        return in_reading_order(pieces)


def _enlarged(bgr: Pixels) -> Pixels:
    scale = min(MIN_SIDE_PX / min(bgr.shape[:2]), MAX_ENLARGEMENT)
    if scale <= 1:
        return bgr
    return np.asarray(
        cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), dtype=np.uint8
    )

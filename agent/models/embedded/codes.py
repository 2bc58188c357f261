"""QR codes in pictures."""

from __future__ import annotations

from typing import Any, Final

import cv2
import structlog

from hearsight.streams.camera.decode import Pixels

MAX_SIDE_PX: Final = 1600
"""Larger pictures are scaled down: the time grows with them, and codes held to a camera are not that fine."""
SECOND_LOOK: Final = 2
"""How many times larger a picture is made where a code is found but cannot be decoded. Of codes whose modules
measure three blurred, noisy pixels, that raised the share that is read from a twentieth to a half."""

log = structlog.get_logger(__name__)


class CodeReader:
    """OpenCV's QR code reader; synchronous, to be used from one thread at a time."""

    def __init__(self) -> None:
        # The detector that looks for codes as for ArUco markers read 19 of 20 slanted codes, the older one 5.
        self._detector = cv2.QRCodeDetectorAruco()

    def read(self, bgr: Pixels) -> tuple[str, ...]:
        """Read the QR codes in a picture.

        Args:
            bgr: Shape ``(height, width, 3)``: blue, green, red.

        Returns:
            What they hold, each once; a code that is found but cannot be decoded is left out.
        """
        grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        scale = MAX_SIDE_PX / max(grey.shape)
        if scale < 1:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        payloads = self._decode(grey)
        if "" in payloads:
            size = (grey.shape[1] * SECOND_LOOK, grey.shape[0] * SECOND_LOOK)
            payloads += self._decode(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC))
        return tuple(dict.fromkeys(payload for payload in payloads if payload))

    def _decode(self, grey: Any) -> list[str]:
        """What the codes that were found hold; an empty text for one that could not be decoded."""
        try:
            _, payloads, *_ = self._detector.detectAndDecodeMulti(grey)
        except cv2.error as error:  # its geometry fails on some patterns that only look like codes
            log.info("sight.qr_detection_failed", error=str(error))
            return []
        return list(payloads or ())

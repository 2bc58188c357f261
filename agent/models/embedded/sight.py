"""Sees without a vision model: objects, colours, QR codes and text in a picture, as words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Final, TypeVar

import cv2
import numpy as np
import structlog

from hearsight.agent.models.embedded.codes import CodeReader
from hearsight.agent.models.embedded.colours import main_colours
from hearsight.agent.models.embedded.objects import ObjectDetector
from hearsight.agent.models.embedded.ocr import TextReader
from hearsight.agent.models.embedded.scene import SceneDescription
from hearsight.agent.models.fair_queue import FairQueue
from hearsight.streams.camera.decode import Pixels, decode_picture
from hearsight.streams.errors import EngineError, InvalidPicture

MAX_PIXELS: Final = 50_000_000
"""More than any camera's pictures have; the server's own limit, which applies first, is lower."""

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class Sight:
    """The models that look at pictures, behind asyncio: one picture after the other, of all sessions in turn.

    They run in a thread of their own.

    A call that is cancelled while it waits for its turn is never computed.
    """

    def __init__(self, *, objects_dir: Path | None, text: bool = True, threads: int = 2) -> None:
        """Prepare; the models are loaded by `load` or when they are first needed.

        Args:
            objects_dir: Folder of the object detector's files; without it, or when it holds none because that
                optional payload was not fetched, objects are not reported.
            text: Whether text is read at all.
            threads: CPU threads to compute with.
        """
        self._objects_dir = objects_dir
        self._text = text
        self._threads = threads
        self._codes = CodeReader()
        self._detector: ObjectDetector | None = None
        self._reader: TextReader | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sight")
        self._queue = FairQueue()
        self._closed = False

    async def load(self) -> None:
        """Load the models and run them once, so that the first picture does not wait for either.

        Raises:
            EngineError: One cannot be loaded.
        """
        if self._objects_dir is not None and not _is_there(self._objects_dir):
            log.info("sight.no_object_detector", folder=str(self._objects_dir))
        sign = np.full((100, 200, 3), 255, dtype=np.uint8)
        cv2.putText(sign, "Ready", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3)
        await self.describe(sign, text=self._text)

    def of(self, session_id: str) -> SessionSight:
        """The same for one session, which takes turns with the others."""
        return SessionSight(self, session_id)

    async def describe(
        self, picture: bytes | Pixels, *, text: bool, session_id: str = ""
    ) -> SceneDescription:
        """Say what a picture shows.

        Args:
            picture: A JPEG, PNG or WebP file, or its pixels: shape ``(height, width, 3)``, blue, green, red.
            text: Whether to read the text in it, too, which takes by far the longest; where reading is
                switched off, there is none.
            session_id: Who asks.

        Raises:
            EngineError: The picture or a model cannot be used.
        """
        return await self._run(lambda: self._describe(_pixels(picture), text and self._text), session_id)

    async def read_text(self, picture: bytes | Pixels, session_id: str = "") -> tuple[str, ...]:
        """Read the text in a picture.

        Args:
            picture: As for `describe`.
            session_id: Who asks.

        Returns:
            Lines from top to bottom, pieces far apart on one line from left to right.

        Raises:
            EngineError: The picture or the model cannot be used, or reading is switched off.
        """
        if not self._text:
            raise EngineError("Reading text is switched off in the settings (embedded.ocr).")
        return await self._run(lambda: self._read(_pixels(picture)), session_id)

    async def aclose(self) -> None:
        """Let the picture that is being looked at finish, drop those that wait, and free the models."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
        self._detector = self._reader = None

    async def _run(self, work: Callable[[], Result], session_id: str) -> Result:
        async with self._queue.turn(session_id):
            if self._closed:
                raise EngineError("The engine is closed.", code="engine_unavailable")
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, copy_context().run, work)

    def _describe(self, bgr: Pixels, text: bool) -> SceneDescription:
        detector = self._loaded_detector()
        reader = self._loaded_reader() if text else None
        started = time.perf_counter()
        objects = detector.detect(bgr) if detector else ()
        colours = main_colours(bgr)
        codes = self._codes.read(bgr)
        lines = reader.read(bgr) if reader else ()
        height, width = bgr.shape[:2]
        return SceneDescription(
            objects, colours, codes, lines, width, height, compute_s=time.perf_counter() - started
        )

    def _read(self, bgr: Pixels) -> tuple[str, ...]:
        return self._loaded_reader().read(bgr)

    def _loaded_reader(self) -> TextReader:
        if self._reader is None:
            self._reader = TextReader(threads=self._threads)
        return self._reader

    def _loaded_detector(self) -> ObjectDetector | None:
        if self._detector is None and self._objects_dir is not None and _is_there(self._objects_dir):
            self._detector = ObjectDetector(self._objects_dir, threads=self._threads)
        return self._detector


class SessionSight:
    """One session's way to `Sight`; see `Eye` in `seeing`."""

    def __init__(self, sight: Sight, session_id: str) -> None:
        self._sight = sight
        self._session_id = session_id

    async def describe(self, picture: bytes, *, text: bool) -> SceneDescription:
        """Say what a picture shows; see `Sight.describe`."""
        return await self._sight.describe(picture, text=text, session_id=self._session_id)

    async def read_text(self, picture: bytes) -> tuple[str, ...]:
        """Read the text in a picture; see `Sight.read_text`."""
        return await self._sight.read_text(picture, self._session_id)


def _is_there(folder: Path) -> bool:
    return (folder / "model.json").is_file()


def _pixels(picture: bytes | Pixels) -> Pixels:
    """Decode a file; pixels are taken as they are."""
    if isinstance(picture, bytes):
        try:
            return decode_picture(picture, max_pixels=MAX_PIXELS).bgr
        except InvalidPicture as error:
            raise EngineError(error.message, code=error.code) from error
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise EngineError("The picture has no pixels that can be looked at.", code=InvalidPicture.code)
    return picture

"""Object detection: what stands in a picture, and where.

The network is COCO-SSD, an SSDLite with a MobileNet v2 in front (Sandler et al., 2018), in the weights that
the TensorFlow.js team publishes for browsers. Its convolutions run in onnxruntime; what comes after them,
turning offsets into boxes and dropping boxes that show the same thing, is done here as that team's own
package does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hearsight.agent.models.embedded.coco import LABELS
from hearsight.agent.models.embedded.tfjs_graph import Graph, read_graph
from hearsight.agent.models.embedded.tfjs_onnx import to_onnx
from hearsight.streams.camera.decode import Pixels
from hearsight.streams.errors import EngineError

INPUT_PX: Final = 300
"""The network sees a square; like in its training, other pictures are squeezed into it."""
MIN_SCORE: Final = 0.5
"""Below it the package does not report a detection either."""
MAX_OVERLAP: Final = 0.5
"""Intersection over union above which two boxes show the same object; the package's value."""
MAX_OBJECTS: Final = 20
"""The package's value, too."""

# Names of values inside the graph.
_PICTURE: Final = "Preprocessor/map/TensorArrayStack/TensorArrayGatherV3"
_OFFSETS: Final = "Squeeze"
_SCORES: Final = "Postprocessor/convert_scores"
_ANCHORS: Final = "Postprocessor/ExpandDims"
_OFFSET_SCALES: Final = np.array([10, 10, 5, 5], dtype=np.float32)
"""What the offsets in y, x, height and width were multiplied with in training (SSD's box coder)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture, in pixels from its top left corner."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """One thing that was recognised."""

    label: str
    """One of the 80 names in `LABELS`."""
    score: float
    """The network's confidence, 0 to 1."""
    box: Box


class ObjectDetector:
    """COCO-SSD; synchronous, to be used from one thread at a time."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Load the model, which takes about half a second.

        Args:
            folder: Holds the TensorFlow.js model: ``model.json`` and its shards.
            threads: CPU threads to compute with.

        Raises:
            EngineError: The onnx package is not installed, or the files cannot be loaded.
        """
        try:
            graph = read_graph(folder)
            self._anchors = _anchors(graph)
            model = to_onnx(graph, {_PICTURE: (1, INPUT_PX, INPUT_PX, 3)}, [_OFFSETS, _SCORES])
        except (OSError, ValueError) as error:
            raise EngineError(
                "The object detector's files are damaged; fetch them again with: hearsight models pull"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that spin between pictures would take the cores from the language model.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def detect(self, bgr: Pixels, *, min_score: float = MIN_SCORE) -> tuple[DetectedObject, ...]:
        """Find the objects in a picture.

        Args:
            bgr: Shape ``(height, width, 3)``: blue, green, red.
            min_score: The least confidence that is reported.

        Returns:
            At most `MAX_OBJECTS`, the surest first.
        """
        # Not averaged: the network was trained on bilinear samples, and on averaged ones it sees boats.
        square = cv2.resize(bgr, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_LINEAR)
        rgb = cv2.cvtColor(square, cv2.COLOR_BGR2RGB).astype(np.float32)
        offsets, scores = self._session.run([_OFFSETS, _SCORES], {_PICTURE: rgb[None]})
        scores = scores[0, :, 1:]  # class 0 is the background
        classes, best = scores.argmax(axis=1), scores.max(axis=1)
        likely = np.flatnonzero(best >= min_score)
        height, width = bgr.shape[:2]
        boxes = decode_boxes(offsets[0, likely], self._anchors[likely])
        boxes = boxes.clip(0, 1) * np.array([height, width, height, width], dtype=np.float32)
        return tuple(
            DetectedObject(LABELS[int(classes[anchor]) + 1], float(best[anchor]), _box(boxes[index]))
            for index, anchor in ((index, likely[index]) for index in distinct(boxes, best[likely]))
            if int(classes[anchor]) + 1 in LABELS
        )


def decode_boxes(offsets: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn a network's offsets into boxes.

    Args:
        offsets: Shape ``(n, 4)``: shift of the centre in y and x, as parts of the anchor's size, and
            logarithm of the growth in height and width, all multiplied by SSD's scales.
        anchors: Shape ``(n, 4)``: top, left, bottom, right.

    Returns:
        Shape ``(n, 4)``: top, left, bottom, right, in the anchors' unit.
    """
    sizes = anchors[:, 2:] - anchors[:, :2]
    scaled = offsets / _OFFSET_SCALES
    centres = anchors[:, :2] + sizes / 2 + scaled[:, :2] * sizes
    halves = np.exp(scaled[:, 2:]) * sizes / 2
    return np.concatenate([centres - halves, centres + halves], axis=1, dtype=np.float32)


def distinct(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[int]:
    """Choose one box for each object (non-maximum suppression), whatever class it was given.

    Args:
        boxes: Shape ``(n, 4)``: top, left, bottom, right, in pixels.
        scores: Shape ``(n,)``.

    Returns:
        Positions of the boxes to keep, the best first, at most `MAX_OBJECTS`.
    """
    if not len(boxes):
        return []
    corner_and_size = np.concatenate([boxes[:, 1::-1], boxes[:, 3:1:-1] - boxes[:, 1::-1]], axis=1)
    kept = cv2.dnn.NMSBoxes(corner_and_size.astype(np.float64).tolist(), scores.tolist(), 0.0, MAX_OVERLAP)
    return [int(index) for index in kept][:MAX_OBJECTS]


def _anchors(graph: Graph) -> NDArray[np.float32]:
    anchors = graph.weights.get(_ANCHORS)
    if anchors is None or anchors.ndim != 3 or anchors.shape[2] != 4:
        raise ValueError("the model is no SSD with anchors")
    return np.asarray(anchors[0], dtype=np.float32)


def _box(box: NDArray[np.float32]) -> Box:
    top, left, bottom, right = (round(float(edge)) for edge in box)
    return Box(left, top, right, bottom)

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_pictures import exposed, noisy
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.agent.models.embedded.objects import (
    MAX_OBJECTS,
    MAX_OVERLAP,
    MIN_SCORE,
    ObjectDetector,
    decode_boxes,
    distinct,
)
from hearsight.streams.camera.decode import Pixels
from hearsight.streams.errors import EngineError

PICTURES = Path(__file__).parents[3] / "data" / "pictures"


def photograph(name: str) -> Pixels:
    picture = cv2.imread(str(PICTURES / f"{name}.jpg"))
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    top, left = np.maximum(one[:2], other[:2])
    bottom, right = np.minimum(one[2:], other[2:])
    shared = max(0.0, float(bottom - top)) * max(0.0, float(right - left))
    areas = sum(float((box[2] - box[0]) * (box[3] - box[1])) for box in (one, other))
    return shared / (areas - shared)


def test_offsets_of_zero_are_the_anchor_itself() -> None:
    anchors = np.array([[0.1, 0.2, 0.5, 0.4], [0, 0, 1, 1]], dtype=np.float32)
    np.testing.assert_allclose(decode_boxes(np.zeros((2, 4), np.float32), anchors), anchors, atol=1e-7)


def test_offsets_move_and_grow_the_anchor() -> None:
    anchor = np.array([[0.0, 0.0, 0.2, 0.4]], dtype=np.float32)  # 0.2 high, 0.4 wide
    moved = decode_boxes(np.array([[10, 5, 0, 0]], np.float32), anchor)  # one height down, half a width right
    np.testing.assert_allclose(moved, [[0.2, 0.2, 0.4, 0.6]], atol=1e-6)
    grown = decode_boxes(np.array([[0, 0, 5 * np.log(2), 5 * np.log(3)]], np.float32), anchor)
    np.testing.assert_allclose(grown, [[-0.1, -0.4, 0.3, 0.8]], atol=1e-6)


BOXES = st.lists(
    st.tuples(*[st.integers(0, 500)] * 2, *[st.integers(5, 300)] * 2, st.floats(0.5, 1)),
    max_size=40,
)


@settings(deadline=None)
@given(BOXES)
def test_boxes_that_are_kept_show_different_things_and_no_thing_is_lost(
    found: list[tuple[int, int, int, int, float]],
) -> None:
    boxes = np.array([(top, left, top + high, left + wide) for top, left, high, wide, _ in found], np.float32)
    scores = np.array([score for *_, score in found], np.float32)
    kept = distinct(boxes, scores)
    assert len(kept) <= MAX_OBJECTS
    assert [scores[index] for index in kept] == sorted(scores[kept], reverse=True)
    for position, index in enumerate(kept):
        assert all(overlap(boxes[index], boxes[other]) <= MAX_OVERLAP + 1e-4 for other in kept[:position])
    if len(kept) < MAX_OBJECTS:
        for index in set(range(len(found))) - set(kept):
            better = [other for other in kept if scores[other] >= scores[index]]
            assert any(overlap(boxes[index], boxes[other]) >= MAX_OVERLAP - 1e-4 for other in better)


def test_a_missing_or_damaged_model_is_told_with_what_to_do(tmp_path: Path) -> None:
    for content in (None, "{", "{}", '{"modelTopology": {"node": []}, "weightsManifest": []}'):
        if content is not None:
            (tmp_path / "model.json").write_text(content)
        with pytest.raises(EngineError, match="hearsight models pull"):
            ObjectDetector(tmp_path, threads=1)


@pytest.fixture(scope="module")
def detector(models: Path) -> ObjectDetector:
    return ObjectDetector(models / "coco-ssd", threads=2)


@pytest.mark.models
class TestRealModel:
    @pytest.mark.parametrize(("name", "label"), [("astronaut", "person"), ("coffee", "cup"), ("cat", "cat")])
    def test_photographs_show_what_they_show(self, detector: ObjectDetector, name: str, label: str) -> None:
        found = detector.detect(photograph(name))
        assert found[0].label == label
        assert found[0].score > MIN_SCORE
        assert {each.label for each in found} <= {label, "dining table"}, "nothing else is in these pictures"

    def test_boxes_lie_where_the_things_are(self, detector: ObjectDetector) -> None:
        picture = photograph("coffee")  # 400 × 267
        [cup] = [each for each in detector.detect(picture) if each.label == "cup"]
        assert cup.box.left == pytest.approx(115, abs=12)
        assert cup.box.top == pytest.approx(15, abs=12)
        assert cup.box.right == pytest.approx(276, abs=12)
        assert cup.box.bottom == pytest.approx(167, abs=12)

    def test_a_mirrored_picture_has_mirrored_boxes(self, detector: ObjectDetector) -> None:
        picture = photograph("cat")
        [cat], [mirrored] = detector.detect(picture), detector.detect(np.ascontiguousarray(picture[:, ::-1]))
        width = picture.shape[1]
        assert mirrored.label == "cat"
        assert mirrored.box.left == pytest.approx(width - cat.box.right, abs=20)
        assert mirrored.box.right == pytest.approx(width - cat.box.left, abs=20)

    @pytest.mark.parametrize("name", ["coffee", "cat"])
    def test_poor_light_and_a_poor_sensor_are_borne(self, detector: ObjectDetector, name: str) -> None:
        picture = photograph(name)
        seen = detector.detect(picture)[0].label
        for worse in (exposed(picture, 0.6), exposed(picture, 1.3), noisy(picture, 12)):
            assert detector.detect(worse)[0].label == seen

    def test_two_side_by_side_are_two(self, detector: ObjectDetector) -> None:
        both = np.concatenate([photograph("cat"), photograph("cat")], axis=1)
        found = [each for each in detector.detect(both) if each.label == "cat"]
        assert len(found) == 2

    @pytest.mark.parametrize("kind", ["black", "white", "hiss", "stripe"])
    def test_nothing_is_seen_where_nothing_is(self, detector: ObjectDetector, kind: str) -> None:
        random = np.random.default_rng(0)
        picture = {
            "black": np.zeros((480, 640, 3), np.uint8),
            "white": np.full((480, 640, 3), 255, np.uint8),
            "hiss": random.integers(0, 256, (480, 640, 3), dtype=np.uint8),
            "stripe": np.full((2, 900, 3), 90, np.uint8),
        }[kind]
        assert detector.detect(picture) == ()

    def test_a_higher_bar_lets_less_through(self, detector: ObjectDetector) -> None:
        picture = photograph("coffee")
        counts = [len(detector.detect(picture, min_score=score)) for score in (0.2, 0.5, 0.9, 1.0)]
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] == 0

    def test_a_missing_package_is_told(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "onnx", None)
        with pytest.raises(EngineError, match="Recognising objects needs the embedded extra"):
            ObjectDetector(models / "coco-ssd", threads=1)

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytest_asyncio
from drawn_pictures import encoded, page, with_orientation
from drawn_signs import Sign, drawn, qr_code

from hearsight.agent.models.embedded.sight import Sight
from hearsight.streams.camera.decode import Pixels
from hearsight.streams.errors import EngineError
from hearsight.streams.observing import Observers, Scope, current_scope, within

PICTURES = Path(__file__).parents[3] / "data" / "pictures"
EXIT = Sign("EXIT", letter_px=40)


def is_of_sight(thread: threading.Thread) -> bool:
    return thread.name.startswith("sight")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sight() -> AsyncIterator[Sight]:
    """Without an object detector, whose files are optional."""
    part = Sight(objects_dir=None)
    await part.load()
    yield part
    await part.aclose()


@pytest.mark.asyncio(loop_scope="module")
class TestWithoutObjects:
    async def test_text_and_colours_of_a_sign(self, sight: Sight) -> None:
        seen = await sight.describe(drawn(EXIT, seed=1), text=True)
        assert seen.text_lines == ("EXIT",)
        assert seen.objects == seen.codes == ()
        assert "green" in seen.colours
        assert (seen.width, seen.height) == (640, 480)
        assert 0 < seen.compute_s < 60
        assert 'text: "EXIT"' in seen.sentence()

    async def test_text_is_left_out_where_it_is_not_wanted(self, sight: Sight) -> None:
        seen = await sight.describe(drawn(EXIT), text=False)
        assert seen.text_lines == ()
        assert seen.sentence().startswith("nothing recognised; main colours: ")

    async def test_codes_are_always_read(self, sight: Sight) -> None:
        seen = await sight.describe(qr_code("https://example.org"), text=False)
        assert seen.codes == ("https://example.org",)

    async def test_files_show_what_their_pixels_show(self, sight: Sight) -> None:
        view = drawn(EXIT)
        pixels = await sight.describe(view, text=True)
        for extension in (".png", ".jpg", ".webp"):
            file = await sight.describe(encoded(view, extension), text=True)
            assert (file.text_lines, file.colours) == (pixels.text_lines, pixels.colours)

    async def test_a_photograph_is_looked_at_upright(self, sight: Sight) -> None:
        turned = np.asarray(cv2.rotate(page("This side up"), cv2.ROTATE_90_COUNTERCLOCKWISE))
        seen = await sight.describe(with_orientation(encoded(turned, ".jpg"), 6), text=True)
        assert (seen.width, seen.height) == (640, 480)
        assert seen.text_lines == ("This side up",)

    async def test_text_is_read_in_order(self, sight: Sight) -> None:
        assert await sight.read_text(page("first line", "second line")) == ("first line", "second line")
        assert await sight.read_text(np.zeros((48, 64, 3), dtype=np.uint8)) == ()

    @pytest.mark.parametrize("picture", [b"", b"no picture", b"\xff\xd8\xff"])
    async def test_what_is_no_picture_is_refused(self, sight: Sight, picture: bytes) -> None:
        with pytest.raises(EngineError) as error:
            await sight.describe(picture, text=False)
        assert error.value.code == "invalid_image"
        with pytest.raises(EngineError):
            await sight.read_text(picture)

    @pytest.mark.parametrize(
        "pixels",
        [np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8)],
    )
    async def test_pixels_of_another_shape_are_refused(self, sight: Sight, pixels: Pixels) -> None:
        with pytest.raises(EngineError, match="no pixels that can be looked at"):
            await sight.describe(pixels, text=False)

    async def test_calls_at_the_same_time_do_not_mix(self, sight: Sight) -> None:
        signs = [Sign(text, letter_px=40) for text in ("EXIT", "PUSH", "PULL", "OPEN")]
        scenes = await asyncio.gather(*(sight.describe(drawn(sign), text=True) for sign in signs))
        assert [scene.text_lines for scene in scenes] == [(sign.text,) for sign in signs]

    async def test_a_call_cancelled_in_the_queue_leaves_the_others_alone(self, sight: Sight) -> None:
        first, second, third = (asyncio.create_task(sight.describe(drawn(EXIT), text=True)) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        assert (await first).text_lines == (await third).text_lines == ("EXIT",)
        assert second.cancelled()

    async def test_looking_does_not_hold_up_the_loop(self, sight: Sight) -> None:
        looking = asyncio.create_task(sight.read_text(page(*["a line of text"] * 6)))
        turns = 0
        while not looking.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 100


async def test_reading_that_is_switched_off_is_told_and_never_loaded() -> None:
    part = Sight(objects_dir=None, text=False)
    await part.load()
    assert (await part.describe(drawn(EXIT), text=True)).text_lines == ()
    with pytest.raises(EngineError, match="switched off in the settings"):
        await part.read_text(drawn(EXIT))
    await part.aclose()


async def test_a_detector_that_was_not_fetched_is_done_without(tmp_path: Path) -> None:
    part = Sight(objects_dir=tmp_path / "coco-ssd", text=False)
    await part.load()
    assert (await part.describe(PICTURES.joinpath("cat.jpg").read_bytes(), text=False)).objects == ()
    await part.aclose()


async def test_a_damaged_detector_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    part = Sight(objects_dir=tmp_path, text=False)
    for _ in range(2):
        with pytest.raises(EngineError, match="hearsight models pull"):
            await part.load()
    await part.aclose()


async def test_closing_ends_the_thread_and_refuses_what_comes_after() -> None:
    others = set(threading.enumerate())
    part = Sight(objects_dir=None, text=False)
    await part.load()
    assert [thread for thread in threading.enumerate() if thread not in others and is_of_sight(thread)]
    await part.aclose()
    await part.aclose()
    with pytest.raises(EngineError, match="closed"):
        await part.describe(drawn(EXIT), text=False)
    with pytest.raises(EngineError, match="closed"):
        await part.load()
    assert not [thread for thread in threading.enumerate() if thread not in others and is_of_sight(thread)]


@pytest.mark.models
async def test_photographs_are_told_in_words(models: Path) -> None:
    part = Sight(objects_dir=models / "coco-ssd")
    await part.load()
    told = {
        name: (await part.describe(PICTURES.joinpath(f"{name}.jpg").read_bytes(), text=True)).sentence()
        for name in ("astronaut", "coffee", "cat")
    }
    await part.aclose()
    assert "a person; main colours: orange" in told["astronaut"]
    assert told["coffee"].startswith("objects: a cup")
    assert told["cat"] == "objects: a cat; main colours: brown"


async def test_what_its_thread_logs_is_logged_for_the_session_that_it_looks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part, scope = Sight(objects_dir=None, text=False), Scope("sess_1", Observers())
    monkeypatch.setattr(part, "_describe", lambda *_: current_scope())
    with within(scope):
        assert await part.describe(PICTURES.joinpath("cat.jpg").read_bytes(), text=False) is scope
    await part.aclose()

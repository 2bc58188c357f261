"""Pictures that are made to do harm, over a real socket; what they do to decoders is tested with those."""

from __future__ import annotations

import asyncio
import base64
import time
import zlib

import cv2
import numpy as np
import pytest
import websockets
from drawn_pictures import encoded, png_chunk, png_header


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A grey picture of one bit a pixel."""
    return png_header(width, height, 1, 0) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")


def blank(width: int, height: int) -> bytes:
    return png(width, height, zlib.compress((b"\0" + bytes(-(-width // 8))) * height, 9))


def swelling() -> bytes:
    packer = zlib.compressobj(1)
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(128)), packer.flush()])


def giant_jpeg() -> bytes:
    data = encoded(np.zeros((16, 16, 3), np.uint8), ".jpg")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]


def many_scans() -> bytes:
    data = encoded(np.zeros((2000, 2000, 3), np.uint8), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * 2000 + b"\xff\xd9"


def image(data: bytes, kind: str = "png") -> dict[str, str]:
    return {"type": "input_image", "image_url": f"data:image/{kind};base64,{base64.b64encode(data).decode()}"}


BOMBS = {
    "a png of 3.6 gigapixels": (png(60_000, 60_000, zlib.compress(bytes(1000))), "60000 × 60000 pixels"),
    "a jpeg of 4.3 gigapixels": (giant_jpeg(), "65535 × 65535 pixels"),
    "a jpeg of 2,000 scans": (many_scans(), "more than 100 scans"),
    "128 megabytes in half a megabyte": (png(64, 64, swelling()), None),
    "no picture": (b"GIF89a", "not supported"),
    "nothing": (b"", "empty"),
}


@pytest.mark.parametrize(("data", "said"), BOMBS.values(), ids=BOMBS)
async def test_a_picture_that_is_a_bomb_is_refused_and_harms_nobody(serve, as_user, data, said):
    server = serve({"say": "Still here."})
    async with websockets.connect(server.realtime, max_size=None) as connection:
        user = as_user(connection)
        began = time.perf_counter()
        item = {"type": "message", "role": "user", "content": [image(data)]}
        await user.send("conversation.item.create", item=item)
        if said is not None:
            assert said in (await user.until("error"))["error"]["message"]
        await user.write("Hello?")
        assert await user.answer() == "Still here."
        assert time.perf_counter() - began < 10


async def test_large_pictures_in_small_messages_are_decoded_at_a_rate(serve, as_user):
    """33 megapixels in some 4 KB: a few megabytes of such messages would keep a core busy for minutes."""
    server = serve({"say": "Still here."}, **{"camera.max_pixels_per_s": 4096})
    data = blank(8000, 4000)
    assert len(data) < 8_000
    async with websockets.connect(server.realtime, max_size=None) as connection:
        user = as_user(connection)
        item = {"type": "message", "role": "user", "content": [image(data)] * 20}
        await user.send("conversation.item.create", item=item)
        error = (await user.until("error"))["error"]
        assert error["code"] == "rate_limit_exceeded" and "megapixels a second" in error["message"]
        await user.write("Hello?")
        assert await user.answer() == "Still here."


async def test_while_one_client_sends_them_another_is_answered(serve, as_user):
    server = serve({"say": "Still here."})
    item = {"type": "message", "role": "user", "content": [image(blank(8000, 4000))] * 20}
    async with (
        websockets.connect(server.realtime, max_size=None) as busy,
        websockets.connect(server.realtime) as other,
    ):
        await as_user(busy).send("conversation.item.create", item=item)
        user = as_user(other)
        began = time.perf_counter()
        await user.write("Hello?")
        assert await user.answer() == "Still here."
        assert time.perf_counter() - began < 5
        busy.transport.abort()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:{port}/metrics",
        "data:image/svg+xml;base64,PHN2Zy8+",
    ],
)
async def test_no_address_is_fetched(serve, as_user, url):
    server = serve({"say": "Still here."})
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)
        content = [{"type": "input_image", "image_url": url.format(port=server.port)}]
        await user.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": content}
        )
        assert (await user.until("error"))["error"]["code"] == "invalid_image"
        await user.write("Hello?")
        assert await user.answer() == "Still here."


async def test_a_conversation_is_filled_with_pictures_up_to_its_bytes(serve, as_user, monkeypatch):
    from hearsight.streams.session import items

    monkeypatch.setattr(items.Items.__init__, "__defaults__", (items.MAX_ITEMS, 100_000))
    server = serve({"say": "Still here."})
    data = encoded(np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8), ".png")
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)
        for _ in range(5):
            await user.send(
                "conversation.item.create", item={"type": "message", "role": "user", "content": [image(data)]}
            )
        error = (await user.until("error"))["error"]
        assert error["code"] == "limit_exceeded" and "delete some or start a new session" in error["message"]
        await user.write("Hello?")
        assert await user.answer() == "Still here."
        await asyncio.sleep(0)

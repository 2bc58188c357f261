from __future__ import annotations

import base64
import contextlib
import functools
import gc
import hashlib
import threading
import time
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import psutil
import pytest
from drawn_pictures import encoded, png_chunk, png_header, room, with_orientation
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.streams.camera.decode import (
    Pixels,
    content_key,
    decode_picture,
    decode_thumbnail,
    parse_data_url,
    read_header,
)
from hearsight.streams.errors import InvalidPicture

MANY = 40_000_000
LOSSLESS_WEBP = (cv2.IMWRITE_WEBP_QUALITY, 101)
SMALL = room(3, 60, 40)
FILES = {
    "JPEG": encoded(SMALL, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95),
    "PNG": encoded(SMALL, ".png"),
    "WebP": encoded(SMALL, ".webp", cv2.IMWRITE_WEBP_QUALITY, 95),
}
PROGRESSIVE = encoded(SMALL, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
every_file = pytest.mark.parametrize(("name", "data"), FILES.items(), ids=FILES)


def translucent() -> Pixels:
    """Left half opaque red, right half fully transparent black."""
    picture = np.zeros((20, 30, 4), dtype=np.uint8)
    picture[:, :15] = (0, 0, 255, 255)
    return picture


# --- what is accepted ------------------------------------------------------------------------------------


@every_file
def test_decodes_what_was_encoded(name: str, data: bytes) -> None:
    picture = decode_picture(data, max_pixels=MANY)
    assert (picture.format, picture.width, picture.height) == (name, 60, 40)
    assert picture.bgr.shape == (40, 60, 3)
    assert picture.bgr.dtype == np.uint8
    assert np.abs(picture.bgr.astype(int) - SMALL).mean() < (0.01 if name == "PNG" else 8)


@every_file
@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_reads_the_size_that_decoding_gives(name: str, data: bytes, width: int, height: int) -> None:
    extension = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp"}[name]
    resized = encoded(room(1, width, height), extension)
    header = read_header(resized)
    assert (header.width, header.height, header.format) == (width, height, name)
    assert header.mime_type == f"image/{name.lower()}"
    assert decode_picture(resized, max_pixels=MANY).bgr.shape == (height, width, 3)


@pytest.mark.parametrize("parameters", [(), LOSSLESS_WEBP], ids=["lossy", "lossless"])
def test_webp_of_both_kinds(parameters: tuple[int, ...]) -> None:
    picture = decode_picture(encoded(SMALL, ".webp", *parameters), max_pixels=MANY)
    assert np.abs(picture.bgr.astype(int) - SMALL).mean() < (0.01 if parameters else 8)


def test_progressive_jpeg() -> None:
    assert decode_picture(PROGRESSIVE, max_pixels=MANY).bgr.shape == (40, 60, 3)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
def test_grey_becomes_three_equal_channels(extension: str) -> None:
    grey = np.asarray(cv2.cvtColor(SMALL, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    bgr = decode_picture(encoded(grey, extension), max_pixels=MANY).bgr
    assert bgr.shape == (40, 60, 3)
    assert np.ptp(bgr.astype(int), axis=2).max() <= 2


def test_sixteen_bits_become_eight() -> None:
    deep = SMALL.astype(np.uint16) * 257
    png = encoded(deep, ".png")  # type: ignore[arg-type]
    np.testing.assert_array_equal(decode_picture(png, max_pixels=MANY).bgr, SMALL)


@pytest.mark.parametrize(("extension", "parameters"), [(".png", ()), (".webp", LOSSLESS_WEBP), (".webp", ())])
def test_transparency_lies_on_white(extension: str, parameters: tuple[int, ...]) -> None:
    data = encoded(translucent(), extension, *parameters)
    assert read_header(data).has_alpha
    bgr = decode_picture(data, max_pixels=MANY).bgr
    assert bgr.shape == (20, 30, 3)
    np.testing.assert_allclose(bgr[10, 3], (0, 0, 255), atol=6)
    np.testing.assert_allclose(bgr[10, 26], (255, 255, 255), atol=6)


def test_half_transparency_mixes() -> None:
    picture = np.full((4, 4, 4), (0, 0, 0, 128), dtype=np.uint8)
    assert decode_picture(encoded(picture, ".png"), max_pixels=MANY).bgr[0, 0].tolist() == [127, 127, 127]


@pytest.mark.parametrize(
    ("bits", "pixels"), [(8, b"\x80\xff\x80\x00"), (16, b"\x80\x00\xff\xff\x80\x00\x00\x00")]
)
def test_grey_with_transparency(bits: int, pixels: bytes) -> None:
    image_data = png_chunk(b"IDAT", zlib.compress(b"\x00" + pixels))
    data = png_header(2, 1, bits, colour_type=4) + image_data + png_chunk(b"IEND", b"")
    assert decode_picture(data, max_pixels=MANY).bgr.tolist() == [[[128] * 3, [255] * 3]]


def test_deep_transparency_too() -> None:
    deep = translucent().astype(np.uint16) * 257
    bgr = decode_picture(encoded(deep, ".png"), max_pixels=MANY).bgr  # type: ignore[arg-type]
    assert bgr[10, 3].tolist() == [0, 0, 255]
    assert bgr[10, 26].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("colour_type", "transparent"), [(2, bytes(6)), (3, b"\x00")])
def test_a_transparent_colour_of_a_png_counts_too(colour_type: int, transparent: bytes) -> None:
    # Two pixels, the first of which is the colour that the tRNS chunk makes transparent.
    pixels = {2: bytes(3) + b"\x80" * 3, 3: b"\x00\x01"}[colour_type]
    palette = png_chunk(b"PLTE", bytes(3) + b"\x80" * 3) if colour_type == 3 else b""
    data = (
        png_header(2, 1, colour_type=colour_type)
        + palette
        + png_chunk(b"tRNS", transparent)
        + png_chunk(b"IDAT", zlib.compress(b"\x00" + pixels))
        + png_chunk(b"IEND", b"")
    )
    bgr = decode_picture(data, max_pixels=MANY).bgr
    assert bgr.tolist() == [[[255] * 3, [128] * 3]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_come_out_upright(orientation: int) -> None:
    upright = room(5, 64, 48)
    stored = {
        1: upright,
        2: cv2.flip(upright, 1),
        3: cv2.rotate(upright, cv2.ROTATE_180),
        4: cv2.flip(upright, 0),
        5: cv2.transpose(upright),
        6: cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE),
        7: cv2.rotate(cv2.transpose(upright), cv2.ROTATE_180),
        8: cv2.rotate(upright, cv2.ROTATE_90_CLOCKWISE),
    }[orientation]
    jpeg = encoded(np.asarray(stored, dtype=np.uint8), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 98)
    picture = decode_picture(with_orientation(jpeg, orientation), max_pixels=MANY)
    assert (picture.width, picture.height) == (64, 48)
    assert np.abs(picture.bgr.astype(int) - upright).mean() < 8


def test_padding_behind_a_jpeg_is_no_error() -> None:
    assert decode_picture(FILES["JPEG"] + bytes(64), max_pixels=MANY).width == 60


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp"])
def test_a_thumbnail_shows_the_same_at_an_eighth(extension: str) -> None:
    picture = room(2, 640, 480)
    thumbnail = decode_thumbnail(encoded(picture, extension), max_pixels=MANY)
    assert thumbnail.shape == (60, 80, 3)
    expected = cv2.resize(picture, (80, 60), interpolation=cv2.INTER_AREA)
    assert np.abs(thumbnail.astype(int) - expected).mean() < 6


# --- what is refused -------------------------------------------------------------------------------------


@every_file
def test_a_picture_that_is_too_large_is_refused_by_its_header(name: str, data: bytes) -> None:
    with pytest.raises(InvalidPicture, match=r"has 60 × 40 pixels; at most 0\.002 megapixels are accepted"):
        decode_picture(data, max_pixels=2_000)
    with pytest.raises(InvalidPicture, match="megapixels"):
        decode_thumbnail(data, max_pixels=2_399)
    assert decode_picture(data, max_pixels=2_400).width == 60


def test_a_decompression_bomb_is_never_decoded() -> None:
    bomb = (
        png_header(60_000, 60_000)
        + png_chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + png_chunk(b"IEND", b"")
    )
    assert len(bomb) < 300
    with pytest.raises(InvalidPicture, match="60000 × 60000"):
        decode_picture(bomb, max_pixels=MANY)


@every_file
def test_every_truncation_is_refused(name: str, data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(InvalidPicture):
            decode_picture(data[:length], max_pixels=MANY)


def test_every_truncation_of_a_progressive_jpeg_with_exif_is_refused() -> None:
    data = with_orientation(PROGRESSIVE, 6)
    for length in range(len(data)):
        with pytest.raises(InvalidPicture):
            decode_picture(data[:length], max_pixels=MANY)


@every_file
def test_the_error_says_that_the_end_is_missing(name: str, data: bytes) -> None:
    with pytest.raises(InvalidPicture, match=f"The {name} picture is incomplete"):
        read_header(data[:-3])


@settings(max_examples=400, deadline=None)
@given(
    data=st.sampled_from([*FILES.values(), PROGRESSIVE, encoded(translucent(), ".webp")]),
    edits=st.lists(
        st.tuples(
            st.sampled_from(["set", "cut", "insert"]), st.floats(0, 1), st.binary(min_size=1, max_size=6)
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_whatever_is_changed_it_decodes_or_is_refused(
    data: bytes, edits: list[tuple[str, float, bytes]]
) -> None:
    for kind, where, new in edits:
        at = int(where * len(data))
        behind = {"set": at + len(new), "cut": at + 40 * len(new), "insert": at}[kind]
        data = data[:at] + (b"" if kind == "cut" else new) + data[behind:]
    for decode in (decode_picture, decode_thumbnail):
        try:
            decode(data, max_pixels=100_000)
        except InvalidPicture as error:
            assert error.message.endswith(".")


@given(st.sampled_from([b"", *(data[:12] for data in FILES.values())]), st.binary(max_size=200))
def test_no_bytes_make_the_header_reader_stumble(start: bytes, rest: bytes) -> None:
    try:
        header = read_header(start + rest)
    except InvalidPicture:
        return
    assert header.width > 0 and header.height > 0


@pytest.mark.parametrize("at", [20, 45, 60])
def test_a_png_changed_on_its_way_is_refused(at: int) -> None:
    data = bytearray(FILES["PNG"])
    data[at] ^= 1
    with pytest.raises(InvalidPicture, match="PNG picture is (damaged|incomplete)"):
        read_header(bytes(data))


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0)])
def test_a_picture_without_pixels_is_refused(width: int, height: int) -> None:
    with pytest.raises(InvalidPicture, match="damaged"):
        read_header(png_header(width, height) + png_chunk(b"IEND", b""))


def test_a_jpeg_that_lies_about_its_size_is_refused() -> None:
    frame = FILES["JPEG"].index(b"\xff\xc0")
    second = b"\xff\xc0\x00\x11\x08\x00\x08\x00\x08" + FILES["JPEG"][frame + 9 : frame + 19]
    with pytest.raises(InvalidPicture, match="damaged"):
        decode_picture(FILES["JPEG"][:frame] + second + FILES["JPEG"][frame:], max_pixels=MANY)


@pytest.mark.parametrize("extension", [".bmp", ".tiff"])
def test_another_format_is_refused_with_the_accepted_ones(extension: str) -> None:
    data = encoded(SMALL, extension)
    with pytest.raises(
        InvalidPicture, match=r"This kind of picture is not supported. Send JPEG, PNG or WebP."
    ):
        decode_picture(data, max_pixels=MANY)
    with pytest.raises(InvalidPicture, match=r"type 'image/bmp' are not supported"):
        decode_picture(data, max_pixels=MANY, mime_type="image/bmp")


def test_a_file_that_is_not_what_it_is_called_is_refused() -> None:
    with pytest.raises(InvalidPicture, match="The data is no jpeg picture"):
        read_header(b"<html>404</html>", "image/jpeg")
    with pytest.raises(InvalidPicture, match="The picture is empty"):
        read_header(b"", "image/jpeg")


def test_what_a_picture_is_called_does_not_matter_when_it_is_good() -> None:
    assert read_header(FILES["PNG"], "image/jpeg").mime_type == "image/png"


# --- data URLs and keys ----------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.sampled_from(["image/jpeg", "image/png", "IMAGE/WebP"]))
def test_data_urls_come_apart(data: bytes, mime_type: str) -> None:
    url = f"data:{mime_type};base64,{base64.b64encode(data).decode()}"
    assert parse_data_url(url) == (mime_type.lower(), data)


def test_data_urls_may_have_parameters_or_no_type() -> None:
    assert parse_data_url("DATA:image/png;name=a.png;base64,aGk=") == ("image/png", b"hi")
    assert parse_data_url("data:;base64,aGk=") == ("", b"hi")


@pytest.mark.parametrize("url", ["https://example.com/cat.jpg", "file:///etc/passwd", ""])
def test_other_urls_are_refused_and_not_fetched(url: str) -> None:
    with pytest.raises(InvalidPicture, match="addresses are not fetched"):
        parse_data_url(url)


@pytest.mark.parametrize("url", ["data:image/png,hello", "data:image/png;base64", "data:base64,aGk="])
def test_data_urls_without_base64_are_refused(url: str) -> None:
    with pytest.raises(InvalidPicture, match="must hold base64"):
        parse_data_url(url)


@pytest.mark.parametrize("payload", ["aGk", "a-k=", "aG k=", "äöü=", "aGk=aGk"])
def test_malformed_base64_is_refused(payload: str) -> None:
    with pytest.raises(InvalidPicture, match="malformed base64"):
        parse_data_url(f"data:image/png;base64,{payload}")


@given(st.text(max_size=100))
def test_no_text_makes_the_url_reader_stumble(text: str) -> None:
    for url in (text, f"data:{text}", f"data:image/png;base64,{text}"):
        try:
            parse_data_url(url)
        except InvalidPicture as error:
            assert error.message


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_keys_are_equal_where_contents_are(a: bytes, b: bytes) -> None:
    assert (content_key(a) == content_key(b)) == (a == b)
    assert content_key(a) == hashlib.blake2b(a, digest_size=16).hexdigest()


# --- bombs -----------------------------------------------------------------------------------------------


def peak_bytes(work: Callable[[], object]) -> int:
    """What this process held at most while it did something, beyond what it held before."""
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with contextlib.suppress(InvalidPicture):
            work()
    finally:
        done.set()
        watcher.join()
    return peak - before


def png_of(*chunks: tuple[bytes, bytes], width: int = 64, height: int = 64) -> bytes:
    body = b"".join(png_chunk(kind, data) for kind, data in chunks)
    return png_header(width, height) + body + png_chunk(b"IEND", b"")


ROWS = zlib.compress((b"\0" + bytes(64 * 3)) * 64)


@functools.cache
def swelling() -> bytes:
    """128 MiB of zeros, deflated."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(2**20)) for _ in range(128)]
    return b"".join([*parts, packer.flush()])


@pytest.mark.parametrize(
    ("kind", "start"),
    [(b"IDAT", b""), (b"iCCP", b"x\0\0"), (b"zTXt", b"x\0\0"), (b"iTXt", b"x\0\x01\0\0\0")],
    ids=["pixels", "colour profile", "text", "international text"],
)
def test_a_png_that_swells_when_it_is_unpacked_does_not_fill_the_memory(kind: bytes, start: bytes) -> None:
    """128 MiB out of half a megabyte: only the rows that its header promises are ever held."""
    rest = [] if kind == b"IDAT" else [(b"IDAT", ROWS)]
    data = png_of((kind, start + swelling()), *rest)
    assert len(data) < 2**20
    assert peak_bytes(lambda: decode_picture(data, max_pixels=MANY)) < 2**26


def chunk(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def canvas(width: int, height: int, flags: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return chunk(b"VP8X", bytes((flags, 0, 0, 0)) + sizes)


def test_a_webp_of_many_frames_costs_no_more_than_its_first() -> None:
    still = encoded(np.zeros((1000, 1000, 3), np.uint8), ".webp")[12:]
    frame = bytes(6) + (999).to_bytes(3, "little") * 2 + bytes(4) + still
    data = webp(canvas(1000, 1000, 0x02), chunk(b"ANIM", bytes(6)), *[chunk(b"ANMF", frame)] * 2000)
    began = time.perf_counter()
    assert peak_bytes(lambda: decode_picture(data, max_pixels=MANY)) < 2**26
    assert time.perf_counter() - began < 2


def test_a_webp_whose_frame_is_larger_than_it_says_is_refused_or_small() -> None:
    large = encoded(np.zeros((4000, 4000, 3), np.uint8), ".webp", *LOSSLESS_WEBP)[12:]
    data = webp(canvas(10, 10, 0), large)
    assert peak_bytes(lambda: decode_picture(data, max_pixels=1000)) < 2**25
    with contextlib.suppress(InvalidPicture):
        assert decode_picture(data, max_pixels=1000).bgr.size <= 3000


def test_a_jpeg_of_65535_by_65535_pixels_is_never_decoded() -> None:
    data = FILES["JPEG"]
    at = data.index(b"\xff\xc0") + 5
    giant = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]
    with pytest.raises(InvalidPicture, match="65535 × 65535"):
        decode_picture(giant, max_pixels=MANY)
    with pytest.raises(InvalidPicture):
        decode_thumbnail(giant, max_pixels=MANY)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    """Each scan of a few bytes would be a pass over all pixels."""
    scan = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
    with pytest.raises(InvalidPicture, match="more than 100 scans"):
        decode_picture(PROGRESSIVE[:-2] + scan * 5000 + b"\xff\xd9", max_pixels=MANY)
    assert PROGRESSIVE.count(b"\xff\xda") < 20, "what encoders write is far from that"

"""Spoilt pictures and audio: a picture is decoded or refused, and audio always is audio."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fuzzing import CORPUS, MESSAGES, fuzz, spoilt_bytes

from hearsight.config.settings import Settings
from hearsight.models_command import open_store
from hearsight.streams.audio.formats import AudioCodec, ChunkDecoder
from hearsight.streams.audio.front_end import AudioFrontEnd
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.camera.decode import (
    decode_picture,
    decode_thumbnail,
    parse_data_url,
    read_header,
    reduced,
)
from hearsight.streams.errors import HearsightError, InvalidAudio, InvalidPicture
from hearsight.streams.events import AudioFormat

PICTURES = max(500, MESSAGES // 5)
"""Decoding takes longer than reading a message."""
MAX_PIXELS = 1_000_000


@pytest.fixture(autouse=True)
def libjpeg_keeps_quiet() -> Iterator[None]:
    """It writes what it finds wrong to standard error by itself: a line or two for every spoilt picture."""
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    yield
    os.dup2(before, 2)
    os.close(before)
    os.close(nowhere)


def pictures(seed: int, count: int) -> Iterator[bytes]:
    corpus = [path.read_bytes() for path in sorted((CORPUS / "pictures").iterdir())]
    chance = random.Random(seed)
    for _ in range(count):
        data = chance.choice(corpus)
        if chance.random() < 0.6:
            # Near its beginning a file says what it is and how large; behind that, all bytes are alike.
            head = min(len(data), chance.choice((32, 128, 1024)))
            yield spoilt_bytes(chance, data[:head]) + data[head:]
        else:
            yield spoilt_bytes(chance, data)


@pytest.mark.timeout(300 + PICTURES // 20)
def test_a_picture_is_decoded_or_refused_whatever_is_in_it() -> None:
    def take(data: bytes) -> bool:
        try:
            header = read_header(data)
            picture = decode_picture(data, max_pixels=MAX_PIXELS)
        except InvalidPicture as error:
            assert error.message.endswith(".") and len(error.message) < 400
            return False
        assert sorted(picture.bgr.shape[:2]) == sorted((header.height, header.width))
        assert picture.bgr.shape[2] == 3 and picture.width * picture.height <= MAX_PIXELS
        smaller = reduced(data, 16, max_pixels=MAX_PIXELS)
        assert max(smaller.width, smaller.height) <= 16 or max(picture.width, picture.height) < 16
        return True

    fuzz("pictures", pictures(1, PICTURES), take)


def test_a_thumbnail_is_made_or_refused_whatever_is_in_the_picture() -> None:
    def take(data: bytes) -> bool:
        try:
            thumbnail = decode_thumbnail(data, max_pixels=MAX_PIXELS)
        except InvalidPicture:
            return False
        assert thumbnail.ndim == 3 and thumbnail.size
        return True

    fuzz("thumbnails", pictures(2, PICTURES), take)


def test_the_corpus_itself_is_decoded() -> None:
    for path in sorted((CORPUS / "pictures").iterdir()):
        if not path.name.startswith("bad"):
            assert decode_picture(path.read_bytes(), max_pixels=MAX_PIXELS).bgr.size, path.name


def test_an_address_of_a_picture_is_read_or_refused() -> None:
    chance = random.Random(3)
    seeds = [
        b"data:image/png;base64,AAAA",
        b"data:;base64,",
        b"https://a.example/x.png",
        b"data:image/jpeg,%00",
    ]

    def take(data: bytes) -> bool:
        try:
            parse_data_url(data.decode("utf-8", "replace"))
        except InvalidPicture:
            return False
        return True

    fuzz("data urls", (spoilt_bytes(chance, chance.choice(seeds)) for _ in range(MESSAGES)), take)


FORMATS = [AudioFormat("pcm16", rate) for rate in (8_000, 11_025, 16_000, 24_000, 48_000, 192_000)]
FORMATS += [AudioFormat("pcmu", 8_000), AudioFormat("pcma", 8_000)]


def chunks(seed: int, count: int) -> Iterator[tuple[AudioFormat, list[bytes]]]:
    """A format, and audio in it that was cut anywhere."""
    chance = random.Random(seed)
    for _ in range(count):
        cuts = [
            chance.randbytes(chance.choice((0, 1, 2, 3, 7, 160, 961))) for _ in range(chance.randrange(1, 6))
        ]
        if chance.random() < 0.3:
            cuts = [bytes([chance.choice((0, 127, 128, 255))]) * len(cut) for cut in cuts]
        yield chance.choice(FORMATS), cuts


@pytest.mark.timeout(300 + MESSAGES // 100)
def test_audio_cut_anywhere_loses_no_sample() -> None:
    def take(audio: tuple[AudioFormat, list[bytes]]) -> bool:
        audio_format, cuts = audio
        decoder, whole = ChunkDecoder(audio_format), b"".join(cuts)
        codec = AudioCodec(audio_format)
        samples = np.concatenate([decoder.decode(cut) for cut in cuts])
        end = len(whole) - len(whole) % codec.bytes_per_sample
        assert np.array_equal(samples, codec.decode(whole[:end]))
        if len(whole) != end:
            with pytest.raises(InvalidAudio):
                codec.decode(whole)
        return True

    fuzz("audio", chunks(4, MESSAGES), take)


@pytest.mark.models
@pytest.mark.timeout(300 + MESSAGES // 100)
def test_whatever_audio_comes_it_is_heard_as_frames() -> None:
    vad = SileroModel(open_store(Settings()).file("silero-vad"))
    front_ends: dict[AudioFormat, AudioFrontEnd] = {}

    def take(audio: tuple[AudioFormat, list[bytes]]) -> bool:
        audio_format, cuts = audio
        front_end = front_ends.setdefault(audio_format, AudioFrontEnd(audio_format, vad))
        for cut in cuts:
            for frame in front_end.feed(cut):
                assert frame.samples.shape == (512,) and 0 <= frame.speech_probability <= 1
        return True

    fuzz("front end", chunks(5, max(1, MESSAGES // 10)), take)


@pytest.mark.parametrize("rate", [-1, 0, 7_999, 192_001, 2**40])
def test_a_rate_that_cannot_be_is_refused(rate: int) -> None:
    with pytest.raises(HearsightError):
        AudioCodec(AudioFormat("pcm16", rate))


def test_the_corpus_is_small_enough_to_keep() -> None:
    files = [path for path in Path(CORPUS).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.audio.formats import AudioCodec, ChunkDecoder, check_format
from hearsight.streams.errors import InvalidAudio
from hearsight.streams.events import AudioFormat

PCM = AudioFormat("pcm16", 16_000)
ULAW = AudioFormat("pcmu", 8_000)
ALAW = AudioFormat("pcma", 8_000)
EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32_768, 32_768, dtype=np.int32).astype(np.int16)

formats = st.sampled_from([PCM, ULAW, ALAW])
sample_lists = st.lists(st.integers(-32_768, 32_767), max_size=200)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("audio_format", "digest"),
    [
        (ULAW, "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"),
        (ALAW, "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174"),
    ],
)
def test_decodes_every_g711_code_as_the_reference_does(audio_format: AudioFormat, digest: str) -> None:
    # Digests of audioop.ulaw2lin and alaw2lin (CPython 3.11) over all 256 codes; audioop left Python in 3.13.
    decoded = AudioCodec(audio_format).decode(EVERY_CODE)
    assert sha256(decoded.astype("<i2").tobytes()) == digest


@pytest.mark.parametrize(
    ("audio_format", "digest"),
    [
        (ULAW, "617fa4850d68d3906597e949f7625fb2fc46db479e29707f33159b3d131721cb"),
        (ALAW, "f77c76aa923ee25617453f87514828a12896227f82ff383bf3bb53d6ac7c2a0f"),
    ],
)
def test_encodes_every_sample_as_the_reference_does(audio_format: AudioFormat, digest: str) -> None:
    # Digests of audioop.lin2ulaw and lin2alaw over 0..32767, -32768..-1, little-endian.
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16)
    assert sha256(AudioCodec(audio_format).encode(samples)) == digest


@pytest.mark.parametrize(
    ("audio_format", "code", "sample"),
    [
        # ITU-T G.711, tables 1a to 2b: the ends of both ranges and the values next to zero, in 16 bits.
        (ULAW, 0x80, 32_124),
        (ULAW, 0x00, -32_124),
        (ULAW, 0xFF, 0),
        (ULAW, 0xFE, 8),
        (ALAW, 0xAA, 32_256),
        (ALAW, 0x2A, -32_256),
        (ALAW, 0xD5, 8),
        (ALAW, 0x55, -8),
    ],
)
def test_decodes_the_standard_values(audio_format: AudioFormat, code: int, sample: int) -> None:
    assert AudioCodec(audio_format).decode(bytes([code])).tolist() == [sample]


@pytest.mark.parametrize("audio_format", [ULAW, ALAW])
def test_g711_codes_survive_a_round_trip(audio_format: AudioFormat) -> None:
    codec = AudioCodec(audio_format)
    decoded = codec.decode(EVERY_CODE)
    again = codec.decode(codec.encode(decoded))
    # Codes may differ (μ-law writes zero in two ways), what they stand for may not.
    np.testing.assert_array_equal(again, decoded)


@pytest.mark.parametrize("audio_format", [ULAW, ALAW])
def test_g711_error_stays_within_half_a_step(audio_format: AudioFormat) -> None:
    codec = AudioCodec(audio_format)
    within = EVERY_SAMPLE[np.abs(EVERY_SAMPLE.astype(np.int32)) <= 32_000]
    error = np.abs(codec.decode(codec.encode(within)).astype(np.int32) - within)
    assert (error <= np.maximum(np.abs(within.astype(np.int32)) / 16, 16)).all()


@pytest.mark.parametrize("audio_format", [ULAW, ALAW])
def test_louder_samples_never_decode_quieter(audio_format: AudioFormat) -> None:
    codec = AudioCodec(audio_format)
    decoded = codec.decode(codec.encode(EVERY_SAMPLE)).tolist()
    assert all(a <= b for a, b in pairwise(decoded))


@given(sample_lists)
def test_pcm_is_little_endian_and_lossless(values: list[int]) -> None:
    codec = AudioCodec(PCM)
    encoded = codec.encode(np.array(values, dtype=np.int16))
    assert encoded == b"".join(value.to_bytes(2, "little", signed=True) for value in values)
    assert codec.decode(encoded).tolist() == values


@given(formats, st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_chunks_cut_anywhere_decode_like_the_whole(
    audio_format: AudioFormat, data: bytes, cuts: list[int]
) -> None:
    codec, decoder = AudioCodec(audio_format), ChunkDecoder(audio_format)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    decoded = [decoder.decode(data[a:b]) for a, b in pairwise(edges)]

    odd = len(data) % codec.bytes_per_sample
    np.testing.assert_array_equal(np.concatenate(decoded), codec.decode(data[: len(data) - odd]))
    assert decoder.flush() == odd
    assert decoder.flush() == 0


def test_a_flushed_decoder_does_not_carry_into_the_next_stream() -> None:
    decoder = ChunkDecoder(PCM)
    assert decoder.decode(b"\x01\x02\x03").tolist() == [0x0201]
    assert decoder.flush() == 1
    assert decoder.decode(b"\x04\x05").tolist() == [0x0504]


def test_half_a_sample_is_refused_where_there_is_no_next_chunk() -> None:
    with pytest.raises(InvalidAudio, match="3 bytes long, which is not a whole number of 16-bit samples"):
        AudioCodec(PCM).decode(b"abc")


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000, 192_000])
def test_usual_pcm_rates_are_accepted(rate_hz: int) -> None:
    check_format(AudioFormat("pcm16", rate_hz))


@pytest.mark.parametrize("rate_hz", [-1, 0, 7_999, 192_001])
def test_a_pcm_rate_out_of_range_is_refused_with_the_range(rate_hz: int) -> None:
    with pytest.raises(InvalidAudio, match=f"{rate_hz} Hz is not supported.* 8000 to 192000 Hz"):
        check_format(AudioFormat("pcm16", rate_hz))


@pytest.mark.parametrize("encoding", ["pcmu", "pcma"])
def test_g711_at_another_rate_is_refused(encoding: Literal["pcmu", "pcma"]) -> None:
    with pytest.raises(InvalidAudio, match=f"{encoding} audio always has 8000 Hz"):
        ChunkDecoder(AudioFormat(encoding, 16_000))


def test_an_unknown_encoding_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidAudio, match="'opus' is not supported; use pcm16, pcmu or pcma"):
        AudioCodec(AudioFormat("opus", 48_000))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("audio_format", "byte_count", "duration_ms"),
    [(PCM, 32_000, 1000.0), (ULAW, 160, 20.0), (AudioFormat("pcm16", 24_000), 960, 20.0)],
)
def test_knows_how_long_bytes_play(audio_format: AudioFormat, byte_count: int, duration_ms: float) -> None:
    assert AudioCodec(audio_format).duration_ms(byte_count) == duration_ms

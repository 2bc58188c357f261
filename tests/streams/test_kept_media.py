"""Media on their way to where they are kept."""

import hashlib

import numpy as np
import pytest

from hearsight.streams.events import AudioContent, ImageContent, Item, Picture, TextContent
from hearsight.streams.kept_media import WAV, KeptMedia, of_picture, of_speech, pictures_in, speech_in


def picture(name: str, data: bytes = b"") -> Picture:
    return Picture(data or name.encode(), "image/jpeg", 640, 480, name, 250.0, "high")


def shown(*pictures: Picture, item_id: str = "u1") -> Item:
    return Item(item_id, "message", content=tuple(ImageContent(each) for each in pictures))


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).integers(-9000, 9000, int(seconds * 16_000))
    return samples.astype(np.int16)


def test_a_picture_comes_back_as_it_was():
    one = picture("k1")
    media = KeptMedia()
    media.insert(shown(one))
    named = media.named(["k1"])
    assert named["k1"].sha256 == hashlib.sha256(b"k1").hexdigest()
    assert pictures_in(named) == {"k1": one}


def test_only_what_a_conversation_names_is_kept_and_the_latest_comes_last():
    media = KeptMedia()
    for name in ("k1", "k2", "k3", "k1"):
        media.insert(shown(picture(name)))
    assert list(media.named({"k1", "k3", "k9"})) == ["k3", "k1"]


def test_what_was_kept_is_let_go_of_and_named_still():
    media = KeptMedia()
    media.insert(shown(picture("k1")))
    media.kept(media.named(["k1"]))
    (medium,) = media.named(["k1"]).values()
    assert medium.data is None and medium == of_picture(picture("k1"))


def test_what_came_after_the_record_is_not_let_go_of_with_it():
    media = KeptMedia()
    media.insert(shown(picture("k1", b"one")))
    record = media.named(["k1"])
    media.insert(shown(picture("k1", b"another")))
    media.kept(record)
    assert media.named(["k1"])["k1"].data == b"another"


def test_the_media_of_an_earlier_process_are_named_and_not_written_again():
    media = KeptMedia(media={"k1": of_picture(picture("k1"))})
    assert media.named(["k1"])["k1"].data is None


def test_while_nothing_can_be_kept_the_oldest_go():
    media = KeptMedia(max_waiting_bytes=25)
    for number in range(4):
        media.insert(shown(picture(f"k{number}", bytes(10))))
    assert list(media.named(f"k{number}" for number in range(4))) == ["k2", "k3"]
    media.insert(shown(picture("large", bytes(100))))
    assert list(media.named(["k2", "k3", "large"])) == ["large"], "the newest may stay whatever its size"


def test_what_is_kept_takes_no_room_from_what_is_not():
    media = KeptMedia(max_waiting_bytes=25)
    media.insert(shown(picture("k1", bytes(20))))
    media.kept(media.named(["k1"]))
    media.insert(shown(picture("k2", bytes(20))))
    assert list(media.named(["k1", "k2"])) == ["k1", "k2"]


@pytest.mark.parametrize("kinds", [(), ("pictures",)])
def test_speech_is_only_kept_if_wanted(kinds):
    media = KeptMedia(kinds)
    media.hear("u1", speech(0.1))
    media.insert(Item("u1", "message", content=(AudioContent(duration_ms=100),)))
    assert media.named(["u1"]) == {}


def test_pictures_may_be_unwanted():
    media = KeptMedia(("audio",))
    media.insert(shown(picture("k1")))
    assert media.named(["k1"]) == {}


def test_what_was_said_comes_back_to_the_sample():
    media = KeptMedia(("audio",))
    chunks = [speech(0.2, seed) for seed in range(3)]
    for chunk in chunks:
        media.hear("u1", chunk)
    media.insert(Item("u1", "message", content=(AudioContent(duration_ms=600),)))
    named = media.named(["u1"])
    assert named["u1"].mime_type == WAV
    assert np.array_equal(speech_in(named)["u1"], np.concatenate(chunks))
    assert pictures_in(named) == {}


def test_audio_inside_an_item_has_the_name_that_engines_give_it():
    media = KeptMedia(("audio",))
    parts = (TextContent("Listen:"), AudioContent(samples=speech(0.1)))
    media.insert(Item("u1", "message", content=parts))
    assert list(media.named(["u1", "u1#1"])) == ["u1#1"]


def test_what_came_to_nothing_is_forgotten():
    media = KeptMedia(("audio",))
    media.hear("u1", speech(0.1))
    media.forget("u1")
    media.insert(Item("u1", "message", content=(AudioContent(duration_ms=100),)))
    assert media.named(["u1"]) == {}


def test_data_that_are_gone_are_no_picture_and_no_speech():
    gone = KeptMedia(media={"k1": of_picture(picture("k1")), "u1": of_speech([speech(0.1)])})
    assert pictures_in(gone.named(["k1", "u1"])) == {} == speech_in(gone.named(["k1", "u1"]))

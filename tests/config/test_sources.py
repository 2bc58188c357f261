"""Every source yields the same bytes, from any offset on."""

import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from package_shelf import file, noise, parts, payload
from range_server import Offer, RangeServer

from hearsight.config.manifest import UrlSource
from hearsight.config.registry import FetchFailed, FetchRefused, fetch_package
from hearsight.config.sources import Wanted, read_source

DATA = noise(5000)
BOUNDS = (0, 2000, 3500, 5000)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "downloads"
    path.mkdir()
    return path


@pytest.fixture
def split(shelf):
    """The data in three packages, and the source that puts it together."""
    pieces = []
    for number, (start, end) in enumerate(zip(BOUNDS, BOUNDS[1:], strict=False), 1):
        shelf.wheel(f"part{number}", {f"part{number}/data.bin": DATA[start:end]})
        pieces.append((f"part{number}", f"part{number}/data.bin", end - start))
    manifest = shelf.manifest(payload("model", file("model.bin", DATA, parts(*pieces))))
    return manifest, manifest.payload("model").files[0].sources[0]


def read(source, manifest, folder, offset=0, keep=(), told=None):
    wanted = Wanted(offset, frozenset(keep), (told if told is not None else []).append)
    return b"".join(read_source(source, manifest, folder, wanted))


def test_parts_are_joined_in_order(split, folder):
    manifest, source = split
    assert read(source, manifest, folder) == DATA


@pytest.mark.parametrize("offset", [2001, 5000])
def test_parts_go_on_from_any_offset(split, folder, offset):
    manifest, source = split
    assert read(source, manifest, folder, offset) == DATA[offset:]


def test_parts_before_the_offset_are_not_downloaded(split, folder, shelf):
    manifest, source = split
    (shelf.folder / "part1-1.0-py3-none-any.whl").unlink()
    assert read(source, manifest, folder, 2000) == DATA[2000:]
    with pytest.raises(FetchRefused):
        read(source, manifest, folder, 1999)


def test_packages_are_dropped_as_soon_as_they_are_used_up(split, folder):
    manifest, source = split
    at_hand = set()
    for _ in read_source(source, manifest, folder, Wanted(0, frozenset(), lambda _: None)):
        at_hand.add(frozenset(path.name for path in folder.iterdir()))
    assert at_hand == {frozenset({f"part{number}-1.0"}) for number in (1, 2, 3)}
    assert list(folder.iterdir()) == []


def test_packages_that_later_files_need_are_kept(split, folder):
    manifest, source = split
    read(source, manifest, folder, keep={"part2"})
    assert [path.name for path in folder.iterdir()] == ["part2-1.0"]


def test_what_is_on_its_way_is_reported_within_the_file(split, folder):
    manifest, source = split
    told = []
    read(source, manifest, folder, 500, told=told)
    assert told == sorted(told)
    assert all(500 <= count <= 5000 for count in told)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, 5000))
def test_packages_and_hosts_agree_at_every_offset(split, folder, offset):
    manifest, source = split
    for number in (1, 2, 3):
        fetch_package(manifest.package(f"part{number}"), folder, lambda _: None)
    kept = {"part1", "part2", "part3"}
    with RangeServer(Offer(DATA)) as server:
        by_host = read(UrlSource(url=server.url), manifest, folder, offset) if offset < 5000 else b""
    assert read(source, manifest, folder, offset, keep=kept) == by_host == DATA[offset:]


def test_a_host_that_ignores_ranges_is_read_from_the_start(split, folder):
    manifest, _ = split
    offer = Offer(DATA, ranges=False)
    with RangeServer(offer) as server:
        assert read(UrlSource(url=server.url), manifest, folder, 1234) == DATA[1234:]
    assert offer.asked == ["bytes=1234-"]


@pytest.mark.parametrize(("status", "error"), [(404, FetchRefused), (403, FetchRefused), (503, FetchFailed)])
def test_a_refusal_is_final_and_a_failure_is_not(split, folder, status, error):
    manifest, _ = split
    with RangeServer(Offer(DATA, status=status)) as server, pytest.raises(FetchFailed) as caught:
        read(UrlSource(url=server.url), manifest, folder)
    assert type(caught.value) is error
    assert str(status) in str(caught.value)


def test_a_host_that_is_not_there_is_a_failure(split, folder):
    manifest, _ = split
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/model.bin"
        with pytest.raises(FetchFailed, match="could not be read"):
            read(UrlSource(url=url), manifest, folder)

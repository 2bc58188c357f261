"""Names that lead elsewhere: nothing outside of what is served, kept or recorded is reached by them."""

from __future__ import annotations

import json

import pytest
import websockets
from typer.testing import CliRunner

from hearsight.cli import app

ELSEWHERE = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc/passwd",
    "%2e%2e/%2e%2e/etc/passwd",
    "..\\..\\etc\\passwd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "assets/../../../pyproject.toml",
    "assets/%00",
    "file:///etc/passwd",
]


@pytest.fixture
def server(serve):
    return serve({"say": "Still here."})


def test_the_page_has_its_own_files_only(server, raw):
    for name in ELSEWHERE:
        for target in (f"/{name}", name):
            answer = raw(server.port, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            status = answer.split(b" ", 2)[1]
            assert status in (b"404", b"400"), target
            assert b"root:" not in answer and b"hearsight[" not in answer


@pytest.mark.parametrize("name", [*ELSEWHERE, "sess_' OR 1=1 --", "%", "", "x" * 4_000])
async def test_a_sessions_id_finds_a_session_or_nothing(serve, as_user, tmp_path, name):
    from urllib.parse import quote

    kept = {"conversations.store": "sqlite", "conversations.path": str(tmp_path / "kept" / "c.sqlite")}
    server = serve(**kept)
    async with websockets.connect(f"{server.realtime}?session_id={quote(name)}") as socket:
        user = as_user(socket)
        assert (await user.ending())[0] == 1008
        assert [event["error"]["code"] for event in user.events] == ["session_not_found"]
    left = {path.name for path in (tmp_path / "kept").iterdir()}
    assert left <= {"c.sqlite", "c.sqlite-wal", "c.sqlite-shm"}


@pytest.mark.parametrize("name", ELSEWHERE)
async def test_models_and_voices_are_names_and_no_files(server, as_user, name):
    from urllib.parse import quote

    async with websockets.connect(f"{server.realtime}?model={quote(name)}") as socket:
        user = as_user(socket)
        created = await user.until("session.created")
        assert created["session"]["model"] == "scripted"
        voice = {"type": "realtime", "model": name, "audio": {"output": {"voice": name}}}
        await user.send("session.update", session=voice)
        await user.write("Hello!")
        assert await user.answer() == "Still here."


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", ".", "a/../../outside"])
def test_only_recordings_are_deleted(tmp_path, monkeypatch, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (tmp_path / "recordings").mkdir()
    monkeypatch.setenv("HEARSIGHT_RECORDING__FOLDER", str(tmp_path / "recordings"))
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["recordings", "delete", name])
    assert (outside / "file").read_text() == "mine"


async def test_a_recordings_name_is_the_services_own(serve, as_user, tmp_path):
    folder = tmp_path / "recordings"
    server = serve({"say": "Hello."}, **{"recording.enabled": True, "recording.folder": str(folder)})
    async with websockets.connect(f"{server.realtime}?model=../../elsewhere") as socket:
        user = as_user(socket)
        item = {"id": "../../elsewhere", "type": "message", "role": "user"}
        content = [{"type": "input_text", "text": "Hello!"}]
        await user.send("conversation.item.create", item={**item, "content": content})
        await user.send("response.create")
        await user.until("response.done")
    assert {
        path.parent for path in tmp_path.rglob("*.json*") if path.name.startswith(("session", "events"))
    } <= {*folder.iterdir()}
    assert not list(tmp_path.rglob("*elsewhere*"))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "silero-vad/../.."])
def test_a_models_name_is_one_of_the_manifest(name):
    result = CliRunner().invoke(app, ["models", "pull", name])
    assert result.exit_code != 0
    assert "Traceback" not in result.stderr
    assert json.dumps(name)[1:-1] in " ".join(result.stderr.split())

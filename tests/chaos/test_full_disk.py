"""A disk that fills up while people talk, and has room again."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import websockets
from killed_service import KilledService

from hearsight.config.keeping import ConversationsSettings
from hearsight.conversation_store import open_conversations

PICTURE = Path(__file__).parents[1] / "data" / "pictures" / "cat.jpg"


@pytest.fixture
def disk(tmp_path):
    """A disk of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True
    )
    if mounting.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return filler


class Client:
    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def say(self, item_id: str, *content: dict[str, str]) -> dict[str, Any]:
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        await self.socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await self.socket.send(json.dumps({"type": "response.create"}))
        return (await self.until("response.done"))["response"]

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                self.events.append(json.loads(await self.socket.recv()))
                if self.events[-1]["type"] == kind:
                    return self.events[-1]


@pytest.mark.timeout(180)
async def test_a_full_disk_is_told_of_and_what_was_said_is_kept_once_there_is_room(disk):
    service = KilledService(disk)
    await service.start()
    try:
        async with websockets.connect(service.url) as socket:
            client = Client(socket)
            session_id = (await client.until("session.created"))["session"]["id"]
            await client.say("u0", {"type": "input_text", "text": "hello"})
            filler = await asyncio.to_thread(fill, disk)
            shown = base64.b64encode(PICTURE.read_bytes()).decode()
            answer = await client.say(
                "u1",
                {"type": "input_text", "text": "hello, look at this"},
                {"type": "input_image", "image_url": f"data:image/jpeg;base64,{shown}"},
            )
            assert answer["status"] == "completed"
            answer = await client.say("u2", {"type": "input_text", "text": "hello again"})
            assert answer["status"] == "completed"
            errors = [event["error"] for event in client.events if event["type"] == "error"]
            assert [error["code"] for error in errors] == ["conversation_not_kept"]
            assert "the disk is full" in errors[0]["message"]
            filler.unlink()
            await kept(disk, session_id, {"u0", "u1", "u2"})
            await service.kill()
        last = client.events[-1]["event_id"]
        await service.start()
        url = f"{service.url}?session_id={session_id}&last_event_id={last}"
        async with websockets.connect(url, max_size=None) as socket:
            client = Client(socket)
            await socket.send(json.dumps({"type": "conversation.item.retrieve", "item_id": "u1"}))
            content = (await client.until("conversation.item.retrieved"))["item"]["content"]
            assert content[1]["image_url"] == f"data:image/jpeg;base64,{shown}"
    finally:
        await service.kill()


async def kept(disk: Path, session_id: str, wanted: set[str]) -> None:
    """Wait until these items are kept, with nobody saying anything."""
    settings = ConversationsSettings(path=disk / "conversations.sqlite")
    async with open_conversations(settings, tidy=False) as keeper, asyncio.timeout(30):
        assert keeper is not None
        while True:
            record = await keeper.find(session_id)
            if record is not None and wanted <= {item["id"] for item in record.session["items"]}:
                return
            await asyncio.sleep(0.05)

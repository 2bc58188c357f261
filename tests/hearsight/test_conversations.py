"""Conversations over real sockets that outlive the server they began with."""

import asyncio
import base64
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import websockets
from typer.testing import CliRunner

from hearsight.addresses import GEMINI_LIVE_PATHS, REALTIME_PATH
from hearsight.agent.models.scripted import ScriptedEngine
from hearsight.cli import app
from hearsight.conversation_store import open_conversations
from hearsight.streams.live import TAIL_BYTES, TAIL_MESSAGES


class Caller:
    """A client that types, and keeps all that it is told."""

    def __init__(self, socket):
        self.socket = socket
        self.events: list[dict] = []

    async def until(self, kind: str) -> dict:
        async with asyncio.timeout(20):
            while True:
                event = json.loads(await self.socket.recv())
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def tell(self, text: str, item_id: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        await self.send("conversation.item.create", item=item)

    async def ask(self, text: str, item_id: str) -> dict:
        await self.tell(text, item_id)
        await self.send("response.create")
        return (await self.until("response.done"))["response"]

    async def send(self, kind: str, **fields) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


@pytest.fixture
def kept(script, scripted, tmp_path):
    """Settings of a service that keeps its conversations, given what its engine will say."""

    def load(*sayings: str, **more):
        steps = [{"say": saying} for saying in sayings]
        return scripted(script(*steps), conversations__path=tmp_path / "kept.sqlite", **more)

    return load


@pytest.fixture
def engines(monkeypatch):
    """The engines of the services, in the order in which they were made."""
    made: list[ScriptedEngine] = []
    make = ScriptedEngine.__init__

    def note(self, *args, **more):
        make(self, *args, **more)
        made.append(self)

    monkeypatch.setattr(ScriptedEngine, "__init__", note)
    return made


async def first_turn(serving, settings) -> tuple[str, Caller]:
    """A server that answers once and is gone; the session's id and what its client was told."""
    async with serving(settings) as (_, url), websockets.connect(url) as socket:
        caller = Caller(socket)
        session = (await caller.until("session.created"))["session"]
        instructions = {"type": "realtime", "instructions": "Be a pirate.", "output_modalities": ["text"]}
        await caller.send("session.update", session=instructions)
        assert (await caller.ask("Hello!", "u1"))["status"] == "completed"
    return session["id"], caller


async def test_a_client_goes_on_with_another_server(serving, kept):
    session_id, before = await first_turn(serving, kept("Ahoy."))
    last = before.events[-1]["event_id"]
    async with serving(kept("Still here.")) as (server, url):
        async with websockets.connect(f"{url}?session_id={session_id}&last_event_id={last}") as socket:
            caller = Caller(socket)
            assert (await caller.ask("Still there?", "u2"))["status"] == "completed"
            await caller.send("conversation.item.retrieve", item_id="u1")
            assert (await caller.until("conversation.item.retrieved"))["item"]["content"][0][
                "text"
            ] == "Hello!"
        assert [session.id for session in server.sessions] in ([session_id], [])
    assert "session.created" not in caller.kinds(), "it has missed nothing, so it is told nothing again"
    added = [event["item"]["id"] for event in caller.events if event["type"] == "conversation.item.added"]
    assert "u1" not in added
    numbers = [int(event["event_id"].removeprefix("event_")) for event in caller.events]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[0] > int(last.removeprefix("event_"))


async def test_the_model_knows_what_was_said_before(serving, kept, engines):
    session_id, _ = await first_turn(serving, kept("Ahoy."))
    async with serving(kept("Aye.")) as (_, url):
        async with websockets.connect(f"{url}?session_id={session_id}") as socket:
            caller = Caller(socket)
            created = await caller.until("session.created")
            assert created["session"]["instructions"] == "Be a pirate."
            await caller.ask("And now?", "u2")
    asked = engines[-1].conversations[0].requests[0]
    assert asked.instructions == "Be a pirate."
    assert [str(message.content) for message in asked.messages][1] == "Ahoy."


async def test_a_client_that_forgot_everything_is_shown_everything(serving, kept):
    session_id, before = await first_turn(serving, kept("Ahoy."))
    async with serving(kept("Aye.")) as (_, url):
        async with websockets.connect(f"{url}?session_id={session_id}") as socket:
            caller = Caller(socket)
            await caller.ask("And now?", "u2")
    shown = [event["item"] for event in caller.events if event["type"] == "conversation.item.done"]
    told = [event["item"] for event in before.events if event["type"] == "conversation.item.done"]
    assert shown[:2] == told
    assert caller.events[0]["session"]["id"] == session_id


async def test_what_was_told_while_nobody_listened_is_told_again_once(serving, kept):
    session_id, before = await first_turn(serving, kept("Ahoy."))
    heard_until = next(event for event in before.events if event["type"] == "response.created")
    missed = [
        event
        for event in before.events[before.events.index(heard_until) + 1 :]
        if not event["type"].endswith(".delta")
    ]
    url_query = f"?session_id={session_id}&last_event_id={heard_until['event_id']}"
    async with serving(kept("Aye.")) as (_, url), websockets.connect(url + url_query) as socket:
        caller = Caller(socket)
        await caller.until("response.done")
    assert [strip(event) for event in caller.events] == [strip(event) for event in missed]


def strip(event: dict) -> dict:
    return {key: value for key, value in event.items() if key != "event_id"}


async def test_what_is_no_longer_kept_of_what_was_missed_is_said_to_be_gone(serving, kept):
    async with serving(kept()) as (_, url), websockets.connect(url) as socket:
        caller = Caller(socket)
        session_id = (await caller.until("session.created"))["session"]["id"]
        for number in range(50):
            await caller.tell("Remember this.", f"u{number}")
            await caller.until("conversation.item.done")
        seen = caller.events[1]["event_id"]
    async with serving(kept()) as (_, url):
        async with websockets.connect(f"{url}?session_id={session_id}&last_event_id={seen}") as socket:
            caller = Caller(socket)
            error = await caller.until("error")
            for _ in range(TAIL_MESSAGES // 2):
                await caller.until("conversation.item.done")
    assert error["error"]["code"] == "resume_incomplete"
    assert caller.events[-1]["item"]["id"] == "u49"


async def test_long_messages_are_kept_only_as_far_as_there_is_room(serving, kept):
    session_id, _ = await first_turn(serving, kept("Ahoy."))
    async with serving(kept()) as (server, url):
        async with websockets.connect(f"{url}?session_id={session_id}") as socket:
            caller = Caller(socket)
            for number in range(6):
                await caller.tell("word " * 20_000, f"long{number}")
                while (await caller.until("conversation.item.done"))["item"]["id"] != f"long{number}":
                    pass
            record = await server.sessions.keeper.find(session_id)
    assert sum(len(message) for _, message in record.wire["tail"]) <= TAIL_BYTES


async def test_two_at_once_get_one_session_and_the_later_one_keeps_it(serving, kept):
    session_id, _ = await first_turn(serving, kept("Ahoy."))
    async with serving(kept("Aye.")) as (server, url):
        query = f"{url}?session_id={session_id}"
        async with websockets.connect(query) as one, websockets.connect(query) as other:
            closing = {asyncio.create_task(socket.wait_closed()): socket for socket in (one, other)}
            done, left = await asyncio.wait(closing, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            (replaced,), (waiting,) = done, left
            waiting.cancel()
            assert closing[replaced].close_reason == "Another connection has taken over this session."
            assert len(server.sessions) == 1
            assert (await Caller(closing[waiting]).ask("And now?", "u2"))["status"] == "completed"


@pytest.mark.parametrize("store", ["sqlite", "none"])
async def test_a_session_that_nobody_knows_is_refused_with_a_reason(serving, kept, store):
    async with serving(kept(conversations__store=store)) as (_, url):
        async with websockets.connect(f"{url}?session_id=sess_nobody") as socket:
            event = await Caller(socket).until("error")
    assert event["error"]["code"] == "session_not_found"
    assert "There is no such session any more" in event["error"]["message"]


async def test_a_session_in_which_nothing_was_said_is_not_kept(serving, kept):
    async with serving(kept()) as (server, url):
        async with websockets.connect(url) as socket:
            await Caller(socket).until("session.created")
        assert server.sessions.keeper is not None
        assert await server.sessions.keeper.all() == []


async def test_a_disk_that_fails_costs_the_record_and_not_the_conversation(serving, kept, monkeypatch):
    from hearsight.agent.checkpoints import Checkpoints

    async def full(self, session_id, record, revision=""):
        raise OSError(28, "No space left on device: /home/somebody/secret")

    monkeypatch.setattr(Checkpoints, "keep", full)
    session_id, caller = await first_turn(serving, kept("Ahoy."))
    assert caller.events[-1]["response"]["status"] == "completed"
    errors = [event["error"] for event in caller.events if event["type"] == "error"]
    assert [error["code"] for error in errors] == ["conversation_not_kept"]
    assert "secret" not in errors[0]["message"]


async def test_a_conversation_that_is_spoilt_is_said_to_be_and_the_others_live(serving, kept, tmp_path):
    spoilt, _ = await first_turn(serving, kept("Ahoy."))
    odd, _ = await first_turn(serving, kept("Ahoy."))
    sound, _ = await first_turn(serving, kept("Ahoy."))
    with sqlite3.connect(tmp_path / "kept.sqlite") as connection:
        connection.execute("UPDATE checkpoints SET checkpoint = x'c1' WHERE thread_id = ?", (spoilt,))
    await rewritten(kept(), odd, {"items": [{"id": "u1", "kind": "of another version"}]})
    async with serving(kept("Aye.")) as (_, url):
        for session_id in (spoilt, odd):
            async with websockets.connect(f"{url}?session_id={session_id}") as socket:
                error = await Caller(socket).until("error")
            assert error["error"]["code"] == "session_not_readable"
            assert "cannot be read any more; please open a new session" in error["error"]["message"]
        async with websockets.connect(f"{url}?session_id={sound}") as socket:
            assert (await Caller(socket).ask("And now?", "u2"))["status"] == "completed"


async def rewritten(settings, session_id, session) -> None:
    """Put another session's state into a record, as a later version might have it."""
    async with open_conversations(settings.conversations) as keeper:
        record = await keeper.take_up(session_id)
        await keeper.keep(session_id, replace(record, session=session), record.revision)


async def test_a_session_whose_client_went_to_another_server_ends_and_overwrites_nothing(serving, kept):
    """Both servers keep their conversations in one file."""
    async with serving(kept("Ahoy.", "I am stale.")) as (_, here), serving(kept("Aye.")) as (there, url):
        async with websockets.connect(here) as stale:
            client = Caller(stale)
            session_id = (await client.until("session.created"))["session"]["id"]
            await client.ask("Hello!", "u1")
            async with websockets.connect(f"{url}?session_id={session_id}") as socket:
                assert (await Caller(socket).ask("And now?", "u2"))["status"] == "completed"
                told = len(client.events)
                await client.tell("Am I still here?", "u3")
                error = await client.until("error")
                assert error["error"]["code"] == "session_taken_over"
                assert client.events[told:] == [error]
                await stale.wait_closed()
                assert stale.close_code == 1008
                items = (await there.sessions.keeper.find(session_id)).session["items"]
    assert [item["id"] for item in items if item["role"] == "user"] == ["u1", "u2"]


async def test_a_conversation_that_is_deleted_ends_where_it_is_held(serving, kept):
    async with serving(kept("Ahoy.")) as (server, url), websockets.connect(url) as socket:
        caller = Caller(socket)
        session_id = (await caller.until("session.created"))["session"]["id"]
        await caller.ask("Hello!", "u1")
        await server.sessions.keeper.forget(session_id)
        await caller.tell("Still there?", "u2")
        assert (await caller.until("error"))["error"]["code"] == "session_deleted"
        await socket.wait_closed()
        assert await server.sessions.keeper.all() == []


CAT = Path(__file__).parents[1] / "data" / "pictures" / "cat.jpg"


def as_url(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


async def show(caller: Caller, picture: bytes, item_id: str) -> None:
    image = {"type": "input_image", "image_url": as_url(picture)}
    item = {"id": item_id, "type": "message", "role": "user", "content": [image]}
    await caller.send("conversation.item.create", item=item)
    await caller.until("conversation.item.done")


async def shown(serving, settings, *pictures: bytes) -> str:
    """The session of a client that has shown these pictures."""
    async with serving(settings) as (_, url), websockets.connect(url) as socket:
        caller = Caller(socket)
        session_id = (await caller.until("session.created"))["session"]["id"]
        for number, picture in enumerate(pictures):
            await show(caller, picture, f"picture{number}")
    return session_id


async def test_a_picture_is_there_after_a_restart_for_client_engine_and_tools(serving, kept, engines):
    cat = CAT.read_bytes()
    session_id = await shown(serving, kept(), cat)
    async with serving(kept("A cat.")) as (server, url):
        async with websockets.connect(f"{url}?session_id={session_id}", max_size=None) as socket:
            caller = Caller(socket)
            await caller.send("conversation.item.retrieve", item_id="picture0")
            item = (await caller.until("conversation.item.retrieved"))["item"]
            assert item["content"][0]["image_url"] == as_url(cat)
            assert (await caller.ask("What was that?", "u2"))["status"] == "completed"
            (session,) = server.sessions
            assert session._runtime.latest_picture().data == cat
    assert len(engines[-1].conversations[0].seen) == 1


async def test_a_picture_that_is_gone_leaves_the_conversation_as_it_is(serving, kept, tmp_path):
    session_id = await shown(serving, kept(), CAT.read_bytes())
    (file,) = (tmp_path / "kept.media").glob("??/*")
    file.unlink()
    async with serving(kept("I cannot see it any more.")) as (_, url):
        async with websockets.connect(f"{url}?session_id={session_id}") as socket:
            caller = Caller(socket)
            await caller.send("conversation.item.retrieve", item_id="picture0")
            item = (await caller.until("conversation.item.retrieved"))["item"]
            assert item["content"] == [{"type": "input_image", "detail": "auto"}]
            assert (await caller.ask("What was that?", "u2"))["status"] == "completed"


async def test_media_may_be_unwanted(serving, kept, tmp_path):
    await shown(serving, kept(conversations__media=()), CAT.read_bytes())
    assert not (tmp_path / "kept.media").exists()


class TestCommand:
    """`hearsight sessions`."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HEARSIGHT_CONVERSATIONS__PATH", str(tmp_path / "kept.sqlite"))
        monkeypatch.setenv("COLUMNS", "200")
        return lambda *arguments: CliRunner().invoke(app, ["sessions", *arguments])

    @pytest.fixture
    async def session_id(self, serving, kept):
        return (await first_turn(serving, kept("Ahoy.")))[0]

    async def test_list(self, run, session_id):
        shown = (await asyncio.to_thread(run, "list")).output
        assert session_id[:13] in shown and session_id not in shown
        assert "Hello!" in shown and "1 kept." in shown

    async def test_show(self, run, session_id):
        shown = (await asyncio.to_thread(run, "show", session_id[:12])).output
        assert [line.split() for line in shown.splitlines()] == [["you", "Hello!"], ["answer", "Ahoy."]]

    async def test_export(self, run, session_id, tmp_path):
        target = tmp_path / "conversation.json"
        assert (await asyncio.to_thread(run, "export", session_id, "--to", str(target))).exit_code == 0
        exported = json.loads(target.read_text())
        assert [item["id"] for item in exported["items"]][0] == "u1"
        assert [message["type"] for message in exported["messages"]] == ["human", "ai"]
        assert session_id not in target.read_text(), "whoever knows it can go on with the session"
        assert exported["media"] == {} and not (tmp_path / "conversation.media").exists()
        assert json.loads((await asyncio.to_thread(run, "export", session_id)).output) == exported

    async def test_pictures_are_exported_beside_it_and_deleted_with_it(self, run, serving, kept, tmp_path):
        cat = CAT.read_bytes()
        session_id = await shown(serving, kept(), cat)
        (file,) = (tmp_path / "kept.media").glob("??/*")
        target = tmp_path / "conversation.json"
        assert (await asyncio.to_thread(run, "export", session_id, "--to", str(target))).exit_code == 0
        (medium,) = json.loads(target.read_text())["media"].values()
        assert medium["mime_type"] == "image/jpeg" and medium["sha256"] == file.name
        assert (tmp_path / "conversation.media" / medium["file"]).read_bytes() == cat
        assert '"file":' not in (await asyncio.to_thread(run, "export", session_id)).output
        assert "Deleted 1" in (await asyncio.to_thread(run, "delete", session_id)).output
        assert not file.exists()

    async def test_one_that_cannot_be_read_can_be_listed_and_deleted(self, run, session_id, tmp_path):
        with sqlite3.connect(tmp_path / "kept.sqlite") as connection:
            connection.execute("UPDATE checkpoints SET checkpoint = x'c1', metadata = x'c1'")
        assert "(cannot be read)" in (await asyncio.to_thread(run, "list")).output
        result = await asyncio.to_thread(run, "show", session_id)
        assert result.exit_code and "cannot be read any more" in result.output
        assert "Deleted 1" in (await asyncio.to_thread(run, "delete", "--all")).output

    async def test_export_to_where_nothing_can_be_written(self, run, session_id, tmp_path):
        result = await asyncio.to_thread(run, "export", session_id, "--to", str(tmp_path / "no" / "file"))
        assert result.exit_code and "cannot be written" in result.output

    async def test_delete(self, run, session_id):
        assert "Deleted 0" in (await asyncio.to_thread(run, "delete", "--older-than", "1")).output
        assert "Deleted 1" in (await asyncio.to_thread(run, "delete", session_id)).output
        assert "0 kept." in (await asyncio.to_thread(run, "list")).output

    async def test_delete_all(self, run, session_id):
        assert "Deleted 1" in (await asyncio.to_thread(run, "delete", "--all")).output

    @pytest.mark.parametrize("arguments", [[], ["--all", "--older-than", "1"], ["sess_1", "--all"]])
    async def test_delete_wants_to_know_what(self, run, session_id, arguments):
        result = await asyncio.to_thread(run, "delete", *arguments)
        assert result.exit_code and "Say which" in result.output

    async def test_an_id_that_is_not_there(self, run, session_id):
        result = await asyncio.to_thread(run, "show", "sess_x")
        assert result.exit_code and "`hearsight sessions list`" in result.output

    async def test_without_a_store(self, run, monkeypatch):
        monkeypatch.setenv("HEARSIGHT_CONVERSATIONS__STORE", "none")
        result = await asyncio.to_thread(run, "list")
        assert result.exit_code and "conversations.store is none" in result.output


class TestGeminiLive:
    """The same with the other protocol, whose clients come back with a handle."""

    @staticmethod
    def place(url: str) -> str:
        return url.replace(REALTIME_PATH, GEMINI_LIVE_PATHS[0])

    @staticmethod
    async def turn(socket, text: str) -> list[dict]:
        """Type something, and return all that comes until the turn is complete and its handle here."""
        content = {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": True}
        await socket.send(json.dumps({"clientContent": content}))
        told: list[dict] = []
        async with asyncio.timeout(20):
            while not ("sessionResumptionUpdate" in (told[-1] if told else {}) and completed(told)):
                told.append(json.loads(await socket.recv()))
        return told

    @staticmethod
    async def set_up(socket, **resumption: str) -> dict:
        setup = {"model": "m", "sessionResumption": resumption}
        setup["generationConfig"] = {"responseModalities": ["TEXT"]}
        await socket.send(json.dumps({"setup": setup}))
        return json.loads(await socket.recv())

    async def test_a_handle_leads_back_after_a_restart(self, serving, kept, engines):
        async with serving(kept("Ahoy.")) as (_, url), websockets.connect(self.place(url)) as socket:
            await self.set_up(socket)
            told = await self.turn(socket, "Hello!")
        handle = told[-1]["sessionResumptionUpdate"]["newHandle"]
        async with serving(kept("Aye.")) as (_, url), websockets.connect(self.place(url)) as socket:
            assert "setupComplete" in await self.set_up(socket, handle=handle)
            assert "Aye." in written(await self.turn(socket, "And now?"))
        asked = engines[-1].conversations[0].requests[0]
        assert [str(message.content) for message in asked.messages][1] == "Ahoy."

    async def test_what_came_after_the_handle_comes_again(self, serving, kept):
        async with serving(kept("Ahoy.", "Aye.")) as (_, url):
            async with websockets.connect(self.place(url)) as socket:
                await self.set_up(socket)
                first = await self.turn(socket, "Hello!")
                second = await self.turn(socket, "And now?")
        handle = first[-1]["sessionResumptionUpdate"]["newHandle"]
        async with serving(kept()) as (_, url), websockets.connect(self.place(url)) as socket:
            await self.set_up(socket, handle=handle)
            again: list[dict] = []
            async with asyncio.timeout(20):
                while "sessionResumptionUpdate" not in (again[-1] if again else {}):
                    again.append(json.loads(await socket.recv()))
        assert completed(again) and completed(second)
        assert again[-1]["sessionResumptionUpdate"]["newHandle"] != handle

    async def test_a_handle_of_the_other_protocol_leads_nowhere(self, serving, kept):
        session_id, before = await first_turn(serving, kept("Ahoy."))
        async with serving(kept()) as (_, url), websockets.connect(self.place(url)) as socket:
            setup = {"model": "m", "sessionResumption": {"handle": f"{session_id}.3"}}
            await socket.send(json.dumps({"setup": setup}))
            await socket.wait_closed()
        assert "There is no such session any more" in socket.close_reason


def completed(told: list[dict]) -> bool:
    return any(message.get("serverContent", {}).get("turnComplete") for message in told)


def written(told: list[dict]) -> str:
    parts = [
        part
        for message in told
        for part in message.get("serverContent", {}).get("modelTurn", {}).get("parts", [])
    ]
    return "".join(part.get("text", "") for part in parts)

"""The service inside a web application, under a real ASGI server."""

import asyncio
import contextlib
import json
from http.client import HTTPConnection

import pytest
import websockets
from asgi_server import mounted, served
from starlette.applications import Starlette
from starlette.routing import Mount

from hearsight.addresses import GEMINI_LIVE_PATHS, REALTIME_PATH
from hearsight.asgi import Hearsight
from hearsight.streams.asgi import AsgiSocket


@pytest.fixture
def hearsight(script, scripted):
    """The application, given what its engine says."""

    def make(*sayings, **more):
        return Hearsight(scripted(script(*({"say": saying} for saying in sayings)), **more))

    return make


async def get(port: int, path: str, method: str = "GET"):
    def ask():
        with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    return await asyncio.to_thread(ask)


async def until(connection, kind: str) -> dict:
    async with asyncio.timeout(20):
        while True:
            event = json.loads(await connection.recv())
            if event["type"] == kind:
                return event


async def converse(url: str, **options) -> str:
    """Type something, and return what is answered."""
    async with websockets.connect(url, **options) as connection:
        await until(connection, "session.created")
        content = [{"type": "input_text", "text": "Hello!"}]
        item = {"type": "message", "role": "user", "content": content}
        await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await connection.send(json.dumps({"type": "response.create"}))
        done = await until(connection, "response.done")
    return done["response"]["output"][0]["content"][0]["transcript"]


@pytest.mark.parametrize("prefix", ["", "/assistant"])
async def test_a_conversation_beside_the_applications_own_routes(hearsight, prefix):
    async with served(mounted(hearsight("Ahoy."), prefix or "/")) as port:
        assert await converse(f"ws://127.0.0.1:{port}{prefix}{REALTIME_PATH}") == "Ahoy."
        assert (await get(port, "/own"))[2] == b"mine"
        assert (await get(port, f"{prefix}/healthz"))[0] == 200


async def test_by_itself_it_lives_as_long_as_its_server(hearsight):
    app = hearsight("Ahoy.")
    async with served(app) as port:
        assert await converse(f"ws://127.0.0.1:{port}{REALTIME_PATH}") == "Ahoy."
        status, headers, body = await get(port, "/")
        assert status == 200 and b"<title>" in body and "text/html" in headers["content-type"]
    assert len(app.app.server.sessions) == 0


async def test_the_browser_page_has_its_files_and_nothing_else(hearsight):
    async with served(hearsight()) as port:
        assert (await get(port, "/nothing"))[0] == 404
        assert (await get(port, "/../pyproject.toml"))[0] == 404
        assert (await get(port, "/healthz", "POST"))[0] == 405
        status, _, body = await get(port, "/healthz", "HEAD")
        assert (status, body) == (200, b"")
        assert (await get(port, REALTIME_PATH))[0] == 426


async def test_keys_count_as_on_a_port_of_its_own(hearsight):
    async with served(hearsight("Ahoy.", "Aye.", server__api_keys=["secret"])) as port:
        url = f"ws://127.0.0.1:{port}{REALTIME_PATH}"
        with pytest.raises(websockets.InvalidStatus) as refused:
            await converse(url)
        assert refused.value.response.status_code in (401, 403)
        subprotocols = ["realtime", "openai-insecure-api-key.secret"]
        assert await converse(url, subprotocols=subprotocols) == "Ahoy."
        assert await converse(url, additional_headers={"Authorization": "Bearer secret"}) == "Aye."


async def test_a_client_of_gemini_live_speaks_first(hearsight):
    async with served(hearsight("Ahoy.")) as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}{GEMINI_LIVE_PATHS[0]}") as connection:
            await connection.send(json.dumps({"setup": {"model": "m"}}))
            assert "setupComplete" in json.loads(await connection.recv())


async def test_a_client_that_comes_back_misses_nothing(hearsight):
    async with served(hearsight("Ahoy.")) as port:
        url = f"ws://127.0.0.1:{port}{REALTIME_PATH}"
        connection = await websockets.connect(url)
        created = await until(connection, "session.created")
        connection.transport.abort()
        query = f"?session_id={created['session']['id']}&last_event_id={created['event_id']}"
        async with websockets.connect(url + query) as connection:
            await connection.send(json.dumps({"type": "input_audio_buffer.clear"}))
            event = json.loads(await connection.recv())
            assert event["type"] == "input_audio_buffer.cleared"


async def test_a_message_that_is_too_long_closes_the_connection(hearsight):
    async with served(hearsight(server__max_message_bytes=4096)) as port:
        async with websockets.connect(f"ws://127.0.0.1:{port}{REALTIME_PATH}") as connection:
            await until(connection, "session.created")
            await connection.send("x" * 5000)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await connection.recv()
        assert closed.value.rcvd.code == 1009


async def test_an_application_that_stops_says_goodbye(hearsight):
    app = hearsight()
    async with served(mounted(app, "/assistant")) as port:
        connection = await websockets.connect(f"ws://127.0.0.1:{port}/assistant{REALTIME_PATH}")
        await until(connection, "session.created")
    with pytest.raises(websockets.ConnectionClosed):
        while True:
            await connection.recv()
    assert len(app.app.server.sessions) == 0


async def test_while_it_does_not_run_clients_are_told_to_wait(hearsight):
    app = Starlette(routes=[Mount("/", hearsight())])
    async with served(app) as port:
        assert (await get(port, "/readyz"))[0] == 503
        with pytest.raises(websockets.InvalidStatus):
            await converse(f"ws://127.0.0.1:{port}{REALTIME_PATH}")


async def test_models_that_are_missing_are_told_to_the_server(script, scripted, tmp_path):
    settings = scripted(script(), models__cache_dir=tmp_path / "empty", models__offline=True)
    told = []

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        told.append(message)

    await Hearsight(settings)({"type": "lifespan"}, receive, send)
    assert [message["type"] for message in told] == ["lifespan.startup.failed"]
    assert "hearsight models pull" in told[0]["message"]


async def test_what_is_neither_a_request_nor_a_socket_is_refused(hearsight):
    with pytest.raises(ValueError, match="no telepathy is served here"):
        await hearsight()({"type": "telepathy"}, None, None)


class TestSocket:
    """What servers do that is rare."""

    @staticmethod
    def make(*events, fails: bool = False):
        sent = []
        waiting = list(events)

        async def receive():
            return waiting.pop(0)

        async def send(message):
            if fails:
                raise RuntimeError("the client has left")
            sent.append(message)

        return AsgiSocket(None, receive, send, 100), sent

    async def test_messages_come_as_text_or_bytes_until_the_client_leaves(self):
        socket, _ = self.make(
            {"type": "websocket.receive", "text": "a"},
            {"type": "websocket.receive", "bytes": b"b", "text": None},
            {"type": "websocket.disconnect", "code": 1001},
        )
        assert [message async for message in socket] == ["a", b"b"]
        assert socket.close_code == 1001

    async def test_without_a_close_code_it_is_an_abnormal_end(self):
        socket, _ = self.make({"type": "websocket.disconnect", "code": None})
        assert [message async for message in socket] == []
        assert socket.close_code == 1006

    async def test_to_a_client_that_has_left_nothing_is_sent(self):
        socket, _ = self.make(fails=True)
        with pytest.raises(websockets.ConnectionClosed):
            await socket.send("hello")
        await socket.close(1000)
        assert socket.close_code == 1006

    async def test_goodbye_is_said_once(self):
        socket, sent = self.make()
        await socket.close(1000, "bye")
        await socket.close(1001)
        assert sent == [{"type": "websocket.close", "code": 1000, "reason": "bye"}]
        with pytest.raises(websockets.ConnectionClosed):
            await socket.send("more")

    async def test_one_that_was_dropped_reads_nothing_more(self):
        socket, _ = self.make({"type": "websocket.receive", "text": "a"})
        socket.transport.abort()
        assert [message async for message in socket] == []

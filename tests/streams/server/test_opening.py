"""Where the client speaks first, its message opens a session, goes on with one, or does neither."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets

from hearsight.streams import server as server_module
from hearsight.streams.connection import MAX_REASON_BYTES, shortened
from hearsight.streams.events import ResponseEnded, ResponseStarted

PATH = "/ws/gemini"
SETUP = json.dumps({"setup": {"model": "m"}})
LASTING = json.dumps({"setup": {"model": "m", "sessionResumption": {}}})


def connect(service, *, query="", path=PATH, **options):
    return websockets.connect(service.url(query, path), **options)


async def until_closed(socket):
    messages = []
    try:
        while True:
            messages.append(json.loads(await socket.recv()))
    except websockets.ConnectionClosed:
        return messages, socket.close_code, socket.close_reason


async def set_up(socket, message=SETUP):
    await socket.send(message)
    return json.loads(await socket.recv())["setupComplete"]["sessionId"]


@pytest.mark.parametrize("message", [SETUP, SETUP.encode()])
async def test_a_session_begins_with_the_setup(start_service, message):
    service = await start_service()
    async with connect(service) as socket:
        await asyncio.sleep(0)
        assert len(service.server.sessions) == 0
        session_id = await set_up(socket, message)
        [session] = service.server.sessions
        assert session.id == session_id and session.protocol == "gemini-live"
        [configure] = service.runtimes[session_id].received
        assert configure.config.input_format.rate_hz == 16_000


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("nonsense", "The message is not valid JSON"),
        ("[]", "must be a JSON object"),
        ('{"realtimeInput": {}}', "The first message must be a setup, not realtimeInput."),
        ('{"setup": {"model": 1}}', "'setup.model'"),
        ('{"setup": {"tools": [{"googleSearch": {}}]}}', "'setup.tools[0].googleSearch'"),
        (b"\xff\xfe", "not valid Unicode"),
    ],
)
async def test_a_first_message_that_opens_nothing(start_service, message, reason):
    service = await start_service()
    async with connect(service) as socket:
        await socket.send(message)
        messages, code, said = await until_closed(socket)
    assert (messages, code) == ([], 1007)
    assert reason in said
    assert service.runtimes == {}


async def test_a_client_that_says_nothing(start_service, monkeypatch):
    monkeypatch.setattr(server_module, "OPENING_TIMEOUT_S", 0.05)
    service = await start_service()
    async with connect(service) as socket:
        assert await until_closed(socket) == ([], 1008, "No setup came within 0.05 s.")
    assert service.runtimes == {}


async def test_a_client_that_leaves_without_a_word(start_service):
    service = await start_service()
    async with connect(service):
        pass
    async with connect(service) as socket:
        socket.transport.abort()
    async with connect(service) as socket:
        await set_up(socket)
    assert len(service.runtimes) == 1


async def test_a_shutdown_does_not_wait_for_the_first_message(start_service):
    service = await start_service()
    async with connect(service) as socket:
        service.server.stop()
        async with asyncio.timeout(5):
            assert await until_closed(socket) == ([], 1001, "The server is shutting down.")


async def test_sessions_may_run_out_before_the_first_message(start_service):
    service = await start_service(max_sessions=1)
    async with connect(service) as first, connect(service) as second:
        await set_up(first)
        await second.send(SETUP)
        messages, code, reason = await until_closed(second)
        assert (messages, code) == ([], 1013)
        assert reason == "All 1 sessions are in use; try again later."


async def test_a_message_that_is_too_large(start_service):
    service = await start_service(max_message_bytes=1024)
    async with connect(service) as socket:
        await socket.send(json.dumps({"setup": {"systemInstruction": "x" * 2_000}}))
        assert (await until_closed(socket))[1] == 1009
    assert service.runtimes == {}


async def test_the_key_may_stand_in_the_query(start_service):
    service = await start_service(api_keys=("secret",))
    async with connect(service, query="key=secret") as socket:
        await set_up(socket)
    for query, path, headers in (
        ("key=wrong", PATH, {}),
        ("", PATH, {}),
        ("key=secret", "/v1/realtime", {}),
        ("", PATH, {"x-goog-api-key": "wrong"}),
    ):
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with connect(service, query=query, path=path, additional_headers=headers):
                pass
        assert caught.value.response.status_code == 401
    async with connect(service, additional_headers={"x-goog-api-key": "secret"}) as socket:
        await set_up(socket)


async def test_a_path_with_two_slashes(start_service):
    """As clients write it whose base URL ends in one."""
    service = await start_service(api_keys=("secret",))
    async with connect(service, path=f"/{PATH}", query="key=secret") as socket:
        await set_up(socket)


async def test_after_an_error_the_session_goes_on(start_service):
    service = await start_service()
    async with connect(service) as socket:
        session_id = await set_up(socket)
        await socket.send('{"realtimeInput": {"audio": {"data": "?", "mimeType": "audio/pcm"}}}')
        error = json.loads(await socket.recv())["error"]
        assert error["details"] == [{"reason": "invalid_value", "field": "realtimeInput.audio.data"}]
        await socket.send('{"clientContent": {"turnComplete": true}}')
        await socket.send("nonsense")
        assert "not valid JSON" in json.loads(await socket.recv())["error"]["message"]
        assert service.runtimes[session_id].received[-1].when_idle


# --- coming back --------------------------------------------------------------------------------------------


def going_on(handle):
    return json.dumps({"setup": {"model": "m", "sessionResumption": {"handle": handle}}})


def answer(runtime):
    runtime.tell(ResponseStarted("resp_1", "audio"))
    runtime.tell(ResponseEnded("resp_1", "audio", "completed"))


async def read_handle(socket):
    while True:
        message = json.loads(await socket.recv())
        if update := message.get("sessionResumptionUpdate"):
            return update["newHandle"]


async def test_a_goodbye_ends_a_session(start_service):
    service = await start_service()
    async with connect(service) as socket:
        session_id = await set_up(socket)
        [session] = service.server.sessions
    await session.ended.wait()
    async with connect(service) as socket:
        await socket.send(going_on(f"{session_id}.1"))
        messages, code, reason = await until_closed(socket)
    assert (messages, code) == ([], 1008)
    assert reason.startswith("There is no such session any more") and reason.endswith(".")


async def test_but_not_one_that_is_to_be_gone_on_with(start_service):
    service = await start_service()
    async with connect(service) as socket:
        session_id = await set_up(socket, LASTING)
        handle = await read_handle(socket)
    answer(service.runtimes[session_id])
    async with connect(service) as socket:
        assert await set_up(socket, going_on(handle)) == session_id
        missed = [json.loads(await socket.recv()) for _ in range(3)]
        assert [list(message)[0] for message in missed] == [
            "serverContent",
            "serverContent",
            "sessionResumptionUpdate",
        ]
        answer(service.runtimes[session_id])
        latest = await read_handle(socket)
    async with connect(service) as socket:
        assert await set_up(socket, going_on(latest)) == session_id
        answer(service.runtimes[session_id])
        assert "generationComplete" in json.loads(await socket.recv())["serverContent"]
    assert len(service.runtimes) == 1


async def test_whoever_comes_back_takes_over(start_service):
    service = await start_service()
    async with connect(service) as first, connect(service) as second:
        session_id = await set_up(first, LASTING)
        handle = await read_handle(first)
        assert await set_up(second, going_on(handle)) == session_id
        assert await until_closed(first) == ([], 1008, "Another connection has taken over this session.")
        answer(service.runtimes[session_id])
        await read_handle(second)


@pytest.mark.parametrize(
    ("handle", "code"),
    [("x", 1007), ("sess_1.", 1007), ("sess_1.1", 1008), ("{id}.99", 1007), ("{id}.x", 1007)],
)
async def test_handles_that_lead_nowhere(start_service, handle, code):
    service = await start_service()
    async with connect(service) as socket:
        session_id = await set_up(socket, LASTING)
    async with connect(service) as socket:
        await socket.send(going_on(handle.format(id=session_id)))
        messages, closed_with, reason = await until_closed(socket)
    assert (messages, closed_with) == ([], code)
    assert reason


async def test_a_handle_is_good_for_its_own_protocol(start_service):
    service = await start_service()
    socket, session_id = await service.open()
    async with connect(service) as other:
        await other.send(going_on(f"{session_id}.1"))
        assert (await until_closed(other))[1] == 1008
    await socket.close()


def test_reasons_are_cut_between_words():
    assert shortened("Short.") == "Short."
    long = shortened("word " * 40)
    assert len(long.encode()) <= MAX_REASON_BYTES and long.endswith("word…")
    assert len(shortened("ü" * 200).encode()) <= MAX_REASON_BYTES

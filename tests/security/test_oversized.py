"""Too much of everything: each is refused in words, and the service has its next conversation."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time

import pytest
import websockets


async def still_talks(server, as_user):
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)
        await user.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
        await user.write("Hello?")
        assert await user.answer() == "Still here."


async def until_over(server):
    """Every session has ended."""
    async with asyncio.timeout(20):
        while server.call(lambda: len(server.server.sessions)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def server(serve):
    return serve({"say": "Still here."}, **{"server.max_message_bytes": 2_000_000})


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 20_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1_000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 10_000_000, b"431"),
        (b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (
            b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"411",
        ),
    ],
    ids=["url", "header", "headers", "endless header", "body", "chunks"],
)
async def test_a_request(server, as_user, raw, request_, status):
    try:
        answer = await asyncio.to_thread(raw, server.port, request_)
        assert answer.startswith(b"HTTP/1.1 " + status)
    except (BrokenPipeError, ConnectionResetError):
        pass  # answered and closed before all of it was sent
    await still_talks(server, as_user)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"type": "input_audio_buffer.append", "audio": "A" * 1_900_001}, "audio"),
        ({"type": "x" * 100_000}, "There is no event of type"),
        ({"type": "response.create", "event_id": "i" * 10_000, "response": {}}, "event_id"),
        (
            {"type": "session.update", "session": {"type": "realtime", "tools": [{"name": "f" * 999}]}},
            "tools",
        ),
        (
            {"type": "response.create", "response": {"metadata": {str(n): "x" for n in range(999)}}},
            "metadata",
        ),
    ],
)
async def test_a_field(server, as_user, event, said):
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)
        await connection.send(json.dumps(event))
        error = (await user.until("error"))["error"]
        assert said in f"{error['message']} {error['param']}"
        assert len(json.dumps(error)) < 2_000, "what is wrong is told without quoting all of it"
    await still_talks(server, as_user)


async def test_a_tool(server, as_user):
    parameters = {"type": "object", "properties": {"a": {"enum": ["x"] * 9000}}}
    tool = {"type": "function", "name": "f", "parameters": parameters}
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)
        await user.send("session.update", session={"type": "realtime", "tools": [tool]})
        await user.write("Hello?")
        done = await user.until("response.done")
        assert "larger than 16 KiB" in json.dumps(done["response"]["status_details"])
    await still_talks(server, as_user)


async def test_a_message(server, as_user):
    async with websockets.connect(server.realtime, max_size=None) as connection:
        user = as_user(connection)
        await connection.send("x" * 2_000_001)
        assert (await user.ending())[0] == 1009
    await still_talks(server, as_user)


async def test_a_message_in_endless_pieces(server, as_user):
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)

        async def pieces():
            for _ in range(1_000):
                yield "x" * 10_000

        sending = asyncio.create_task(connection.send(pieces()))
        assert (await user.ending())[0] == 1009
        await asyncio.gather(sending, return_exceptions=True)
    await still_talks(server, as_user)


async def test_nesting_without_end(server, as_user):
    async with websockets.connect(server.realtime) as connection:
        await connection.send('{"type":' + "[" * 900_000)
        assert "nested too deeply" in (await as_user(connection).until("error"))["error"]["message"]
    await still_talks(server, as_user)


async def test_a_text_that_no_model_reads(serve, as_user):
    server = serve({"say": "Still here."}, **{"context.max_tokens": 4096})
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)
        await user.write("word " * 100_000)
        done = await user.until("response.done")
        assert done["response"]["status"] == "failed"
        assert done["response"]["status_details"]["error"]["code"] == "context_length_exceeded"
    await still_talks(server, as_user)


async def test_audio_without_a_pause_is_cut_and_told(serve, as_user):
    server = serve({"say": "Still here."}, **{"audio.max_buffered_s": 2})
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)
        session = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await user.send("session.update", session=session)
        second = base64.b64encode(bytes(48_000)).decode()
        for _ in range(5):
            await user.send("input_audio_buffer.append", audio=second)
        assert (await user.until("error"))["error"]["code"] == "audio_dropped"
    await still_talks(server, as_user)


async def test_events_without_a_pause(serve, as_user):
    server = serve({"say": "Still here."}, **{"server.events_per_s": 10})
    async with websockets.connect(server.realtime) as connection:
        user = as_user(connection)
        sending = asyncio.gather(
            *(user.send("input_audio_buffer.clear") for _ in range(200)), return_exceptions=True
        )
        assert await user.ending() == (1008, "More than 10 events per second.")
        await sending
    await still_talks(server, as_user)


async def test_more_sessions_than_there_may_be(serve, as_user):
    server = serve({"say": "Still here."}, **{"server.max_sessions": 2})
    first, second = [await websockets.connect(server.realtime) for _ in range(2)]
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(server.realtime)
    assert refused.value.response.status_code == 503 and refused.value.response.headers["Retry-After"]
    await first.close()
    await second.close()
    await until_over(server)
    await still_talks(server, as_user)


class TestSlowloris:
    """Clients that take their time, so that nobody else has any."""

    def test_requests_that_never_end_are_dropped_and_do_not_keep_others_out(self, serve):
        server = serve(**{"server.handshake_timeout_s": 0.5, "server.max_connections": 40})
        held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        for connection in held:
            connection.sendall(b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\n")
        until_s = time.monotonic() + 20
        for connection in held:
            connection.settimeout(max(0.1, until_s - time.monotonic()))
            with connection:
                assert _read(connection) == b""
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")

    def test_a_tls_handshake_that_never_ends_is_dropped_too(self, serve, tmp_path):
        tls = {"server.tls": "self-signed", "server.tls_folder": str(tmp_path / "tls")}
        server = serve(**tls, **{"server.handshake_timeout_s": 0.5})
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(b"\x16\x03\x01")
            assert _read(connection) == b""

    def test_an_answer_that_nobody_reads_does_not_stay_for_ever(self, serve):
        server = serve(**{"server.handshake_timeout_s": 0.5})
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            until_s = time.monotonic() + 20
            while server.call(lambda: len(server.server.door)):
                assert time.monotonic() < until_s
                time.sleep(0.02)

    async def test_a_session_that_says_nothing_more_is_closed(self, serve, as_user):
        server = serve(**{"server.idle_timeout_s": 0.3})
        async with websockets.connect(server.realtime) as connection:
            code, reason = await as_user(connection).ending()
        assert (code, reason) == (1008, "Nothing came from the client for 0.3 s.")

    async def test_a_client_that_is_gone_without_a_word_is_noticed(self, serve):
        server = serve(
            **{"server.ping_interval_s": 0.1, "server.ping_timeout_s": 0.2, "server.session_ttl_s": 0.1}
        )
        connection = await websockets.connect(server.realtime)
        connection.transport.pause_reading()  # no pong comes back, as from a machine without a network
        await until_over(server)
        connection.transport.abort()


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(100)
    except ConnectionResetError:
        return b""

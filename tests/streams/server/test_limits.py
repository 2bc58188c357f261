"""What one client may take of a server: sessions, time, connections; and what a key that is gone ends."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
import websockets
from structlog.testing import capture_logs

from hearsight.streams import registry
from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import StoredKey, digest_of, new_key


class Keys:
    def __init__(self, path):
        self.file = KeyFile(path)

    def make(self, name, **limits):
        key = new_key()
        stored = StoredKey(name=name, sha256=digest_of(key).hex(), created_at=datetime.now(UTC), **limits)
        self.file.change(lambda ring: ring.with_key(stored))
        return {"additional_headers": {"Authorization": f"Bearer {key}"}}

    def revoke(self, name):
        self.file.change(lambda ring: ring.revoking(name, datetime.now(UTC)))


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys.json")


async def refused(connecting):
    with pytest.raises(websockets.InvalidStatus) as caught:
        await connecting
    return caught.value.response


async def test_revoking_a_key_closes_its_sessions_and_no_others(
    start_service, keys, read_to_close, monkeypatch
):
    monkeypatch.setattr(registry, "PATROL_S", 0.01)
    tablet, phone = keys.make("tablet"), keys.make("phone")
    service = await start_service(keys_file=keys.file.path)
    (mine, _), (other, other_id) = await service.open(**tablet), await service.open(**phone)
    keys.revoke("tablet")
    async with asyncio.timeout(5):
        events, code, reason = await read_to_close(mine)
    assert [event["error"]["code"] for event in events] == ["invalid_api_key"]
    assert (code, reason) == (1008, "This API key has been revoked.")
    assert [session.id for session in service.server.sessions] == [other_id]
    await other.close()


async def test_a_session_that_waits_for_its_client_ends_with_its_key_too(start_service, keys, monkeypatch):
    tablet = keys.make("tablet")
    service = await start_service(keys_file=keys.file.path)
    socket, session_id = await service.open(**tablet)
    socket.transport.abort()
    [session] = service.server.sessions
    keys.revoke("tablet")
    service.server.sessions.patrol()
    assert session.ended.is_set()
    assert (await refused(service.connect(f"session_id={session_id}", **tablet))).status_code == 401


async def test_a_session_is_taken_up_with_its_own_key_only(start_service, keys, read_to_close):
    tablet, phone = keys.make("tablet"), keys.make("phone")
    service = await start_service(keys_file=keys.file.path)
    socket, session_id = await service.open(**tablet)
    socket.transport.abort()
    async with service.connect(f"session_id={session_id}", **phone) as thief:
        events, code, _ = await read_to_close(thief)
    assert ([event["error"]["code"] for event in events], code) == (["session_not_found"], 1008)
    async with service.connect(f"session_id={session_id}", **tablet) as back:
        await back.send(json.dumps({"type": "input_audio_buffer.clear"}))
        assert json.loads(await back.recv())["type"] == "session.created"


async def test_a_key_has_so_many_sessions_at_a_time(start_service, keys):
    tablet, phone = keys.make("tablet", max_sessions=1), keys.make("phone")
    service = await start_service(keys_file=keys.file.path, retry_after_s=9)
    socket, session_id = await service.open(**tablet)
    response = await refused(service.connect(**tablet))
    assert (response.status_code, response.headers["Retry-After"]) == (429, "9")
    assert b"All 1 sessions of this API key are in use" in response.body
    await service.open(**phone)
    back = await service.connect(f"session_id={session_id}", **tablet)
    await back.close()
    await service.server.sessions._live[session_id].ended.wait()
    await socket.wait_closed()


async def test_a_key_opens_so_many_sessions_a_minute(start_service, keys):
    tablet = keys.make("tablet", sessions_per_minute=2)
    service = await start_service(keys_file=keys.file.path)
    for _ in range(2):
        socket, _ = await service.open(**tablet)
        await socket.close()
    response = await refused(service.connect(**tablet))
    assert response.status_code == 429 and 25 <= int(response.headers["Retry-After"]) <= 30
    assert b"may open 2 sessions per minute" in response.body


async def test_where_the_client_speaks_first_the_limits_of_its_key_hold_too(
    start_service, keys, read_to_close
):
    tablet = keys.make("tablet", max_sessions=1)
    service = await start_service(keys_file=keys.file.path)
    url, setup = service.url("", "/ws/gemini"), json.dumps({"setup": {"model": "m"}})
    async with websockets.connect(url, **tablet) as first, websockets.connect(url, **tablet) as second:
        await first.send(setup)
        assert "setupComplete" in json.loads(await first.recv())
        await second.send(setup)
        assert (await read_to_close(second))[1:] == (
            1013,
            "All 1 sessions of this API key are in use; end one, or try again later.",
        )


async def test_a_key_that_is_revoked_before_the_first_message_opens_nothing(
    start_service, keys, read_to_close
):
    tablet = keys.make("tablet")
    service = await start_service(keys_file=keys.file.path)
    async with websockets.connect(service.url("", "/ws/gemini"), **tablet) as socket:
        keys.revoke("tablet")
        await socket.send(json.dumps({"setup": {"model": "m"}}))
        assert (await read_to_close(socket))[1:] == (1008, "This API key has been revoked.")
    assert len(service.server.sessions) == 0


@pytest.mark.parametrize(("server_s", "key_s"), [(0.05, None), (86_400, 0.05), (0, 0.05)])
async def test_a_session_lasts_as_long_as_it_may(
    start_service, keys, read_to_close, monkeypatch, server_s, key_s
):
    monkeypatch.setattr(registry, "PATROL_S", 0.01)
    tablet = keys.make("tablet", max_session_s=key_s)
    service = await start_service(keys_file=keys.file.path, max_session_s=server_s)
    socket, _ = await service.open(**tablet)
    async with asyncio.timeout(5):
        events, code, reason = await read_to_close(socket)
    assert [event["error"]["code"] for event in events] == ["session_expired"]
    assert (code, reason) == (1008, "This session has lasted 0.05 s, which is as long as it may.")


async def test_who_opened_a_session_is_logged_by_name_and_never_by_key(start_service, keys):
    tablet = keys.make("tablet")
    service = await start_service(keys_file=keys.file.path)
    with capture_logs() as logs:
        socket, _ = await service.open(**tablet)
        await socket.close()
        await refused(service.connect(additional_headers={"Authorization": "Bearer hs_wrong"}))
        await service.stop()
    by_event = {log["event"]: log for log in logs}
    assert by_event["session opened"]["key"] == by_event["session ended"]["key"] == "tablet"
    assert by_event["refused"] | {"address": None, "log_level": None} == {
        "event": "refused",
        "log_level": None,
        "status": 401,
        "reason": "A valid API key is needed: send it as `Authorization: Bearer KEY`.",
        "address": None,
    }
    assert by_event["refused"]["address"] == "127.0.0.1"
    assert "hs_" not in str(logs)


async def until_empty(door):
    async with asyncio.timeout(10):
        while len(door):  # noqa: ASYNC110
            await asyncio.sleep(0)


class TestConnections:
    """Before anything is a session."""

    @staticmethod
    async def half_open(service):
        return await asyncio.open_connection("127.0.0.1", service.server.port)

    async def test_there_are_so_many_and_one_more_is_dropped_unread(self, start_service):
        service = await start_service(max_connections=2)
        held = [await self.half_open(service) for _ in range(2)]
        reader, writer = await self.half_open(service)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        for _, each in held:
            each.close()
        await until_empty(service.server.door)
        status, _, body = await service.request("GET /metrics HTTP/1.1\nHost: x")
        assert status == 200
        assert b'hearsight_connections_refused_total{status="dropped"} 1.0' in body

    async def test_by_default_they_grow_with_the_sessions(self, make_service):
        assert make_service(max_sessions=3).server.door._most == 256
        assert make_service(max_sessions=1000).server.door._most == 4000

    @pytest.mark.parametrize("said", [b"", b"GET /v1/rea", b"GET / HTTP/1.1\r\nHost: x\r\nX-a: b"])
    async def test_one_that_does_not_say_its_request_in_time_is_dropped(self, start_service, said):
        service = await start_service(handshake_timeout_s=0.05)
        reader, writer = await self.half_open(service)
        writer.write(said)
        async with asyncio.timeout(5):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        writer.close()
        await until_empty(service.server.door)

    async def test_one_that_sends_its_body_drop_by_drop_is_dropped_too(self, start_service):
        service = await start_service(handshake_timeout_s=0.2)
        reader, writer = await self.half_open(service)
        writer.write(b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n")

        async def drip():
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        dripping.cancel()
        writer.close()

    async def test_port_scans_leave_nothing_in_the_log(self, start_service, caplog):
        service = await start_service()
        for said in (
            b"",
            b"\x16\x03\x01",
            b"GET / HT",
            b"GET / HTTP/1.1\r\nAuthorization: Bearer k\x01\r\n\r\n",
        ):
            _, writer = await self.half_open(service)
            writer.write(said)
            writer.close()
            await writer.wait_closed()
        await service.stop()
        assert caplog.text == ""

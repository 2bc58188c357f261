"""Plain HTTP on the port of the sockets, as seen by whoever sends it by hand."""

from __future__ import annotations

import asyncio
import json

import pytest

from hearsight.streams.http import Readiness

PATH = "/v1/realtime"


@pytest.mark.parametrize(
    ("target", "kind", "part"),
    [
        ("/", "text/html", b"<title>Hearsight</title>"),
        ("/?lang=de", "text/html", b"/v1/realtime"),
        ("/healthz", "application/json", b'"ok"'),
        ("/readyz", "application/json", b'"ready": true'),
        ("/metrics", "text/plain", b"hearsight_sessions 0.0"),
    ],
)
async def test_pages(start_service, target, kind, part):
    service = await start_service()
    status, headers, body = await service.request(f"GET {target} HTTP/1.1\nHost: x")
    assert status == 200
    assert headers["content-type"].startswith(kind)
    assert int(headers["content-length"]) == len(body)
    assert headers["x-content-type-options"] == "nosniff"
    assert part in body


@pytest.mark.parametrize("target", ["/nothing", "/v1/realtime/", "/v1", "//", "http://[bad/", "/%00"])
async def test_unknown_paths(start_service, target):
    service = await start_service()
    status, _, body = await service.request(f"GET {target} HTTP/1.1\nHost: x")
    assert status == 404
    assert body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
@pytest.mark.parametrize(
    ("target", "status", "allow"),
    [("/healthz", 405, "GET, HEAD"), ("/", 405, "GET, HEAD"), (PATH, 405, "GET"), ("/nothing", 404, None)],
)
async def test_other_methods(start_service, method, target, status, allow):
    service = await start_service()
    got, headers, _ = await service.request(
        f"{method} {target} HTTP/1.1\nHost: x\nContent-Length: 5", body=b"hello"
    )
    assert (got, headers.get("allow")) == (status, allow)


async def test_head_gets_the_headers_alone(start_service):
    service = await start_service()
    status, headers, body = await service.request("HEAD /healthz HTTP/1.1\nHost: x")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


async def test_old_probes_speak_http_1_0(start_service):
    service = await start_service()
    status, _, _ = await service.request("GET /healthz HTTP/1.0")
    assert status == 200


async def test_a_request_may_come_byte_by_byte(start_service):
    service = await start_service()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    for byte in b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


@pytest.mark.parametrize("start", [b"\x16\x03\x01\x02\x00", b"GET /\r\n\r\n", b"A" * 20_000, b"\r\n\r\n"])
async def test_what_is_no_http_harms_nobody(start_service, start):
    service = await start_service()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    writer.write(start + b"\n\n")
    writer.write_eof()
    await reader.read()
    writer.close()
    assert (await service.request("GET /healthz HTTP/1.1\nHost: x"))[0] == 200


async def test_a_socket_path_asks_for_an_upgrade(start_service):
    service = await start_service()
    status, headers, body = await service.request(f"GET {PATH} HTTP/1.1\nHost: x")
    assert (status, headers["upgrade"]) == (426, "websocket")
    assert b"WebSocket" in body


async def test_readiness_says_why_not(start_service):
    service = await start_service()
    service.server.readiness.reason = "The language model is loading."
    status, _, body = await service.request("GET /readyz HTTP/1.1\nHost: x")
    assert status == 503
    assert json.loads(body)["reason"] == "The language model is loading."
    assert (await service.request("GET /healthz HTTP/1.1\nHost: x"))[0] == 200


async def test_readiness_tells_loading_from_ready_from_full_from_draining(start_service):
    """In a word for machines; and what is being loaded, while something is."""
    service = await start_service(max_sessions=1)
    ready = service.server.metrics.registry

    async def state() -> tuple[int, str, str | None]:
        status, _, body = await service.request("GET /readyz HTTP/1.1\nHost: x")
        answer = json.loads(body)
        assert answer["ready"] is (status == 200)
        assert (answer["reason"] is None) is answer["ready"]
        return status, answer["state"], answer["loading"]

    service.server.readiness.load("voice")
    assert await state() == (503, "loading", "voice")
    assert ready.get_sample_value("hearsight_ready") == 0
    service.server.readiness.reason = None
    assert await state() == (200, "ready", None)
    assert ready.get_sample_value("hearsight_ready") == 1
    socket, _ = await service.open()
    assert await state() == (503, "full", None)
    await socket.close()


def test_what_is_loaded_after_the_order_to_stop_does_not_undo_it():
    state = Readiness()
    assert state.state == "loading"
    state.reason, state.draining = "The server is shutting down.", True
    state.load("engine")
    assert (state.state, state.loading) == ("draining", None)
    assert state.reason == "The server is shutting down."


async def test_a_server_that_drains_says_so(start_service):
    service = await start_service(drain_timeout_s=5)
    socket, _ = await service.open()
    await socket.send(json.dumps({"type": "response.create"}))  # an answer that is being given
    while json.loads(await socket.recv())["type"] != "response.created":
        pass
    service.server.stop()
    status, _, body = await service.request("GET /readyz HTTP/1.1\nHost: x")
    assert (status, json.loads(body)["state"]) == (503, "draining")
    await socket.send(json.dumps({"type": "response.cancel"}))


@pytest.mark.parametrize(("keys", "required"), [((), False), (("secret",), True)])
async def test_readiness_tells_whether_a_key_is_needed(start_service, keys, required):
    service = await start_service(api_keys=keys)
    _, _, body = await service.request("GET /readyz HTTP/1.1\nHost: x")
    assert json.loads(body)["key_required"] is required
    assert b"secret" not in body


async def test_readiness_tells_when_every_session_is_in_use(start_service):
    service = await start_service(max_sessions=1)
    await service.open()
    status, _, body = await service.request("GET /readyz HTTP/1.1\nHost: x")
    assert status == 503
    assert json.loads(body)["sessions"] == 1


async def test_a_server_has_its_own_metrics(start_service):
    one, other = await start_service(), await start_service()
    await one.request("GET /nothing HTTP/1.1\nHost: x")
    _, _, body = await one.request("GET /metrics HTTP/1.1\nHost: x")
    assert b'hearsight_connections_refused_total{status="404"} 1.0' in body
    _, _, body = await other.request("GET /metrics HTTP/1.1\nHost: x")
    assert b'status="404"' not in body

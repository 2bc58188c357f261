"""A server that has more to do than it can do in time: what its clients notice of it, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import pytest
import websockets

from hearsight.streams.overload import OverloadOptions, Relief

SOUND = base64.b64encode(bytes(960)).decode()
LIMITS = OverloadOptions(
    turn_latency_s=0.001, rise_s=0.0, calm_s=0.6, frames_per_s=2.0, picture_px=128, history=0.5
)


async def turn(socket) -> None:
    """A turn whose answer can be heard only a moment later."""
    await socket.send(json.dumps({"type": "response.create"}))
    await asyncio.sleep(0.02)
    await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": SOUND}))
    await socket.send(json.dumps({"type": "response.cancel"}))


async def overload(service, *sockets) -> None:
    """Have turns until nobody new is let in."""
    while service.server.sessions.load.refusal() is None:
        for socket in sockets:
            await turn(socket)


async def collect(socket, until: str) -> list[dict]:
    events = []
    while not events or events[-1]["type"] != until:
        events.append(json.loads(await socket.recv()))
    return events


async def test_sessions_are_told_rung_by_rung_and_new_ones_refused_until_it_is_over(start_service):
    service = await start_service(overload=LIMITS)
    (first, first_id), (second, _) = await service.open(), await service.open()
    await overload(service, first, second)

    status, headers, body = await service.request("GET /v1/realtime HTTP/1.1\nHost: x\nUpgrade: websocket")
    assert status == 503
    assert headers["retry-after"] == "1"
    assert body == b"The service has more to do than it can do in time; try again in 1 s.\n"
    status, _, body = await service.request("GET /readyz HTTP/1.1\nHost: x")
    assert status == 503 and json.loads(body)["reason"].startswith("The service has more to do")
    _, _, metrics = await service.request("GET /metrics HTTP/1.1\nHost: x")
    assert "hearsight_overload_rung 4.0" in metrics.decode()
    assert "hearsight_overload_refused_total 1.0" in metrics.decode()
    assert service.runtimes[first_id].reliefs == [
        Relief(2.0),
        Relief(2.0, 128),
        Relief(2.0, 128, 0.5),
        Relief(2.0, 128, 0.5),
    ]

    events = await collect(first, "session.restored")
    degraded = [event for event in events if event["type"] == "session.degraded"]
    assert [event["level"] for event in degraded] == [
        "fewer_frames", "smaller_pictures", "shorter_history", "refusing",
        "shorter_history", "smaller_pictures", "fewer_frames",
    ]  # fmt: skip
    assert {key: degraded[1][key] for key in ("frames_per_s", "picture_px", "history")} == {
        "frames_per_s": 2.0,
        "picture_px": 128,
        "history": 1.0,
    }
    assert service.runtimes[first_id].reliefs[-1] == Relief()
    third, _ = await service.open()
    for socket in (first, second, third):
        await socket.close()


async def test_who_comes_back_to_a_session_is_let_in(start_service):
    service = await start_service(overload=LIMITS)
    (first, session_id), (second, _) = await service.open(), await service.open()
    await overload(service, first, second)
    first.transport.abort()
    again = await service.connect(f"session_id={session_id}&last_event_id=event_1")
    assert json.loads(await again.recv())["event_id"] == "event_2"
    with pytest.raises(websockets.InvalidStatus, match="503"):
        await service.connect()
    for socket in (again, second):
        await socket.close()


async def test_a_client_that_speaks_first_is_refused_by_its_close_code(start_service):
    service = await start_service(overload=LIMITS)
    (first, _), (second, _) = await service.open(), await service.open()
    await overload(service, first, second)
    async with websockets.connect(service.url("", "/ws/gemini")) as gemini:
        await gemini.send('{"setup": {"model": "m"}}')
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await gemini.recv()
    assert gemini.close_code == 1013
    assert re.fullmatch(r"The service has more to do .* try again in \d s\.", gemini.close_reason or "")
    for socket in (first, second):
        await socket.close()


async def test_a_server_is_never_overloaded_unless_it_was_told_what_is_too_much(start_service):
    service = await start_service()
    (first, _), (second, _) = await service.open(), await service.open()
    for _ in range(20):
        await turn(first)
        await turn(second)
    assert service.server.sessions.load.refusal() is None
    assert service.server.sessions.load._task is None
    for socket in (first, second):
        await socket.close()

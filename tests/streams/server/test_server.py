"""Sessions over real sockets: limits, losses, faults, and the end."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket as sockets
from contextlib import suppress

import pytest
import websockets

from hearsight.streams.errors import EngineError
from hearsight.streams.events import (
    AudioChunk,
    Dropped,
    Refused,
    ResponseEnded,
    Speculated,
    SpeechDismissed,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
)
from hearsight.streams.server import serve


def event(kind, **fields):
    return json.dumps({"type": kind, **fields})


def said(text="Hello"):
    return event(
        "conversation.item.create",
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
    )


async def until(condition):
    """Let the loop turn until something holds."""
    while True:
        if condition():
            return
        await asyncio.sleep(0)


async def ended(service, session_id):
    """Wait until nothing of the one session is left."""
    await until(lambda: service.runtimes[session_id].closed_with is not None)
    await until(lambda: len(service.server.sessions) == 0)


def drop(socket):
    """Lose the connection without a word."""
    socket.transport.abort()


async def waiting(service):
    """Wait until the server has noticed that its one session has lost its connection."""
    [session] = service.server.sessions
    await until(lambda: not session.attached)
    return session


# --- a session ---------------------------------------------------------------------------------------------


async def test_the_server_speaks_first_and_answers_in_order(start_service, read):
    service = await start_service()
    socket, session_id = await service.open()
    assert session_id.startswith("sess_")
    await socket.send(said("one"))
    await socket.send(said("two").encode())
    texts = [(await read(socket))["item"]["content"][0]["text"] for _ in range(2)]
    assert texts == ["one", "two"]


async def test_events_of_two_sessions_do_not_mix(start_service, read):
    service = await start_service()
    (one, first), (two, second) = await service.open(), await service.open()
    assert first != second
    await one.send(said("one"))
    await two.send(said("two"))
    assert (await read(one))["item"]["content"][0]["text"] == "one"
    assert (await read(two))["item"]["content"][0]["text"] == "two"


@pytest.mark.parametrize("message", ["{", "[]", event("nonsense", event_id="e9"), event("session.update")])
async def test_a_bad_message_is_answered_and_the_session_goes_on(start_service, read, message):
    service = await start_service()
    socket, _ = await service.open()
    await socket.send(message)
    answer = await read(socket)
    assert answer["type"] == "error"
    assert answer["error"]["event_id"] == ("e9" if "e9" in message else None)
    await socket.send(said())
    assert (await read(socket))["type"] == "conversation.item.added"


async def test_what_the_session_refuses_is_told_with_the_clients_event_id(start_service, read):
    service = await start_service()
    socket, _ = await service.open()
    await socket.send(event("conversation.item.retrieve", item_id="none", event_id="e1"))
    error = (await read(socket))["error"]
    assert (error["code"], error["param"], error["event_id"]) == ("item_not_found", "item_id", "e1")


async def test_audio_reaches_the_session_in_order(start_service, read):
    service = await start_service()
    socket, session_id = await service.open()
    chunks = [bytes([n]) * 960 for n in range(50)]
    for chunk in chunks:
        await socket.send(event("input_audio_buffer.append", audio=base64.b64encode(chunk).decode()))
    for _ in chunks:
        assert (await read(socket))["type"] == "response.output_audio.delta"
    assert service.runtimes[session_id].received == [AudioChunk(chunk) for chunk in chunks]


# --- limits ------------------------------------------------------------------------------------------------


async def test_a_message_that_is_too_large_closes_with_1009(start_service, read_to_close):
    service = await start_service(max_message_bytes=10_000)
    socket, _ = await service.open()
    await socket.send("x" * 20_000)
    _, code, _ = await read_to_close(socket)
    assert code == 1009


async def test_too_many_events_close_with_1008(start_service, read_to_close):
    service = await start_service(events_per_s=2.0)
    socket, _ = await service.open()
    with suppress(websockets.ConnectionClosed):
        for _ in range(100):
            await socket.send(event("input_audio_buffer.clear"))
    _, code, reason = await read_to_close(socket)
    assert (code, reason) == (1008, "More than 2 events per second.")


async def test_a_silent_client_is_closed_with_1008(start_service, read_to_close):
    service = await start_service(idle_timeout_s=0.05)
    socket, session_id = await service.open()
    _, code, reason = await read_to_close(socket)
    assert (code, reason) == (1008, "Nothing came from the client for 0.05 s.")
    await ended(service, session_id)


async def test_a_client_that_does_not_answer_pings_is_dropped(start_service):
    service = await start_service(ping_interval_s=0.02, ping_timeout_s=0.05, close_timeout_s=0.05)
    await raw_client(service)
    await waiting(service)


async def raw_client(service, receive_buffer=None):
    """Open a session by hand, over a socket that then reads nothing."""
    raw = sockets.socket()
    if receive_buffer is not None:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_buffer)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", service.server.port))
    head = (
        "GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(raw, head.encode())
    assert b"101" in await loop.sock_recv(raw, 12)
    await until(lambda: service.runtimes)
    return raw


async def test_a_slow_reader_is_dropped_and_can_come_back(start_service, read):
    service = await start_service(outbound_buffer_bytes=200_000, close_timeout_s=0.05, replay_events=5_000)
    raw = await raw_client(service, receive_buffer=4_096)
    [session] = service.server.sessions
    runtime = service.runtimes[session.id]
    sent = 0
    while session.attached:
        runtime.tell(TextDelta("resp_1", "item_1", 0, "text", "x" * 1_000))
        sent += 1
        await asyncio.sleep(0)
    raw.close()
    assert session.log.held_bytes <= 2 * 200_000
    again = await service.connect(f"session_id={session.id}&last_event_id=event_1")
    assert (await read(again))["type"] == "response.output_text.delta"
    drop(again)
    assert sent * 1_000 > 200_000


# --- coming back -------------------------------------------------------------------------------------------


async def test_a_client_that_lost_its_connection_misses_nothing(start_service, read):
    service = await start_service()
    socket, session_id = await service.open()
    await socket.send(said("one"))
    seen = (await read(socket))["event_id"]
    runtime = service.runtimes[session_id]
    drop(socket)
    await waiting(service)
    for text in ("two", "three"):
        runtime.tell(TextDelta("resp_1", "item_1", 0, "text", text))
    async with service.connect(f"session_id={session_id}&last_event_id={seen}") as again:
        assert [(await read(again))["delta"] for _ in range(2)] == ["two", "three"]
        await again.send(said("four"))
        assert (await read(again))["item"]["content"][0]["text"] == "four"
    assert list(service.runtimes) == [session_id]


async def test_without_a_last_event_everything_is_sent_again(start_service, read):
    service = await start_service()
    socket, session_id = await service.open()
    drop(socket)
    await waiting(service)
    async with service.connect(f"session_id={session_id}") as again:
        created = await read(again)
        assert (created["type"], created["session"]["id"]) == ("session.created", session_id)


async def test_a_client_is_told_of_what_is_no_longer_kept(start_service, read):
    service = await start_service(replay_events=2)
    socket, session_id = await service.open()
    for number in range(5):
        await socket.send(said(str(number)))
        await read(socket)
    drop(socket)
    await waiting(service)
    async with service.connect(f"session_id={session_id}&last_event_id=event_1") as again:
        events = [await read(again) for _ in range(3)]
    assert [event["type"] for event in events] == ["conversation.item.added"] * 2 + ["error"]
    assert events[2]["error"]["code"] == "resume_incomplete"
    assert events[2]["error"]["message"].startswith("3 events")


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("session_id=sess_unknown", "session_not_found", "session_id"),
        ("session_id=", "session_not_found", "session_id"),
        ("session_id={id}&last_event_id=event_99", "invalid_value", "last_event_id"),
        ("session_id={id}&last_event_id=nonsense", "invalid_value", "last_event_id"),
    ],
)
async def test_a_resumption_that_cannot_be(start_service, read_to_close, query, code, param):
    service = await start_service()
    socket, session_id = await service.open()
    drop(socket)
    await waiting(service)
    async with service.connect(query.format(id=session_id)) as again:
        events, close_code, reason = await read_to_close(again)
    assert [event["error"]["code"] for event in events] == [code]
    assert events[0]["error"]["param"] == param
    assert close_code == 1008
    assert reason and events[0]["error"]["message"].startswith(reason)
    assert len(service.server.sessions) == 1


async def test_a_second_connection_takes_over(start_service, read, read_to_close):
    service = await start_service()
    first, session_id = await service.open()
    async with service.connect(f"session_id={session_id}&last_event_id=event_1") as second:
        _, code, reason = await read_to_close(first)
        assert (code, reason) == (1008, "Another connection has taken over this session.")
        await second.send(said("still here"))
        assert (await read(second))["item"]["content"][0]["text"] == "still here"
        assert len(service.server.sessions) == 1


async def test_a_client_that_stays_away_loses_its_session(start_service, read_to_close):
    service = await start_service(session_ttl_s=0.02)
    socket, session_id = await service.open()
    drop(socket)
    await ended(service, session_id)
    assert "come back" in service.runtimes[session_id].closed_with
    async with service.connect(f"session_id={session_id}") as again:
        events, _, _ = await read_to_close(again)
    assert events[0]["error"]["code"] == "session_not_found"


async def test_a_client_that_says_goodbye_ends_its_session(start_service):
    service = await start_service()
    socket, session_id = await service.open()
    await socket.close()
    await ended(service, session_id)
    assert service.runtimes[session_id].closed_with == "The client has left."


async def test_a_page_that_is_reloaded_can_come_back(start_service, read):
    service = await start_service()
    socket, session_id = await service.open()
    await socket.close(1001)
    await waiting(service)
    async with service.connect(f"session_id={session_id}") as again:
        assert (await read(again))["type"] == "session.created"


async def test_a_session_that_waits_still_counts(start_service):
    service = await start_service(max_sessions=1)
    socket, session_id = await service.open()
    drop(socket)
    await waiting(service)
    with pytest.raises(websockets.InvalidStatus):
        await service.connect()
    async with service.connect(f"session_id={session_id}"):
        pass


# --- faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["receive", "run", "encode"])
async def test_a_fault_ends_its_session_and_no_other(start_service, read, read_to_close, where):
    service = await start_service()
    (broken, session_id), (other, _) = await service.open(), await service.open()
    if where == "receive":
        await broken.send(event("conversation.item.retrieve", item_id="broken"))
    elif where == "run":
        service.runtimes[session_id].break_down()
    else:
        service.runtimes[session_id].tell(object())
    events, code, reason = await read_to_close(broken)
    assert [event["error"]["code"] for event in events] == ["server_error"]
    assert (code, reason) == (1011, "The server has failed.")
    assert "secret" not in json.dumps(events)
    await other.send(said())
    assert (await read(other))["type"] == "conversation.item.added"
    assert service.runtimes[session_id].closed_with is not None


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (RuntimeError("secret"), "server_error", "could not be opened"),
        (EngineError("The engine has no room."), "engine_failed", "no room"),
    ],
)
async def test_a_session_that_does_not_open(start_service, read_to_close, fault, code, message):
    service = await start_service()

    def fail(session_id):
        raise fault

    service.on_open = fail
    async with service.connect() as socket:
        events, close_code, _ = await read_to_close(socket)
    assert events[0]["error"]["code"] == code
    assert message in events[0]["error"]["message"]
    assert close_code == 1011
    assert len(service.server.sessions) == 0


# --- the end -----------------------------------------------------------------------------------------------


async def test_a_server_that_stops_lets_answers_end(start_service, read, read_to_close):
    service = await start_service()
    (busy, session_id), (idle, _) = await service.open(), await service.open()
    await busy.send(event("response.create"))
    assert (await read(busy))["type"] == "response.created"
    service.server.stop()
    events, code, reason = await read_to_close(idle)
    assert [event["error"]["code"] for event in events] == ["server_draining"]
    assert (code, reason) == (1001, "The server is shutting down.")
    assert (await service.request("GET /readyz HTTP/1.1\nHost: x"))[0] == 503
    with pytest.raises(websockets.InvalidStatus):
        await service.connect()
    service.runtimes[session_id].tell(TextDelta("resp_1", "item_1", 0, "text", "the end"))
    service.runtimes[session_id].tell(ResponseEnded("resp_1", "text", "completed"))
    events, code, _ = await read_to_close(busy)
    assert [event["type"] for event in events] == ["error", "response.output_text.delta", "response.done"]
    assert code == 1001
    await service.task


async def test_a_server_that_stops_does_not_wait_for_ever(start_service, read, read_to_close):
    service = await start_service(drain_timeout_s=0.02)
    socket, _ = await service.open()
    await socket.send(event("response.create"))
    await read(socket)
    service.server.stop()
    _, code, _ = await read_to_close(socket)
    assert code == 1001
    await service.task
    assert len(service.server.sessions) == 0


async def test_a_server_told_twice_stops_at_once(start_service, read):
    service = await start_service(drain_timeout_s=3_600)
    socket, _ = await service.open()
    await socket.send(event("response.create"))
    await read(socket)
    service.server.stop()
    service.server.stop()
    await service.task


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end(start_service):
    service = await start_service(close_timeout_s=0.05)
    raw = await raw_client(service, receive_buffer=4_096)
    [runtime] = service.runtimes.values()
    for _ in range(2_000):
        runtime.tell(TextDelta("resp_1", "item_1", 0, "text", "x" * 1_000))
    service.server.stop()
    await service.task
    raw.close()


async def test_a_session_that_hangs_does_not_hold_up_the_end(start_service):
    service = await start_service(close_timeout_s=0.05)
    _, session_id = await service.open()
    service.runtimes[session_id].hangs = True
    service.server.stop()
    await service.task
    assert len(service.server.sessions) == 0


async def test_sigterm_stops_the_server(make_service, read_to_close):
    service = make_service()
    task = asyncio.create_task(serve(service.server))
    await service.server.started.wait()
    socket, _ = await service.open()
    os.kill(os.getpid(), signal.SIGTERM)
    _, code, _ = await read_to_close(socket)
    assert code == 1001
    await task


async def test_two_servers_cannot_share_a_port(start_service, make_service):
    service = await start_service()
    with pytest.raises(OSError):
        await make_service(port=service.server.port).start()


# --- metrics -----------------------------------------------------------------------------------------------


async def test_what_happens_is_counted(start_service, read):
    service = await start_service()
    socket, session_id = await service.open()
    await socket.send(said())
    await read(socket)
    await socket.send("{")
    await read(socket)
    runtime = service.runtimes[session_id]
    runtime.tell(SpeechStarted("item_1", 0))
    runtime.tell(SpeechStopped("item_1", 500))
    runtime.tell(TextDelta("resp_1", "item_2", 0, "audio", "Hi"))
    runtime.tell(ResponseEnded("resp_1", "audio", "completed"))
    runtime.tell(Dropped("picture", 3, "too many."))
    for used in (True, False, True):
        runtime.tell(Speculated(used=used))
    runtime.tell(SpeechDismissed("remark"))
    runtime.tell(Refused("item_not_found", "There is none."))
    for _ in range(6):
        await read(socket)
    _, _, body = await service.request("GET /metrics HTTP/1.1\nHost: x")
    lines = body.decode().splitlines()
    for line in (
        "hearsight_sessions 1.0",
        "hearsight_connections 1.0",
        'hearsight_sessions_opened_total{protocol="openai-realtime"} 1.0',
        "hearsight_events_received_total 2.0",
        "hearsight_events_sent_total 9.0",
        'hearsight_errors_total{code="invalid_json"} 1.0',
        'hearsight_errors_total{code="item_not_found"} 1.0',
        'hearsight_dropped_total{what="picture"} 3.0',
        'hearsight_speculations_total{outcome="used"} 2.0',
        'hearsight_speculations_total{outcome="wasted"} 1.0',
        'hearsight_speech_dismissed_total{reason="remark"} 1.0',
        'hearsight_responses_total{status="completed"} 1.0',
        'hearsight_turn_latency_seconds_count{stage="first_text"} 1.0',
    ):
        assert line in lines
    assert not any("session_id" in line or session_id in line for line in lines)

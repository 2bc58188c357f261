"""Who may connect."""

from __future__ import annotations

import pytest
import websockets
from websockets.datastructures import Headers

from hearsight.streams.access import Access


def headers(**fields):
    return Headers({name.replace("_", "-"): value for name, value in fields.items()})


@pytest.mark.parametrize(
    ("shown", "admitted"),
    [
        ({"Authorization": "Bearer k1"}, True),
        ({"Authorization": "bearer  k2 "}, True),
        ({"Authorization": "Bearer k3"}, False),
        ({"Authorization": "Bearer "}, False),
        ({"Authorization": "Basic k1"}, False),
        ({"Authorization": "k1"}, False),
        ({"x_goog_api_key": "k1"}, True),
        ({"Sec_WebSocket_Protocol": "realtime, openai-insecure-api-key.k2"}, True),
        ({"Sec_WebSocket_Protocol": "realtime, openai-insecure-api-key.k"}, False),
        ({"Sec_WebSocket_Protocol": "k1"}, False),
        ({}, False),
    ],
)
def test_keys(shown, admitted):
    assert Access(("k1", "k2"), ()).admits_key(headers(**shown)) is admitted
    assert Access((), ()).admits_key(headers(**shown)) is True


def test_a_key_in_the_query_counts_where_it_is_handed_over():
    access = Access(("k1",), ())
    assert access.admits_key(Headers(), "k1")
    assert not access.admits_key(Headers(), "other")


@pytest.mark.parametrize("key", ["k\udce4", "schlüssel", "\U0001f511"])
def test_a_key_that_is_no_ascii_is_compared_all_the_same(key):
    assert not Access(("k1",), ()).admits_key(Headers(), key)
    assert Access(("schlüssel",), ()).admits_key(Headers(), "schlüssel")


@pytest.mark.parametrize(
    ("origin", "host", "keys", "admitted"),
    [
        (None, "127.0.0.1:8765", (), True),
        ("http://127.0.0.1:8765", "127.0.0.1:8765", (), True),
        ("http://localhost:8765", "localhost:8765", (), True),
        ("http://[::1]:8765", "[::1]:8765", (), True),
        ("http://localhost:3000", "localhost:8765", (), False),
        ("https://evil.example", "127.0.0.1:8765", (), False),
        ("http://evil.example:8765", "evil.example:8765", (), False),  # DNS rebinding
        ("https://voice.example", "voice.example", ("k",), True),
        ("https://evil.example", "voice.example", ("k",), False),
        ("https://page.example", "voice.example", (), True),
        ("https://PAGE.example/", "voice.example", (), True),
        ("http://page.example", "voice.example", (), False),
        ("null", "127.0.0.1:8765", (), False),
        ("http://[broken", "127.0.0.1:8765", (), False),
        ("", "", (), False),
    ],
)
def test_origins(origin, host, keys, admitted):
    fields = {"Host": host} if origin is None else {"Host": host, "Origin": origin}
    assert Access(keys, ("https://page.example",)).admits_origin(headers(**fields)) is admitted


def test_any_origin_where_the_operator_says_so():
    assert Access((), ("*",)).admits_origin(headers(Host="x", Origin="https://evil.example"))


def test_two_origins_are_no_origin():
    fields = Headers({"Host": "x"})
    fields["Origin"] = "https://page.example"
    fields["Origin"] = "https://evil.example"
    assert not Access((), ("https://page.example",)).admits_origin(fields)


async def refused(connecting):
    with pytest.raises(websockets.InvalidStatus) as caught:
        await connecting
    return caught.value.response


async def test_a_socket_without_a_key_is_refused(start_service):
    service = await start_service(api_keys=("k1",))
    for options in ({}, {"additional_headers": {"Authorization": "Bearer wrong"}}):
        response = await refused(service.connect(**options))
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert b"API key" in response.body
    response = await refused(service.connect(query="key=k1"))
    assert response.status_code == 401


async def test_a_program_shows_its_key_in_a_header(start_service, read):
    service = await start_service(api_keys=("k1",))
    async with service.connect(additional_headers={"Authorization": "Bearer k1"}) as socket:
        assert (await read(socket))["type"] == "session.created"


async def test_a_browser_shows_its_key_as_a_subprotocol(start_service, read):
    service = await start_service(api_keys=("k1",))
    async with service.connect(subprotocols=["realtime", "openai-insecure-api-key.k1"]) as socket:
        assert socket.subprotocol == "realtime"
        assert (await read(socket))["type"] == "session.created"


async def test_pages_from_elsewhere_are_refused(start_service, read):
    service = await start_service(allowed_origins=("https://page.example",))
    response = await refused(service.connect(origin="https://evil.example"))
    assert response.status_code == 403
    async with service.connect(origin="https://page.example") as socket:
        assert (await read(socket))["type"] == "session.created"


async def test_a_service_that_loads_tells_clients_to_wait(start_service):
    service = await start_service(retry_after_s=7)
    service.server.readiness.reason = "The voice is loading."
    response = await refused(service.connect())
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    assert b"The voice is loading." in response.body


async def test_no_more_sessions_than_there_may_be(start_service, read):
    service = await start_service(max_sessions=1)
    socket, _ = await service.open()
    response = await refused(service.connect())
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert b"1 sessions" in response.body
    await socket.close()
    [session] = service.server.sessions
    await session.ended.wait()

"""Who may connect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import websockets
from websockets.datastructures import Headers

from hearsight.streams.access import KEY_SUBPROTOCOL, Access
from hearsight.streams.client_secrets import ClientSecrets
from hearsight.streams.errors import AccessDenied
from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import ANYONE, SETTINGS, KeyLimits, StoredKey, digest_of, new_key


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
    assert admits(Access(("k1", "k2"), ()), headers(**shown)) is admitted
    assert admits(Access((), ()), headers(**shown))


def admits(access, *shown):
    try:
        access.grant(*shown)
    except AccessDenied:
        return False
    return True


def test_a_key_in_the_query_counts_where_it_is_handed_over():
    access = Access(("k1",), ())
    assert admits(access, Headers(), "k1")
    assert not admits(access, Headers(), "other")


@pytest.mark.parametrize("key", ["k\udce4", "schlüssel", "\U0001f511"])
def test_a_key_that_is_no_ascii_is_compared_all_the_same(key):
    assert not admits(Access(("k1",), ()), Headers(), key)
    assert admits(Access(("schlüssel",), ()), Headers(), "schlüssel")


class Calendar:
    """The time of the keys."""

    now = datetime(2030, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Keys:
    """A file of keys, and who checks them."""

    def __init__(self, path, api_keys=(), **options):
        self.calendar = Calendar()
        self.file = KeyFile(path)
        secrets = ClientSecrets(b"s" * 32, lambda: self.calendar.now.timestamp())
        self.access = Access(
            api_keys, (), key_file=self.file, client_secrets=secrets, now=self.calendar, **options
        )

    def make(self, name, **more) -> str:
        key = new_key()
        stored = StoredKey(name=name, sha256=digest_of(key).hex(), created_at=self.calendar.now, **more)
        self.file.change(lambda ring: ring.with_key(stored))
        return key

    def revoke(self, name) -> None:
        self.file.change(lambda ring: ring.revoking(name, self.calendar.now))

    def grant(self, key):
        return self.access.grant(headers(Authorization=f"Bearer {key}"))

    def denied(self, key) -> str:
        with pytest.raises(AccessDenied) as caught:
            self.grant(key)
        return caught.value.message


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "keys.json")


def test_a_key_has_a_name_and_limits(keys):
    key, other = keys.make("tablet", max_sessions=2, max_session_s=60), keys.make("phone")
    grant = keys.grant(key)
    assert (grant.key, grant.limits, grant.by_secret) == ("tablet", KeyLimits(2, None, 60), False)
    assert keys.grant(other).key == "phone"
    assert "valid API key is needed" in keys.denied("hs_unknown")


def test_the_first_key_closes_the_door_while_the_server_runs(keys):
    assert not keys.access.key_required
    assert keys.access.grant(Headers()) is ANYONE
    keys.make("tablet")
    assert keys.access.key_required
    with pytest.raises(AccessDenied):
        keys.access.grant(Headers())


def test_keys_of_the_settings_go_on_beside_those_of_the_file(tmp_path):
    keys = Keys(tmp_path / "keys.json", api_keys=["open sesame"])
    key = keys.make("tablet")
    assert keys.grant("open sesame").key == SETTINGS
    assert keys.grant(key).key == "tablet"


def test_a_revoked_key_opens_nothing_at_once_and_says_so(keys):
    key, other = keys.make("tablet"), keys.make("phone")
    grant = keys.grant(key)
    assert keys.access.why_over(grant) is None
    keys.revoke("tablet")
    assert keys.denied(key) == keys.access.why_over(grant) == "This API key has been revoked."
    assert keys.grant(other).key == "phone"
    keys.revoke("phone")
    assert keys.access.key_required, "the last key does not take the lock with it"


def test_a_key_expires(keys):
    key = keys.make("tablet", expires_at=keys.calendar.now + timedelta(hours=1))
    grant = keys.grant(key)
    keys.calendar.now += timedelta(hours=1)
    assert (
        keys.denied(key) == keys.access.why_over(grant) == "This API key expired on 2030-01-02 at 01:00 UTC."
    )


def test_a_key_that_was_made_anew_is_another(keys):
    old = keys.grant(keys.make("tablet"))
    keys.revoke("tablet")
    new = keys.make("tablet")
    assert keys.access.why_over(old) == "This API key does not exist any more."
    assert keys.access.why_over(keys.grant(new)) is None


def test_where_no_key_is_needed_a_revoked_one_is_refused_all_the_same(tmp_path):
    keys = Keys(tmp_path / "keys.json", keyless=True)
    key = keys.make("tablet")
    assert not keys.access.key_required
    assert keys.access.grant(Headers()) is ANYONE and keys.grant("unused") is ANYONE
    assert keys.grant(key).key == "tablet"
    keys.revoke("tablet")
    assert "revoked" in keys.denied(key)


class TestClientSecrets:
    """Secrets stand for the key that made them."""

    def test_one_opens_as_its_key_does(self, keys):
        grant = keys.grant(keys.make("tablet", max_sessions=1))
        secret, _ = keys.access.make_secret(grant, 600, {"instructions": "Be brief."})
        shown = keys.grant(secret)
        assert (shown.key, shown.limits, shown.by_secret) == ("tablet", grant.limits, True)
        assert shown.session == {"instructions": "Be brief."}
        assert keys.access.why_over(shown) is None

    def test_it_is_shown_wherever_a_key_is(self, keys):
        secret, _ = keys.access.make_secret(keys.grant(keys.make("tablet")), 600, None)
        protocols = f"realtime, {KEY_SUBPROTOCOL}{secret}"
        for shown in (
            (headers(Sec_WebSocket_Protocol=protocols),),
            (headers(x_goog_api_key=secret),),
            (Headers(), secret),
        ):
            assert keys.access.grant(*shown).key == "tablet"

    def test_it_expires_and_its_key_does_not(self, keys):
        key = keys.make("tablet")
        secret, _ = keys.access.make_secret(keys.grant(key), 600, None)
        keys.calendar.now += timedelta(seconds=601)
        assert "expired" in keys.denied(secret)
        assert keys.grant(key).key == "tablet"

    def test_a_session_that_it_has_opened_outlives_it(self, keys):
        secret, _ = keys.access.make_secret(keys.grant(keys.make("tablet")), 10, None)
        grant = keys.grant(secret)
        keys.calendar.now += timedelta(hours=1)
        assert keys.access.why_over(grant) is None

    def test_it_ends_with_its_key(self, keys):
        key = keys.make("tablet")
        secret, _ = keys.access.make_secret(keys.grant(key), 600, None)
        keys.revoke("tablet")
        assert keys.denied(secret) == "This API key has been revoked."
        keys.make("tablet")
        assert "not valid" in keys.denied(secret)

    def test_it_makes_no_other(self, keys):
        secret, _ = keys.access.make_secret(keys.grant(keys.make("tablet")), 600, None)
        with pytest.raises(AccessDenied, match="show the API key itself"):
            keys.access.make_secret(keys.grant(secret), 600, None)

    def test_keys_of_the_settings_make_them_too(self, tmp_path):
        keys = Keys(tmp_path / "keys.json", api_keys=["one", "two"])
        secret, _ = keys.access.make_secret(keys.grant("one"), 600, None)
        assert keys.grant(secret).key == SETTINGS

    def test_where_the_door_is_open_they_bring_their_session_and_are_judged_all_the_same(self, keys):
        secret, _ = keys.access.make_secret(keys.access.grant(Headers()), 600, {"instructions": "Be brief."})
        assert keys.grant(secret).session == {"instructions": "Be brief."}
        assert "not valid" in keys.denied("ek_forged.forged")
        keys.make("tablet")
        assert "not valid" in keys.denied(secret), "what was made without a key opens no closed door"


def test_a_request_does_not_search_for_a_key_that_fits():
    shown = ", ".join(f"{KEY_SUBPROTOCOL}{n}" for n in range(50))
    assert not admits(Access(("49",), ()), headers(Sec_WebSocket_Protocol=shown))


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

"""Who gets in, over real sockets, and with the clients that people use."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json

import openai
import pytest
import websockets
from gemini_user import new_client

SECRETS = "/v1/realtime/client_secrets"


def bearer(key):
    return {"additional_headers": {"Authorization": f"Bearer {key}"}}


async def refused(url, **options):
    with pytest.raises(websockets.InvalidStatus) as caught:
        await websockets.connect(url, **options)
    return caught.value.response


def client_of(server, key):
    return openai.AsyncOpenAI(base_url=f"{server.http}/v1", api_key=key, max_retries=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        bearer("hs_wrong"),
        bearer(""),
        {"additional_headers": {"Authorization": "Basic aHM6aHM="}},
        {"additional_headers": {"X-Goog-Api-Key": "hs_wrong"}},
        {"subprotocols": ["realtime", "openai-insecure-api-key.hs_wrong"]},
    ],
)
async def test_without_a_key_or_with_a_wrong_one_nobody_gets_in(serve, keys, options):
    keys.make("tablet")
    response = await refused(serve().realtime, **options)
    assert response.status_code == 401
    assert b"A valid API key is needed" in response.body


async def test_a_key_in_the_url_opens_no_realtime_session_for_urls_are_logged_everywhere(serve, keys):
    key = keys.make("tablet")
    assert (await refused(f"{serve().realtime}?key={key}&access_token={key}")).status_code == 401


async def test_a_key_is_revoked_while_the_server_runs(serve, keys, as_user):
    key, other = keys.make("tablet"), keys.make("phone")
    server = serve({"say": "Ahoy."})
    async with (
        websockets.connect(server.realtime, **bearer(key)) as socket,
        websockets.connect(server.realtime, **bearer(other)) as beside,
    ):
        user, bystander = as_user(socket), as_user(beside)
        await user.until("session.created")
        keys.revoke("tablet")
        assert await user.ending() == (1008, "This API key has been revoked.")
        response = await refused(server.realtime, **bearer(key))
        assert (response.status_code, response.body) == (401, b"This API key has been revoked.\n")
        await bystander.write("Hello!")
        assert await bystander.answer() == "Ahoy."


async def test_a_page_from_elsewhere_stays_outside_even_with_a_key(serve, keys):
    key = keys.make("tablet")
    server = serve()
    assert (await refused(server.realtime, origin="https://evil.example", **bearer(key))).status_code == 403
    for origin in ("null", "http://localhost.evil.example", f"http://127.0.0.1:{server.port}.evil.example"):
        assert (await refused(server.realtime, origin=origin, **bearer(key))).status_code == 403


async def test_a_foreign_name_that_points_here_is_no_page_of_ours(serve):
    """DNS rebinding: the attacker's page, whose name now leads to this machine."""
    server = serve()
    host = f"evil.example:{server.port}"
    response = await refused(server.realtime, origin=f"http://{host}", additional_headers={"Host": host})
    assert response.status_code == 403


class TestClientSecrets:
    """What the openai package makes of them, unmodified."""

    async def test_a_page_gets_one_and_talks_with_it(self, serve, keys, as_user):
        server = serve({"say": "Ahoy."})
        client = client_of(server, keys.make("tablet"))
        made = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "instructions": "Be a pirate.", "output_modalities": ["text"]},
        )
        assert made.value.startswith("ek_") and made.session.instructions == "Be a pirate."
        protocols = ["realtime", f"openai-insecure-api-key.{made.value}"]
        async with websockets.connect(server.realtime, subprotocols=protocols) as socket:
            user = as_user(socket)
            created = await user.until("session.created")
            assert created["session"]["instructions"] == "Be a pirate."
            await user.write("Hello!")
            assert await user.answer() == "Ahoy."
        [conversation] = server.service.agent.engine.conversations
        assert conversation.requests[-1].instructions == "Be a pirate."

    async def test_the_sdk_connects_with_one(self, serve, keys):
        server = serve({"say": "Ahoy."})
        made = await client_of(server, keys.make("tablet")).realtime.client_secrets.create()
        async with client_of(server, made.value).realtime.connect(model="any") as connection:
            assert (await connection.recv()).type == "session.created"
            await connection.session.update(session={"type": "realtime", "instructions": "Its own."})
            async for event in connection:
                if event.type == "session.updated":
                    assert event.session.instructions == "Its own."
                    break

    async def test_a_client_of_gemini_live_shows_one_as_its_key(self, serve, keys, tmp_path, monkeypatch):
        folder = tmp_path / "tls"
        server = serve(**{"server.tls": "self-signed", "server.tls_folder": str(folder)})
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        made = await client_of(server, keys.make("tablet")).realtime.client_secrets.create()
        client = new_client(server.http, api_key=made.value)
        async with client.aio.live.connect(model="any", config={"response_modalities": ["TEXT"]}) as session:
            assert session.session_id.startswith("sess_")

    @pytest.mark.parametrize("key", ["hs_wrong", "ek_forged.forged"])
    async def test_without_a_key_there_is_none(self, serve, keys, key):
        keys.make("tablet")
        with pytest.raises(openai.AuthenticationError) as caught:
            await client_of(serve(), key).realtime.client_secrets.create()
        assert caught.value.code == "invalid_api_key"

    async def test_one_makes_no_other(self, serve, keys):
        server = serve()
        made = await client_of(server, keys.make("tablet")).realtime.client_secrets.create()
        with pytest.raises(openai.AuthenticationError, match="show the API key itself"):
            await client_of(server, made.value).realtime.client_secrets.create()

    async def test_what_is_wrong_with_the_session_is_told_before_it_is_needed(self, serve, keys):
        client = client_of(serve(), keys.make("tablet"))
        with pytest.raises(openai.BadRequestError) as caught:
            await client.realtime.client_secrets.create(session={"type": "realtime", "instruction": "x"})
        assert caught.value.param == "session.instruction"

    async def test_an_expired_one_opens_nothing(self, serve, keys):
        signing = "s" * 32
        key = keys.make("tablet")
        server = serve(**{"server.client_secret_key": signing})
        claims = json.dumps({"key": "tablet", "exp": 1_000_000, "id": "0"}).encode()
        body = base64.urlsafe_b64encode(claims).rstrip(b"=")
        digest = hashlib.sha256(key.encode()).digest()
        mac = base64.urlsafe_b64encode(hmac.digest(signing.encode(), digest + body, "sha256")).rstrip(b"=")
        response = await refused(server.realtime, **bearer(f"ek_{body.decode()}.{mac.decode()}"))
        assert response.status_code == 401 and b"expired" in response.body

    async def test_one_dies_with_its_key(self, serve, keys):
        server = serve()
        made = await client_of(server, keys.make("tablet")).realtime.client_secrets.create()
        keys.revoke("tablet")
        response = await refused(server.realtime, **bearer(made.value))
        assert (response.status_code, response.body) == (401, b"This API key has been revoked.\n")

    async def test_servers_that_share_a_signing_key_accept_each_others(self, serve, keys):
        shared = {"server.client_secret_key": "s" * 32}
        key = keys.make("tablet")
        one, other, stranger = serve(**shared), serve(**shared), serve()
        made = await client_of(one, key).realtime.client_secrets.create()
        async with websockets.connect(other.realtime, **bearer(made.value)) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"
        assert (await refused(stranger.realtime, **bearer(made.value))).status_code == 401

    async def test_a_page_from_elsewhere_gets_none(self, serve, raw):
        server = serve()
        headers = "Host: x\r\nOrigin: https://evil.example\r\nContent-Length: 2"
        head = f"POST {SECRETS} HTTP/1.1\r\n{headers}\r\n\r\n{{}}"
        assert (await asyncio.to_thread(raw, server.port, head.encode())).startswith(b"HTTP/1.1 403")

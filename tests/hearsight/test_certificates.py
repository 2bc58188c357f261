"""The operator's certificate, and the one that is made for this machine."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from hearsight.addresses import occupant, service_url
from hearsight.asking import AskError, Question, ask
from hearsight.certificates import (
    check_certificate,
    client_context,
    find_certificate,
    names_of_this_machine,
    server_context,
)
from hearsight.config.errors import ConfigError, StartupError
from hearsight.config.settings import load_settings

NOW = datetime.now(UTC)


def server_settings(**settings):
    return load_settings(
        overrides={f"server.{key}": value for key, value in settings.items()}
    ).settings.server


@pytest.fixture
def development(tmp_path):
    return server_settings(tls="self-signed", tls_folder=tmp_path / "tls")


@pytest.fixture
def operators(tmp_path):
    """A certificate from an authority, as an operator has one."""

    def issue(*names, not_after=None, folder="own"):
        ca = trustme.CA()
        issued = ca.issue_cert(*names, not_after=not_after)
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        certificate, key = place / "cert.pem", place / "key.pem"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return server_settings(tls_certificate=certificate, tls_key=key), ca

    return issue


# --- the settings -------------------------------------------------------------------------------------------


def test_by_default_there_is_none():
    server = server_settings()
    assert not server.encrypted
    assert find_certificate(server) is None and server_context(None) is None
    assert service_url(server, "ws") == "ws://127.0.0.1:8765"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tls_certificate": "c.pem"}, "set both"),
        ({"tls_key": "k.pem"}, "set both"),
        ({"tls": "self-signed", "tls_certificate": "c", "tls_key": "k"}, "set only one of them"),
        ({"tls": "selfsigned"}, "did you mean self-signed?"),
    ],
)
def test_settings_that_contradict_each_other(settings, message):
    with pytest.raises(ConfigError, match=message):
        server_settings(**settings)


def test_urls_say_that_connections_are_encrypted(development):
    assert development.encrypted
    assert service_url(development, "http") == "https://127.0.0.1:8765"
    assert service_url(development, "ws", 9000) == "wss://127.0.0.1:9000"


# --- made for this machine ----------------------------------------------------------------------------------


def test_it_is_for_every_name_of_this_machine(development):
    found = find_certificate(development)
    assert {"localhost", "127.0.0.1", "::1", socket.gethostname()} <= set(found.names)
    assert found.trust == development.tls_folder / "ca.pem"
    assert timedelta(days=300) < found.ends - NOW < timedelta(days=398), "browsers take no longer ones"


def test_its_key_is_for_the_owner_only(development):
    found = find_certificate(development)
    assert stat.S_IMODE(found.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(development.tls_folder.stat().st_mode) == 0o700
    assert b"PRIVATE KEY" not in found.trust.read_bytes()


def test_it_is_kept(development):
    first = find_certificate(development)
    content = first.file.read_bytes()
    assert find_certificate(development) == first
    assert first.file.read_bytes() == content


@pytest.mark.parametrize("damage", ["late", "other name", "no authority", "garbage"])
def test_it_is_made_anew_when_it_will_not_do(development, damage):
    first = find_certificate(development).file.read_bytes()
    now = None
    if damage == "late":
        now = NOW + timedelta(days=340)
    elif damage == "other name":
        development = development.model_copy(update={"host": "10.1.2.3"})
    elif damage == "no authority":
        (development.tls_folder / "ca.pem").unlink()
    else:
        (development.tls_folder / "server.pem").write_text("nonsense")
    again = find_certificate(development, now=now)
    assert again.file.read_bytes() != first
    if damage == "other name":
        assert "10.1.2.3" in again.names
    assert server_context(again) is not None


@pytest.mark.parametrize(
    ("host", "more"), [("0.0.0.0", ()), ("::", ()), ("10.1.2.3", ("10.1.2.3",)), ("my.host", ("my.host",))]
)
def test_names(monkeypatch, host, more):
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    names = names_of_this_machine(host)
    assert set(names) == {"localhost", "127.0.0.1", "::1", "box", *more}
    monkeypatch.setattr(socket, "gethostname", lambda: "not_a_name")
    assert "not_a_name" not in names_of_this_machine(host)


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    server = server_settings(tls="self-signed", tls_folder=tmp_path / "file" / "tls")
    with pytest.raises(StartupError, match=r"cannot be kept in .*server\.tls_folder"):
        find_certificate(server)


# --- the operator's -----------------------------------------------------------------------------------------


def test_an_operators_certificate(operators):
    server, _ = operators("example.org", "10.0.0.1")
    found = find_certificate(server)
    assert set(found.names) == {"example.org", "10.0.0.1"}
    assert found.trust is None
    assert server_context(found) is not None


def test_what_is_wrong_with_it_is_said(operators, tmp_path):
    server, _ = operators("example.org")
    other, _ = operators("example.org", folder="other")
    empty = tmp_path / "empty.pem"
    empty.write_text("")

    def why(**changes):
        with pytest.raises(StartupError) as caught:
            server_context(find_certificate(server.model_copy(update=changes)))
        return str(caught.value)

    missing = tmp_path / "missing.pem"
    assert (
        why(tls_certificate=missing)
        == f"The certificate {missing} cannot be read: No such file or directory."
    )
    assert why(tls_certificate=empty) == f"The file {empty} holds no certificate in PEM form."
    assert why(tls_key=missing) == f"The key {missing} cannot be read: No such file or directory."
    assert why(tls_key=empty) == f"The file {empty} holds no private key in PEM form."
    assert "does not belong to the certificate" in why(tls_key=other.tls_key)


def test_a_key_with_a_password(operators, tmp_path):
    from cryptography.hazmat.primitives import serialization

    server, _ = operators("example.org")
    key = serialization.load_pem_private_key(server.tls_key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(StartupError, match="is protected by a password"):
        server_context(find_certificate(server.model_copy(update={"tls_key": locked})))


def test_an_operators_certificate_out_of_its_time(operators):
    server, _ = operators("example.org", not_after=NOW + timedelta(days=10))
    with pytest.raises(StartupError, match="has expired on"):
        find_certificate(server, now=NOW + timedelta(days=11))
    with pytest.raises(StartupError, match="is not valid before"):
        find_certificate(server, now=datetime(1999, 1, 1, tzinfo=UTC))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_key_that_must_not_be_read(operators):
    server, _ = operators("example.org")
    server.tls_key.chmod(0)
    with pytest.raises(StartupError, match="Permission denied"):
        server_context(find_certificate(server))


# --- the doctor ---------------------------------------------------------------------------------------------


def test_the_doctor(development, operators):
    assert check_certificate(server_settings()).status == "ok"
    ours = check_certificate(development)
    assert ours.status == "ok" and "localhost" in ours.found and "ca.pem" in ours.mend
    good, _ = operators("example.org", not_after=NOW + timedelta(days=90))
    assert check_certificate(good).status == "ok"
    late = check_certificate(good, now=NOW + timedelta(days=70))
    assert late.status == "note" and "example.org" in late.found and "Renew" in late.mend
    expired = check_certificate(good, now=NOW + timedelta(days=91))
    assert expired.status == "failed" and "expired" in expired.found


# --- over the wire ------------------------------------------------------------------------------------------


@pytest.fixture
async def encrypted(script, scripted, serving):
    """A service of some settings that answers a question over TLS."""
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:

        async def start(server):
            given = {f"server__{key}": getattr(server, key) for key in ("tls", "tls_folder")}
            given |= {f"server__{key}": getattr(server, key) for key in ("tls_certificate", "tls_key")}
            settings = scripted(
                script({"say": "Hello."}), **{k: v for k, v in given.items() if v is not None}
            )
            running, url = await stack.enter_async_context(serving(settings))
            return running.port, url

        yield start


async def test_whoever_is_told_trusts_the_certificate_that_was_made(encrypted, development):
    port, url = await encrypted(development)
    assert url.startswith("wss://127.0.0.1:")
    with pytest.raises(AskError, match="SSL_CERT_FILE"):
        await ask(url, Question(text="Hi"))
    reply = await ask(url, Question(text="Hi"), tls=client_context(development))
    assert reply.text == "Hello."
    assert await asyncio.to_thread(lambda: occupant("127.0.0.1", port, tls=True)) == "hearsight"
    assert await asyncio.to_thread(lambda: occupant("127.0.0.1", port)) == "another"


async def test_a_server_of_this_machine_is_known_by_its_certificate(encrypted, operators):
    server, ca = operators("example.org")
    other, _ = operators("example.org", folder="other")
    _, url = await encrypted(server)
    with pytest.raises(AskError, match="not trusted"):
        await ask(url, Question(text="Hi"), tls=client_context(other, own=True))
    everybody = ssl.create_default_context()
    ca.configure_trust(everybody)
    with pytest.raises(AskError, match="not trusted"):
        await ask(url, Question(text="Hi"), tls=everybody)  # it is for another name
    reply = await ask(url, Question(text="Hi"), tls=client_context(server, own=True))
    assert reply.text == "Hello."


async def test_a_server_without_tls_is_told_from_one_with(script, scripted, serving):
    async with serving(scripted(script())) as (server, url):
        with pytest.raises(AskError):
            await ask(url.replace("ws:", "wss:"), Question(text="Hi"))
        assert await asyncio.to_thread(lambda: occupant("127.0.0.1", server.port, tls=True)) != "hearsight"

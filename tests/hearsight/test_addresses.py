"""Addresses as people write them, and who answers there."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.addresses import REALTIME_PATH, occupant, reachable_host, realtime_url, why_not_listening
from hearsight.config.errors import StartupError


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("127.0.0.1:8765", "ws://127.0.0.1:8765/v1/realtime"),
        ("localhost:8765/", "ws://localhost:8765/v1/realtime"),
        ("ws://host", "ws://host/v1/realtime"),
        ("http://host:80/v1", "ws://host:80/v1/realtime"),
        ("https://host/v1/", "wss://host/v1/realtime"),
        ("wss://host/assistant/v1/realtime", "wss://host/assistant/v1/realtime"),
        ("wss://host/assistant", "wss://host/assistant/v1/realtime"),
        ("ws://[::1]:8765", "ws://[::1]:8765/v1/realtime"),
        ("ws://host/v1/realtime?session_id=x", "ws://host/v1/realtime?session_id=x"),
    ],
)
def test_an_address_becomes_the_url_to_ask_at(written, url):
    assert realtime_url(written) == url
    assert realtime_url(url) == url


@pytest.mark.parametrize("written", ["", "ftp://host", "ws://", "ws://host:99999", "ws://[::1", "host:port"])
def test_what_is_no_address_is_refused(written):
    with pytest.raises(StartupError, match="is no address of a server; write it like ws://127.0.0.1:8765"):
        realtime_url(written)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text):
    try:
        url = realtime_url(text)
    except StartupError:
        return
    assert url.startswith(("ws://", "wss://")) and REALTIME_PATH in url


@pytest.mark.parametrize(
    ("listens_on", "reached_at"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("box", "box")],
)
def test_where_a_server_is_reached_from_its_own_machine(listens_on, reached_at):
    assert reachable_host(listens_on) == reached_at


class Other(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def other_program():
    server = HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_another_program_is_told_from_this_one(other_program):
    assert occupant("127.0.0.1", other_program) == "another"
    assert occupant("0.0.0.0", other_program) == "another"


def test_a_program_that_does_not_speak_http_is_another():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"220 mail\r\n")
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert occupant("127.0.0.1", listener.getsockname()[1]) == "another"
        thread.join()


def test_a_free_port_has_nobody():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: no other program can come by
        assert occupant("127.0.0.1", reserved.getsockname()[1]) == "nobody"


def test_an_unknown_host_has_nobody():
    assert occupant("no-such-host.invalid", 80) == "nobody"


def test_why_an_address_cannot_be_listened_on():
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as wanting:
        with pytest.raises(OSError) as caught:
            wanting.bind(taken.getsockname())
    assert why_not_listening(caught.value) == "another program uses it"
    with socket.socket() as wanting, pytest.raises(OSError) as caught:
        wanting.bind(("192.0.2.1", 0))
    assert why_not_listening(caught.value) == "this machine has no such address"
    with pytest.raises(OSError) as caught:
        socket.getaddrinfo("no-such-host.invalid", 80)
    assert why_not_listening(caught.value) == "there is no such host"
    assert why_not_listening(PermissionError(13, "x")) == "permission denied"
    assert why_not_listening(OSError("strange")) == "strange"

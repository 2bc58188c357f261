"""Where a service is: its URLs, and who answers at an address."""

from __future__ import annotations

import errno
import http.client
import ipaddress
import os
import socket
import ssl
from typing import Final, Literal
from urllib.parse import urlsplit

from hearsight.config.errors import StartupError
from hearsight.config.service import ServerSettings

REALTIME_PATH: Final = "/v1/realtime"
GEMINI_LIVE_PATHS: Final = tuple(
    f"/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"
    for version in ("v1beta", "v1alpha")
)
SERVER_HEADER: Final = "Hearsight"
"""What the service calls itself in every response."""
PROBE_TIMEOUT_S: Final = 2.0

Occupant = Literal["nobody", "hearsight", "another"]
"""Who listens at an address: nobody, this program, or some other one."""

_WEBSOCKET_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


def realtime_url(server: str) -> str:
    """The URL of a server's Realtime endpoint.

    Args:
        server: As a person writes it: ``127.0.0.1:8765``, ``http://host/v1`` or the whole URL.

    Raises:
        StartupError: It is no address of a server.
    """
    text = server if "://" in server else f"ws://{server}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        host = None
    if not host or parts.scheme not in _WEBSOCKET_SCHEMES:
        raise StartupError(f"'{server}' is no address of a server; write it like ws://127.0.0.1:8765.")
    path = parts.path.rstrip("/")
    if not path.endswith(REALTIME_PATH):
        path = path.removesuffix("/v1") + REALTIME_PATH
    query = f"?{parts.query}" if parts.query else ""
    return f"{_WEBSOCKET_SCHEMES[parts.scheme]}://{parts.netloc}{path}{query}"


def reachable_host(host: str) -> str:
    """The host at which this machine reaches a server that listens on ``host``, for use in a URL."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "[::1]" if address.version == 6 else "127.0.0.1"
    return f"[{host}]" if address.version == 6 else host


def service_url(server: ServerSettings, scheme: Literal["http", "ws"], port: int | None = None) -> str:
    """Where this machine reaches a server of these settings, without a path.

    Args:
        server: The settings.
        scheme: Of a connection that is not encrypted.
        port: Where it differs from that of the settings.
    """
    secure = "s" if server.encrypted else ""
    return f"{scheme}{secure}://{reachable_host(server.host)}:{server.port if port is None else port}"


def occupant(host: str, port: int, *, tls: bool = False) -> Occupant:
    """Who listens on a port, found out by asking for its health; takes up to `PROBE_TIMEOUT_S` twice.

    Args:
        host: Where.
        port: Where.
        tls: Ask over TLS. Whose the certificate is does not matter for this question.
    """
    host = reachable_host(host).strip("[]")
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_TIMEOUT_S)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=PROBE_TIMEOUT_S, context=context)
    try:
        connection.connect()
    except ssl.SSLError:
        return "another"
    except OSError:
        return "nobody"
    try:
        connection.request("GET", "/healthz")
        server = connection.getresponse().headers.get("Server", "")
    except (OSError, http.client.HTTPException):
        return "another"
    finally:
        connection.close()
    return "hearsight" if server == SERVER_HEADER else "another"


def running_server(server: ServerSettings) -> str | None:
    """The Realtime URL of the Hearsight server that runs where the settings say, None where none does.

    It is found whether it encrypts or not: a flag may have told it otherwise than the settings do.
    """
    if server.port == 0:
        return None
    for candidate in (server, server.model_copy(update={"tls": "self-signed"})):
        if occupant(server.host, server.port, tls=candidate.encrypted) == "hearsight":
            return f"{service_url(candidate, 'ws')}{REALTIME_PATH}"
        if server.encrypted:
            break
    return None


def why_not_listening(error: OSError) -> str:
    """Why an address cannot be listened on, in a few words."""
    if isinstance(error, socket.gaierror):
        return "there is no such host"
    if error.errno == errno.EADDRINUSE:
        return "another program uses it"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    return os.strerror(error.errno).lower() if error.errno else str(error)

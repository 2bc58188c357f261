"""The gate: answers plain HTTP, and decides which WebSockets may open. No socket in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import structlog
from websockets.http11 import Request, Response

from hearsight.streams import http
from hearsight.streams.access import Access
from hearsight.streams.client_secrets import ClientSecrets
from hearsight.streams.errors import AccessDenied, HearsightError
from hearsight.streams.http import Readiness
from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import Grant
from hearsight.streams.load_watch import LoadWatch
from hearsight.streams.metrics import Metrics
from hearsight.streams.page import Page
from hearsight.streams.quotas import RATE_CODE, NoRoom
from hearsight.streams.transport import Endpoint, ServerOptions

Post: TypeAlias = Callable[[bytes, Grant, Access], Response]
"""Answers a POST, given its body and who it comes from; raises a ``HearsightError`` for a wrong one."""

CHALLENGE = 'Bearer realm="hearsight"'

_log = structlog.get_logger(__name__)


class Gate:
    """Looks at every request first.

    Args:
        options: Keys, origins and bounds.
        endpoints: The protocol spoken at each WebSocket path.
        readiness: Whether the service takes sessions.
        count_sessions: How many there are.
        metrics: Shown at ``/metrics``; where refusals are counted.
        page: The browser page.
        load: Whether there is more to do than can be done in time.
        posts: What may be posted, by path.
        room_for: Why another session of a client may not begin; None when it may.
    """

    def __init__(
        self,
        options: ServerOptions,
        endpoints: Mapping[str, Endpoint],
        readiness: Readiness,
        count_sessions: Callable[[], int],
        metrics: Metrics,
        page: Page,
        *,
        load: LoadWatch | None = None,
        posts: Mapping[str, Post] | None = None,
        room_for: Callable[[Grant], NoRoom | None] = lambda grant: None,
    ) -> None:
        self._options = options
        self._endpoints = dict(endpoints)
        self._posts = dict(posts or {})
        self._readiness = readiness
        self._count_sessions = count_sessions
        self._room_for = room_for
        self._counters = metrics
        self._page = page
        signing_key = options.client_secret_key.encode() if options.client_secret_key else None
        self.access = Access(
            options.api_keys,
            options.allowed_origins,
            key_file=KeyFile(options.keys_file) if options.keys_file is not None else None,
            client_secrets=ClientSecrets(signing_key),
            keyless=options.keyless,
        )
        """Who may connect."""
        self._load = load
        self._pages: dict[str, Callable[[], Response]] = {
            "/healthz": http.health,
            "/readyz": self._ready,
            "/metrics": self._metrics,
        }

    def endpoint_of(self, request: Request) -> Endpoint | None:
        """The protocol spoken at the request's path."""
        return self._endpoints.get(path_of(request))

    def grant_of(self, request: Request) -> Grant:
        """Who a request comes from, and what it may do.

        Raises:
            AccessDenied: It shows no key that counts, and needs one.
        """
        endpoint, query = self.endpoint_of(request), query_of(request)
        in_query = endpoint is not None and endpoint.key_in_query
        query_key = (query.get("key") or query.get("access_token")) if in_query else None
        return self.access.grant(request.headers, query_key)

    def answer(
        self, method: str, request: Request, body: bytes = b"", address: str | None = None
    ) -> Response | None:
        """Answer a request; None when it is for a WebSocket that may open.

        Args:
            method: Such as GET.
            request: Its path and headers.
            body: What was sent with it.
            address: Where it comes from, for the log.
        """
        try:
            response = self._answer(method, request, body)
        except AccessDenied as error:
            _log.info("refused", status=401, reason=error.message, address=address)
            response = self._denied(request, error)
        if response is None:
            return None
        self.count(response)
        return http.without_body(response) if method == "HEAD" else response

    def count(self, response: Response) -> None:
        """Take note of an answer that refuses something."""
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            self._counters.refused.labels(str(int(response.status_code))).inc()

    def _answer(self, method: str, request: Request, body: bytes) -> Response | None:
        path = path_of(request)
        endpoint, page, file = self.endpoint_of(request), self._pages.get(path), self._page.find(path)
        post = self._posts.get(path)
        if endpoint is None and page is None and file is None and post is None:
            return http.respond(HTTPStatus.NOT_FOUND, "There is nothing at this path.\n")
        allowed = ("POST",) if post is not None else ("GET",) if endpoint is not None else ("GET", "HEAD")
        if method not in allowed:
            message = f"{method[:16]} is not allowed here; use {' or '.join(allowed)}.\n"
            return http.respond(HTTPStatus.METHOD_NOT_ALLOWED, message, Allow=", ".join(allowed))
        if post is not None:
            return self._posted(post, request, body)
        if endpoint is not None:
            return self._refusal(request)
        if page is not None:
            return page()
        return file.answer(request.headers) if file is not None else None

    def _posted(self, post: Post, request: Request, body: bytes) -> Response:
        if not self.access.admits_origin(request.headers):
            return http.refuse(HTTPStatus.FORBIDDEN, "Pages from this origin may not post here.")
        try:
            return post(body, self.grant_of(request), self.access)
        except AccessDenied:
            raise
        except HearsightError as error:
            return http.refuse(HTTPStatus.BAD_REQUEST, error.message, error.code, error.param)

    def _refusal(self, request: Request) -> Response | None:
        """Why a WebSocket may not open, None when it may."""
        if not any("websocket" in value.lower() for value in request.headers.get_all("Upgrade")):
            message = "This path speaks WebSocket; connect to it with a WebSocket client.\n"
            return http.respond(HTTPStatus.UPGRADE_REQUIRED, message, Upgrade="websocket")
        if not self.access.admits_origin(request.headers):
            message = "Pages from this origin may not connect: it is not among the allowed origins.\n"
            return http.respond(HTTPStatus.FORBIDDEN, message)
        return self._no_room(request, self.grant_of(request))

    def _no_room(self, request: Request, grant: Grant) -> Response | None:
        """Why a session may not begin at the moment, None when it may."""
        if self._readiness.reason is not None:
            retry_after = str(self._options.retry_after_s)
            message = f"{self._readiness.reason}\n"
            return http.respond(HTTPStatus.SERVICE_UNAVAILABLE, message, Retry_After=retry_after)
        # Who comes back to a session needs none; whether it is there is found out once the socket is open.
        no_room = self._room_for(grant) if "session_id" not in query_of(request) else None
        if no_room is None:
            # Where the client speaks first, only its first message tells whether it comes back.
            endpoint = self.endpoint_of(request)
            waits = endpoint is not None and endpoint.read_opening is not None
            return None if waits or "session_id" in query_of(request) else self._overloaded()
        by_client = no_room.code == RATE_CODE
        status = HTTPStatus.TOO_MANY_REQUESTS if by_client else HTTPStatus.SERVICE_UNAVAILABLE
        if by_client:
            _log.info("refused", status=int(status), reason=no_room.message, key=grant.key)
        return http.respond(status, f"{no_room.message}\n", Retry_After=str(no_room.retry_after_s))

    def _denied(self, request: Request, error: AccessDenied) -> Response:
        if path_of(request) in self._posts:
            return http.refuse(HTTPStatus.UNAUTHORIZED, error.message, error.code, WWW_Authenticate=CHALLENGE)
        return http.respond(HTTPStatus.UNAUTHORIZED, f"{error.message}\n", WWW_Authenticate=CHALLENGE)

    def _overloaded(self) -> Response | None:
        """A refusal while there is more to do than can be done in time."""
        refusal = self._load.refusal() if self._load is not None else None
        if refusal is None or self._load is None:
            return None
        self._load.refused()
        message, wait_s = refusal
        return http.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{message}\n", Retry_After=str(wait_s))

    def _ready(self) -> Response:
        refusal = self._load.refusal() if self._load is not None else None
        return http.readiness(
            self._readiness,
            self._count_sessions(),
            self._options.max_sessions,
            key_required=self.access.key_required,
            overload=refusal[0] if refusal is not None else None,
        )

    def _metrics(self) -> Response:
        return http.respond(HTTPStatus.OK, self._counters.render(), http.PROMETHEUS)


def path_of(request: Request) -> str:
    """The path that is asked for, without the query; empty when it is no valid one."""
    try:
        return unquote(urlsplit(_target(request)).path)
    except ValueError:
        return ""


def _target(request: Request) -> str:
    """What is asked for. Where some clients write two slashes, one is meant: two would begin a host."""
    path = request.path
    return path[1:] if path.startswith("//ws/") else path


def query_of(request: Request) -> dict[str, str]:
    """The first value of each field of the query; nothing when it is no valid one."""
    try:
        fields = parse_qs(urlsplit(_target(request)).query, keep_blank_values=True, max_num_fields=32)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}

"""The gate: answers plain HTTP, and decides which WebSockets may open. No socket in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from websockets.http11 import Request, Response

from hearsight.streams import http
from hearsight.streams.access import Access
from hearsight.streams.http import Readiness
from hearsight.streams.load_watch import LoadWatch
from hearsight.streams.metrics import Metrics
from hearsight.streams.page import Page
from hearsight.streams.transport import Endpoint, ServerOptions


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
    """

    def __init__(
        self,
        options: ServerOptions,
        endpoints: Mapping[str, Endpoint],
        readiness: Readiness,
        count_sessions: Callable[[], int],
        metrics: Metrics,
        page: Page,
        load: LoadWatch | None = None,
    ) -> None:
        self._options = options
        self._endpoints = dict(endpoints)
        self._readiness = readiness
        self._count_sessions = count_sessions
        self._counters = metrics
        self._page = page
        self._load = load
        self._access = Access(options.api_keys, options.allowed_origins)
        self._pages: dict[str, Callable[[], Response]] = {
            "/healthz": http.health,
            "/readyz": self._ready,
            "/metrics": self._metrics,
        }

    def endpoint_of(self, request: Request) -> Endpoint | None:
        """The protocol spoken at the request's path."""
        return self._endpoints.get(path_of(request))

    def answer(self, method: str, request: Request) -> Response | None:
        """Answer a request; None when it is for a WebSocket that may open."""
        response = self._answer(method, request)
        if response is None:
            return None
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            self._counters.refused.labels(str(int(response.status_code))).inc()
        return http.without_body(response) if method == "HEAD" else response

    def _answer(self, method: str, request: Request) -> Response | None:
        endpoint = self.endpoint_of(request)
        page = self._pages.get(path_of(request))
        file = self._page.find(path_of(request))
        if endpoint is None and page is None and file is None:
            return http.respond(HTTPStatus.NOT_FOUND, "There is nothing at this path.\n")
        allowed = ("GET",) if endpoint is not None else ("GET", "HEAD")
        if method not in allowed:
            message = f"{method[:16]} is not allowed here; use {' or '.join(allowed)}.\n"
            return http.respond(HTTPStatus.METHOD_NOT_ALLOWED, message, Allow=", ".join(allowed))
        if endpoint is not None:
            return self._refusal(endpoint, request)
        if page is not None:
            return page()
        return file.answer(request.headers) if file is not None else None

    def _refusal(self, endpoint: Endpoint, request: Request) -> Response | None:
        """Why a WebSocket may not open, None when it may."""
        query = query_of(request)
        if not any("websocket" in value.lower() for value in request.headers.get_all("Upgrade")):
            message = "This path speaks WebSocket; connect to it with a WebSocket client.\n"
            return http.respond(HTTPStatus.UPGRADE_REQUIRED, message, Upgrade="websocket")
        if not self._access.admits_origin(request.headers):
            message = "Pages from this origin may not connect: it is not among the allowed origins.\n"
            return http.respond(HTTPStatus.FORBIDDEN, message)
        if not self._access.admits_key(request.headers, query.get("key") if endpoint.key_in_query else None):
            message = "A valid API key is needed: send it as `Authorization: Bearer KEY`.\n"
            challenge = 'Bearer realm="hearsight"'
            return http.respond(HTTPStatus.UNAUTHORIZED, message, WWW_Authenticate=challenge)
        reason = self._readiness.reason
        full = self._count_sessions() >= self._options.max_sessions
        if reason is None and full and "session_id" not in query:
            reason = f"All {self._options.max_sessions} sessions are in use; try again later."
        if reason is None:
            # Where the client speaks first, only its first message tells whether it comes back.
            may_be_new = "session_id" not in query and endpoint.read_opening is None
            return self._overloaded() if may_be_new else None
        retry_after = str(self._options.retry_after_s)
        return http.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}\n", Retry_After=retry_after)

    def _overloaded(self) -> Response | None:
        """A refusal while there is more to do than can be done in time."""
        refusal = self._load.refusal() if self._load is not None else None
        if refusal is None or self._load is None:
            return None
        self._load.refused()
        message, wait_s = refusal
        return http.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"{message}\n", Retry_After=str(wait_s))

    def _ready(self) -> Response:
        options = self._options
        refusal = self._load.refusal() if self._load is not None else None
        return http.readiness(
            self._readiness,
            self._count_sessions(),
            options.max_sessions,
            key_required=bool(options.api_keys),
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

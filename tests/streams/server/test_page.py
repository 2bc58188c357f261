"""The page's files over plain HTTP."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from websockets.datastructures import Headers

from hearsight.streams.page import FOREVER, REVALIDATE, Page, PageFile

HTML = "<!doctype html><title>Page</title>" + "<p>words</p>" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.html").write_text("not of the page")
    page = tmp_path / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text(HTML)
    (page / "favicon.svg").write_text("<svg/>")
    (page / "notes.md").write_text("of no kind that a page is made of")
    (page / "assets" / "index-1a2b.js").write_text("export const a = 1;\n" * 50)
    (page / "assets" / "font-1a2b.woff2").write_bytes(bytes(range(256)))
    return page


@pytest.fixture
async def service(start_service, folder):
    return await start_service(page=Page.load(folder))


@pytest.mark.parametrize(
    ("path", "content_type", "caching"),
    [
        ("/", "text/html; charset=utf-8", REVALIDATE),
        ("/?lang=de", "text/html; charset=utf-8", REVALIDATE),
        ("/favicon.svg", "image/svg+xml", REVALIDATE),
        ("/assets/index-1a2b.js", "text/javascript; charset=utf-8", FOREVER),
        ("/assets/font-1a2b.woff2", "font/woff2", FOREVER),
    ],
)
async def test_every_file_has_its_type_and_says_how_long_it_lasts(service, path, content_type, caching):
    status, headers, body = await service.request(f"GET {path} HTTP/1.1\nHost: x")
    assert (status, headers["content-type"], headers["cache-control"]) == (200, content_type, caching)
    assert headers["x-content-type-options"] == "nosniff"
    assert int(headers["content-length"]) == len(body) > 0


async def test_the_page_may_load_nothing_from_elsewhere(service):
    _, headers, _ = await service.request("GET / HTTP/1.1\nHost: x")
    rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert headers["permissions-policy"] == "camera=(self), microphone=(self)"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("header", ["gzip", "br, gzip;q=0.8", "GZIP ; q=1.0", "*"])
async def test_text_travels_packed_to_whoever_can_unpack_it(service, header):
    status, headers, body = await service.request(f"GET / HTTP/1.1\nHost: x\nAccept-Encoding: {header}")
    assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
    assert gzip.decompress(body).decode() == HTML
    assert int(headers["content-length"]) == len(body) < len(HTML)


@pytest.mark.parametrize("header", ["", "\nAccept-Encoding: br", "\nAccept-Encoding: gzip;q=0, br"])
async def test_and_as_it_is_to_whoever_cannot(service, header):
    _, headers, body = await service.request(f"GET / HTTP/1.1\nHost: x{header}")
    assert "content-encoding" not in headers
    assert body.decode() == HTML


async def test_what_packing_does_not_shrink_is_not_packed(service):
    target = "/assets/font-1a2b.woff2"
    _, headers, body = await service.request(f"GET {target} HTTP/1.1\nHost: x\nAccept-Encoding: gzip")
    assert "content-encoding" not in headers
    assert body == bytes(range(256))


@pytest.mark.parametrize("encoding", ["", "\nAccept-Encoding: gzip"])
async def test_what_a_browser_has_is_not_sent_again(service, encoding):
    _, headers, _ = await service.request(f"GET / HTTP/1.1\nHost: x{encoding}")
    etag = headers["etag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}"):
        status, headers, body = await service.request(
            f"GET / HTTP/1.1\nHost: x{encoding}\nIf-None-Match: {known}"
        )
        assert (status, body, headers["etag"]) == (304, b"", etag)
    status, _, _ = await service.request(f'GET / HTTP/1.1\nHost: x{encoding}\nIf-None-Match: "other"')
    assert status == 200


async def test_head_tells_of_the_file_and_sends_nothing(service):
    status, headers, body = await service.request("HEAD /assets/index-1a2b.js HTTP/1.1\nHost: x")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) == 20 * 50


async def test_a_file_takes_no_other_method(service):
    status, headers, _ = await service.request("POST /favicon.svg HTTP/1.1\nHost: x")
    assert (status, headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.html",
        "/%2e%2e/secret.html",
        "/assets/../../secret.html",
        "/assets/..%2f..%2fsecret.html",
        "//secret.html",
        "/assets",
        "/assets/",
        "/index.html",
        "/notes.md",
        "/favicon.svg/",
        "/favicon.svg%00",
    ],
)
async def test_nothing_else_can_be_had(service, path):
    status, _, body = await service.request(f"GET {path} HTTP/1.1\nHost: x")
    assert status == 404
    assert b"not of the page" not in body


async def test_the_page_does_not_stand_in_the_way_of_the_rest(service):
    assert (await service.request("GET /healthz HTTP/1.1\nHost: x"))[0] == 200
    assert (await service.request("GET /v1/realtime HTTP/1.1\nHost: x"))[0] == 426


def test_files_that_differ_are_told_apart():
    one, other = PageFile(b"one", "text/plain"), PageFile(b"other", "text/plain")
    assert one.etag != other.etag
    assert one.answer(Headers()).headers["ETag"] == PageFile(b"one", "text/css").etag

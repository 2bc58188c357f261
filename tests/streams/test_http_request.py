"""The first request of a connection, read byte by byte or all at once."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.http_request import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_LINE_BYTES,
    Opening,
    OpeningReader,
)

GET = b"GET /v1/realtime?model=x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


def read(data: bytes, step: int | None = None) -> Opening | None:
    reader = OpeningReader()
    step = step or max(1, len(data))
    for at in range(0, len(data), step):
        opening = reader.feed(data[at : at + step])
        if opening is not None:
            return opening
    return None


def status(data: bytes) -> HTTPStatus | None:
    opening = read(data)
    return opening.problem[0] if opening is not None and opening.problem is not None else None


def test_a_get_goes_on_as_it_came_with_what_comes_behind_it():
    opening = read(GET + b"frames")
    assert (opening.method, opening.head, opening.body, opening.rest) == ("GET", GET, b"", b"frames")


def test_a_post_is_taken_apart():
    opening = read(POST + b"more")
    assert (opening.method, opening.body, opening.rest) == ("POST", b"hello", b"more")
    assert opening.head == b"GET /p HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "BREW"])
def test_other_methods_are_told(method):
    opening = read(f"{method} / HTTP/1.0\r\nHost: x\r\n\r\n".encode())
    assert (opening.method, opening.problem) == (method, None)
    assert opening.head.startswith(b"GET / HTTP/1.1\r\n")


@given(st.integers(1, 60))
def test_it_makes_no_difference_in_which_pieces_it_comes(step):
    for data in (GET, POST):
        whole, pieces = read(data), read(data, step)
        assert (pieces.method, pieces.head, pieces.body) == (whole.method, whole.head, whole.body)


@pytest.mark.parametrize("data", [b"", b"GET", GET[:-1], GET[:-2], POST[:-1]])
def test_it_waits_for_the_rest(data):
    assert read(data) is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x16\x03\x01\x02\x00\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"GET /" + b"a" * MAX_LINE_BYTES, 414),
        (b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * MAX_LINE_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * MAX_HEAD_BYTES, 431),
    ],
)
def test_what_cannot_be_read_gets_the_answer_that_fits(data, expected):
    assert status(data) == expected


def test_a_problem_quotes_nothing_of_the_request():
    opening = read(b"GET / HTTP/1.1\r\nAuthorization: Bearer hunter2\x01\r\n\r\n")
    assert "hunter2" not in repr(opening) and "hunter2" not in opening.problem[1]


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked():
    reader = OpeningReader()
    head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert reader.feed(head) is None and reader.awaits_continue
    assert reader.feed(b"ok").body == b"ok"
    impatient = OpeningReader()
    assert impatient.feed(head + b"ok").body == b"ok" and not impatient.awaits_continue


@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_bytes_make_it_stumble(data, step):
    read(data, step)
    read(b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n", step)


LINE = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\x00"), max_size=30)


@given(st.lists(st.tuples(st.from_regex(r"[A-Za-z-]{1,10}", fullmatch=True), LINE), max_size=10))
def test_what_it_lets_pass_is_what_websockets_reads(headers):
    from websockets.http11 import Request
    from websockets.streams import StreamReader

    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    opening = read(f"GET /x HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
    if opening.problem is not None:
        return
    stream = StreamReader()
    stream.feed_data(opening.head)
    parsing = Request.parse(stream.read_line)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    assert done.value.value.path == "/x"

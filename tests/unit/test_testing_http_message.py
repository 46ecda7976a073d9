"""HTTP/1.1 requests cut from a byte stream, and responses written as bytes."""

from __future__ import annotations

import pytest

from trunkline.testing.http_message import HttpRequest, MalformedRequestError, RequestParser, render_response


def test_requests_are_cut_from_the_stream_wherever_it_is_split() -> None:
    stream = (
        b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nX: 1\r\nx:\t2 \r\n\r\nabc"
        b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\nhi\r\n3\r\n!!!\r\n0\r\n\r\n"
        b"GET /c HTTP/1.1\r\n\r\n"
    )
    expected = [
        HttpRequest("POST", "/a", {"content-length": "3", "x": "1, 2"}, b"abc"),
        HttpRequest("POST", "/b", {"transfer-encoding": "chunked"}, b"hi!!!"),
        HttpRequest("GET", "/c", {}, b""),
    ]
    for size in (1, 2, 7, len(stream)):
        parser = RequestParser()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [one for piece in pieces for one in parser.feed(piece)] == expected


@pytest.mark.parametrize(
    "data",
    [b"HELLO\r\n\r\n", b"POST / HTTP/1.1\r\nbroken\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
     b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        RequestParser().feed(data)


def test_a_status_without_a_name_is_still_a_response() -> None:
    assert render_response(599, {"A": "b"}, b"x") == b"HTTP/1.1 599 \r\nA: b\r\nContent-Length: 1\r\n\r\nx"

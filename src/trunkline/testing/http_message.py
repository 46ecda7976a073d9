"""HTTP/1.1 as bytes, the little of it a fake server needs, written out so that every byte can be chosen."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

LAST_CHUNK = b"0\r\n\r\n"
_HEAD_LIMIT = 1 << 20


class HttpRequest(NamedTuple):
    """One complete request."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case; repeated fields are joined by a comma and a space (RFC 9110, section 5.3)."""
    body: bytes


class MalformedRequestError(ValueError):
    """The bytes are not an HTTP/1.1 request."""


class RequestParser:
    """Cuts a byte stream into requests, with `Content-Length` or chunked bodies (RFC 9112)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None

    def feed(self, data: bytes) -> list[HttpRequest]:
        """Take bytes in and give the requests they complete; raises MalformedRequestError."""
        self._buffer += data
        requests: list[HttpRequest] = []
        while (request := self._next()) is not None:
            requests.append(request)
        return requests

    def _next(self) -> HttpRequest | None:
        if self._head is None:
            self._head = self._take_head()
        if self._head is None:
            return None
        method, path, headers = self._head
        body = self._take_chunks() if "transfer-encoding" in headers else self._take_length(headers)
        if body is None:
            return None
        self._head = None
        return HttpRequest(method, path, headers, body)

    def _take_head(self) -> tuple[str, str, dict[str, str]] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise MalformedRequestError("the head never ends")
            return None
        line, *fields = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        parts = line.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise MalformedRequestError(f"not a request line: {line!r}")
        headers: dict[str, str] = {}
        for field in fields:
            name, colon, value = field.partition(":")
            if not colon:
                raise MalformedRequestError(f"not a header field: {field!r}")
            key, value = name.lower(), value.strip(" \t")
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return parts[0], _path_of(parts[1]), headers

    def _take_length(self, headers: Mapping[str, str]) -> bytes | None:
        try:
            length = int(headers.get("content-length", "0"))
        except ValueError:
            raise MalformedRequestError("Content-Length is not a number") from None
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _take_chunks(self) -> bytes | None:
        body, at = bytearray(), 0
        while (end := self._buffer.find(b"\r\n", at)) >= 0:
            try:
                size = int(self._buffer[at:end].partition(b";")[0], 16)
            except ValueError:
                raise MalformedRequestError("not a chunk size") from None
            at = end + 2 + size + 2
            if len(self._buffer) < at:
                return None
            if size == 0:
                del self._buffer[:at]
                return bytes(body)
            body += self._buffer[end + 2 : end + 2 + size]
        return None


def _path_of(target: str) -> str:
    """Give the path of a request's target, which may be a whole URL (RFC 9112, section 3.2.2)."""
    if "://" not in target.partition("?")[0]:
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def render_head(status: int, headers: Mapping[str, str]) -> bytes:
    """Give a status line and header fields, with the empty line that ends them."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {reason}\r\n{fields}\r\n".encode("latin-1")


def render_response(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """Give a whole response with its `Content-Length`."""
    return render_head(status, {**(headers or {}), "Content-Length": str(len(body))}) + body


def render_chunk(data: bytes) -> bytes:
    """Give one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def render_event(data: bytes) -> bytes:
    """Give one server-sent event of type `message`; the data holds no line break."""
    return b"event: message\ndata: " + data + b"\n\n"

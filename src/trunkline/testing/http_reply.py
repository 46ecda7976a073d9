"""Carries one exchange as an HTTP response: a JSON body or an event stream, spoiled where a fault says so."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from typing import Any

from trunkline.testing import eras
from trunkline.testing.effects import Effect, End, Pause, Write
from trunkline.testing.faults import Fault
from trunkline.testing.framing import encode, encode_reply, endless_reply
from trunkline.testing.http_message import (
    LAST_CHUNK,
    render_chunk,
    render_event,
    render_head,
    render_response,
)

_JSON = {"Content-Type": "application/json"}
_EVENTS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
    "Transfer-Encoding": "chunked",
}
_COMMENT = b": still here\n\n"
_MODERN_STATUS = {
    eras.PARSE_ERROR: 400,
    eras.INVALID_REQUEST: 400,
    eras.INVALID_PARAMS: 400,
    eras.HEADER_MISMATCH: 400,
    eras.MISSING_CAPABILITY: 400,
    eras.UNSUPPORTED_VERSION: 400,
    eras.METHOD_NOT_FOUND: 404,
}


class HttpReply:
    """The response to one POST.

    Args:
        json: give one JSON body, for which notifications are lost.
        modern: give the status of 2026-07-28 to errors; legacy errors come with status 200.
        headers: added to every response, such as the session id.
    """

    def __init__(self, *, json: bool, modern: bool, headers: Mapping[str, str] | None = None) -> None:
        self._json = json
        self._modern = modern
        self._headers = dict(headers or {})
        self._streaming = False

    def note(self, message: Mapping[str, Any]) -> bytes:
        """Give the event of a notification, after the head of the stream if it is the first."""
        return b"" if self._json else self.open_stream() + render_chunk(render_event(encode(message)))

    def abandon(self) -> bytes:
        """Give the end of a response to a cancelled request, which gets no message any more."""
        if self._json:
            return render_response(204, self._headers)
        return self.open_stream() + LAST_CHUNK

    def reply(self, message: Mapping[str, Any], fault: Fault | None) -> Iterator[Effect]:
        """Give the effects that answer the request, or fail to."""
        match fault.kind if fault else None:
            case "crash" | "kill" | "close" | "reset" as how:
                yield End(how)
            case "hang":
                yield Pause(None)
            case "status" if fault:
                yield self._whole(render_response(fault.code, dict(fault.headers), fault.text.encode()))
            case "comments" if fault:
                yield from self._comment(fault.seconds)
            case "endless":
                yield from self._never_end(message)
            case "gzip_bomb":
                body = gzip.compress(encode_reply(message, fault), mtime=0)
                yield self._whole(self._render_json(200, body, {"Content-Encoding": "gzip"}))
            case _:
                yield from self._answer(message, fault)

    def _answer(self, message: Mapping[str, Any], fault: Fault | None) -> Iterator[Effect]:
        kind = fault.kind if fault else None
        body = encode_reply(message, fault)
        status = _MODERN_STATUS.get(message.get("error", {}).get("code"), 200) if self._modern else 200
        if kind != "duplicate" and not self._streaming and (self._json or status != 200):
            length = {"Content-Length": str(len(body))}
            head, rest = render_head(status, {**_JSON, **self._headers, **length}), body
        else:
            head, event = self.open_stream(), render_chunk(render_event(body))
            rest = event * (2 if kind == "duplicate" else 1) + LAST_CHUNK
        if kind == "cut_after_headers":
            yield Write(head)
            yield End("close")
        elif kind == "truncated":
            yield Write(head + rest[: len(rest) // 2])
            yield End("close")
        elif kind == "drip" and fault:
            yield Write(head)
            yield Write(rest, fault.size, fault.seconds)
        else:
            yield Write(head + rest)

    def _comment(self, seconds: float) -> Iterator[Effect]:
        yield Write(self.open_stream())
        while True:
            yield Write(render_chunk(_COMMENT))
            yield Pause(seconds)

    def _never_end(self, message: Mapping[str, Any]) -> Iterator[Effect]:
        if self._json:
            yield Write(render_head(200, {**_JSON, **self._headers, "Transfer-Encoding": "chunked"}))
        else:
            yield Write(self.open_stream() + render_chunk(b"event: message\ndata: "))
        for piece in endless_reply(message["id"]):
            yield Write(render_chunk(piece))
            yield Pause(0)

    def _whole(self, response: bytes) -> Effect:
        """Give a whole response, or the end of the connection where a stream already began."""
        return End("close") if self._streaming else Write(response)

    def _render_json(self, status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
        return render_response(status, {**_JSON, **self._headers, **headers}, body)

    def open_stream(self) -> bytes:
        """Give the head of an event stream, the first time."""
        if self._streaming:
            return b""
        self._streaming = True
        return render_head(200, {**_EVENTS, **self._headers})

"""A server that floods over networks: called, it sends notifications as fast as they are taken, until it is
told anything else or its stream has ended. No MCP library.

`/post` is Streamable HTTP that floods the stream of the answer, `/get` floods the stream of a GET; `/sse` is
HTTP+SSE and `/ws` WebSocket. It prints its port on standard output and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys

from bench.answers import Answers
from bench.server_flood import NOTIFICATION
from bench.server_streams import TEXT, Peer
from bench.websocket import encode_frame

_MESSAGE = json.dumps(NOTIFICATION).encode()
_EVENTS = 50 * (b"event: message\ndata: %b\n\n" % _MESSAGE)
_FRAMES = 50 * encode_frame(TEXT, _MESSAGE)
_OPEN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_HTTP = (b"/post", b"/get")


class FloodingPeer(Peer):
    """One connection."""

    _floods = False
    _waits = False

    def flood(self, data: bytes) -> None:
        """Send this again and again, as fast as it is taken."""
        self._floods = True
        self._pour(data)

    def calm(self) -> None:
        """Send nothing more of that."""
        self._floods = False

    def pause_writing(self) -> None:
        """It takes no more for now."""
        self._waits = True

    def resume_writing(self) -> None:
        """It takes more."""
        self._waits = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Nobody is there any more."""
        self._floods = False

    def _pour(self, data: bytes) -> None:
        if not self._floods:
            return
        if not self._waits:
            self._transport.write(data)
        asyncio.get_running_loop().call_later(0.001 if self._waits else 0, self._pour, data)

    def _take_request(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        stream = self._streams.get(path)
        is_call = method == b"POST" and json.loads(body).get("method") == "tools/call"
        if method == b"GET" and path == b"/get":
            self._streams[path] = self._transport
            self._transport.write(_OPEN)
        elif is_call and path == b"/post":
            self._transport.write(_OPEN)
            self.flood(_EVENTS)
        elif stream is not None and is_call:
            if path != b"/get":
                self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            _peer(stream).flood(_EVENTS)
        elif method == b"POST" and path in _HTTP:
            if stream is not None:
                _peer(stream).calm()
            self._answer(body)
        else:
            if stream is not None:
                _peer(stream).calm()
            super()._take_request(head, body)

    def _answer(self, body: bytes) -> None:
        reply = self._respond(body)
        status = b"202 Accepted" if reply is None else b"200 OK\r\nContent-Type: application/json"
        body = reply or b""
        self._transport.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    def _take_frame(self, code: int, payload: bytes) -> None:
        self.calm()
        if code == TEXT and json.loads(payload).get("method") == "tools/call":
            self.flood(_FRAMES)
        else:
            super()._take_frame(code, payload)


def _peer(stream: asyncio.Transport) -> FloodingPeer:
    peer = stream.get_protocol()
    assert isinstance(peer, FloodingPeer)
    return peer


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    streams: dict[bytes, asyncio.Transport] = {}
    answers = Answers("legacy", None, 2)
    server = await loop.create_server(lambda: FloodingPeer(answers, streams), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())

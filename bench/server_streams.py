"""The neutral server of HTTP+SSE and WebSocket: one hand-written `asyncio.Protocol`, no MCP library.

`GET /sse` opens an event stream that names the endpoint to post to; `GET /ws` upgrades to WebSocket. It
prints its port on standard output and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import sys
from pathlib import Path

from bench.answers import Answers
from bench.placement import pin
from bench.tally import Tally
from bench.websocket import encode_frame, split_frames

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Peer(asyncio.Protocol):
    """One connection: an event stream, posts on keep-alive, or a WebSocket."""

    def __init__(self, answers: Answers, streams: dict[bytes, asyncio.Transport]) -> None:
        self._answers = answers
        self._streams = streams
        self._rest = b""
        self._is_socket = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while not self._is_socket and (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            stop = end + 4 + _content_length(head.lower())
            if len(self._rest) < stop:
                return
            body, self._rest = self._rest[end + 4 : stop], self._rest[stop:]
            self._take_request(head, body)
        if self._is_socket:
            frames, self._rest = split_frames(self._rest)
            for code, payload in frames:
                self._take_frame(code, payload)

    def _take_request(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        if method == b"GET" and path == b"/sse":
            self._open_stream()
        elif method == b"GET" and path == b"/ws":
            self._shake_hands(head)
        elif method == b"POST" and (stream := self._streams.get(path)) is not None:
            self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            if (reply := self._respond(body)) is not None:
                stream.write(b"event: message\ndata: %b\n\n" % reply)
        else:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    def _open_stream(self) -> None:
        path = b"/messages/%d" % len(self._streams)
        self._streams[path] = self._transport
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
            b"event: endpoint\ndata: %b\n\n" % path
        )

    def _shake_hands(self, head: bytes) -> None:
        key = next(
            line.partition(b":")[2].strip()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key:")
        )
        accept = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: mcp\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        self._is_socket = True

    def _take_frame(self, code: int, payload: bytes) -> None:
        if code == TEXT and (reply := self._respond(payload)) is not None:
            self._transport.write(encode_frame(TEXT, reply))
        elif code == _PING:
            self._transport.write(encode_frame(_PONG, payload))
        elif code == _CLOSE:
            self._transport.write(encode_frame(_CLOSE, payload))
            self._transport.close()

    def _respond(self, body: bytes) -> bytes | None:
        reply = self._answers.respond(json.loads(body))
        return _ENCODE(reply).encode() if reply is not None else None


def main() -> None:
    """Serve on a free port of 127.0.0.1 until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", choices=("legacy", "modern"), required=True)
    parser.add_argument("--tally", type=Path)
    parser.add_argument("--processor", type=int, help="run only there")
    options = parser.parse_args()
    pin(options.processor)
    tally = Tally(options.tally) if options.tally else None
    asyncio.run(_serve(Answers(options.family, tally)))


async def _serve(answers: Answers) -> None:
    loop = asyncio.get_running_loop()
    streams: dict[bytes, asyncio.Transport] = {}
    server = await loop.create_server(lambda: Peer(answers, streams), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()
    server.close()


def _content_length(head: bytes) -> int:
    start = head.find(b"content-length:")
    return int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0


if __name__ == "__main__":
    main()

"""The neutral Streamable HTTP server: one hand-written `asyncio.Protocol`, JSON replies, no MCP library.

It prints its port on standard output and ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from bench.answers import REVISIONS, Answers, Family, Message
from bench.placement import pin
from bench.tally import Tally

_SESSION = b"neutral-session"
_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Peer(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, family: Family, answers: Answers) -> None:
        self._family = family
        self._answers = answers
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            stop = end + 4 + _content_length(head)
            if len(data) < stop:
                break
            self._transport.write(self._answer(head, data[end + 4 : stop]))
            data = data[stop:]
        self._rest = data

    def _answer(self, head: bytes, body: bytes) -> bytes:
        method = head[: head.index(b" ")]
        if method == b"delete" and self._family == "legacy":
            return _response(b"200 OK", b"")
        if method != b"post":
            return _response(b"405 Method Not Allowed", b"", b"Allow: POST\r\n")
        message: Message = json.loads(body)
        if problem := self._head_problem(head, message):
            error = {"code": -32600, "message": problem}
            return _json(b"400 Bad Request", {"jsonrpc": "2.0", "id": message.get("id"), "error": error})
        reply = self._answers.respond(message)
        if reply is None:
            return _response(b"202 Accepted", b"")
        if message["method"] == "initialize":
            return _json(b"200 OK", reply, b"Mcp-Session-Id: " + _SESSION + b"\r\n")
        unknown = self._family == "modern" and reply.get("error", {}).get("code") == -32601
        return _json(b"404 Not Found" if unknown else b"200 OK", reply)

    def _head_problem(self, head: bytes, message: Message) -> str | None:
        """Name the header of this family that is missing, or None."""
        method = str(message.get("method", "")).encode()
        if method == b"initialize" and self._family == "legacy":
            return None
        wanted = [b"mcp-protocol-version: " + REVISIONS[self._family].encode()]
        if self._family == "modern":
            wanted.append(b"mcp-method: " + method.lower())
        else:
            wanted.insert(0, b"mcp-session-id: " + _SESSION)
        return next((line.decode() + " is missing" for line in wanted if line not in head), None)


def main() -> None:
    """Serve on a free port of 127.0.0.1 until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", choices=("legacy", "modern"), required=True)
    parser.add_argument("--tally", type=Path)
    parser.add_argument("--processor", type=int, help="run only there")
    options = parser.parse_args()
    pin(options.processor)
    tally = Tally(options.tally) if options.tally else None
    asyncio.run(_serve(options.family, Answers(options.family, tally)))


async def _serve(family: Family, answers: Answers) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Peer(family, answers), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()
    server.close()


def _content_length(head: bytes) -> int:
    start = head.find(b"content-length:")
    return int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0


def _json(status: bytes, message: Message, headers: bytes = b"") -> bytes:
    return _response(status, _ENCODE(message).encode(), b"Content-Type: application/json\r\n" + headers)


def _response(status: bytes, body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, headers, len(body), body)


if __name__ == "__main__":
    main()

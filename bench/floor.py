"""The floor: the plainest asyncio JSON-RPC client that is correct against the neutral servers.

It is what a careful programmer writes in an afternoon with the standard library: asyncio streams, the
`json` module, a table of futures for stdio, a list of idle keep-alive connections for HTTP. It has no
timeouts, limits, validation, retries, cancellation or error mapping, and no trick to be faster either:
no batching of writes, no hand-made JSON, no protocol classes, no other loop.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from bench.answers import CAPABILITIES_KEY, VERSION_KEY, Family
from bench.target import Target

_LIMIT = 1 << 27
_CLIENT = {"name": "floor", "version": "1"}


class Session(Protocol):
    """What the calls of both transports have in common."""

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]: ...

    async def notify(self, method: str) -> None: ...


class StdioSession:
    """One child process.

    Per call: encode, one write to the pipe, one future, one wake-up of the reading task per batch of
    answers, decode.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._writer = process.stdin
        self._reader = process.stdout
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        identifier = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._pending[identifier] = answer
        frame = {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}
        self._writer.write(json.dumps(frame).encode() + b"\n")
        await self._writer.drain()
        return result_of(await answer)

    async def notify(self, method: str) -> None:
        self._writer.write(json.dumps({"jsonrpc": "2.0", "method": method}).encode() + b"\n")

    async def read(self) -> None:
        """Hand every answer to the call that waits for it, until end of input."""
        while line := await self._reader.readline():
            message = json.loads(line)
            self._pending.pop(message["id"]).set_result(message)


class HttpSession:
    """One HTTP/1.1 endpoint.

    Per call: encode, one write to an idle keep-alive connection, one read of the head up to the empty
    line, one read of the body by its length, decode.
    """

    def __init__(self, url: str, family: Family, revision: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._modern = family == "modern"
        self._ids = itertools.count(1)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {revision}\r\n"
        )

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        frame = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        extra = ""
        if self._modern:
            name = params.get("name")
            extra = f"Mcp-Method: {method}\r\n" + (f"Mcp-Name: {name}\r\n" if name else "")
        return result_of(json.loads(await self._post(frame, extra)))

    async def notify(self, method: str) -> None:
        await self._post({"jsonrpc": "2.0", "method": method}, "")

    async def close(self) -> None:
        """Close every connection."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._port)

    async def _post(self, frame: dict[str, Any], extra: str) -> bytes:
        body = json.dumps(frame).encode()
        reader, writer = self._idle.pop() if self._idle else await self._connect()
        writer.write(f"{self._head}{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        headers = _headers(head)
        answer = await reader.readexactly(int(headers["content-length"]))
        if "mcp-session-id" in headers:
            self._head += f"Mcp-Session-Id: {headers['mcp-session-id']}\r\n"
        self._idle.append((reader, writer))
        return answer


class Calls:
    """The calls of one family over either transport."""

    def __init__(self, session: Session, target: Target) -> None:
        self._session = session
        self._modern = target.family == "modern"
        self._meta = {
            VERSION_KEY: target.revision,
            CAPABILITIES_KEY: {},
            "io.modelcontextprotocol/clientInfo": _CLIENT,
        }

    async def open(self, revision: str) -> str:
        """Do the handshake of the family, list the tools, and give the server's revision."""
        if self._modern:
            found = await self._request("server/discover", {})
            answered: str = found["supportedVersions"][0]
        else:
            wanted = {"protocolVersion": revision, "capabilities": {}, "clientInfo": _CLIENT}
            answered = (await self._request("initialize", wanted))["protocolVersion"]
            await self._session.notify("notifications/initialized")
        await self._request("tools/list", {})
        return answered

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool and give the text of its result."""
        result = await self._request("tools/call", {"name": tool, "arguments": arguments})
        text: str = result["content"][0]["text"]
        return text

    async def _request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if self._modern:
            params["_meta"] = self._meta
        return await self._session.request(method, params)


@asynccontextmanager
async def open_stdio(target: Target) -> AsyncIterator[tuple[Calls, str]]:
    """Start the server and do the handshake."""
    process = await asyncio.create_subprocess_exec(
        *target.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LIMIT,
        env={**os.environ, **target.env},
    )
    session = StdioSession(process)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(session.read())
        calls = Calls(session, target)
        yield calls, await calls.open(target.revision)
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def open_http(target: Target) -> AsyncIterator[tuple[Calls, str]]:
    """Connect and do the handshake."""
    session = HttpSession(target.url, target.family, target.revision)
    calls = Calls(session, target)
    yield calls, await calls.open(target.revision)
    await session.close()


def result_of(message: dict[str, Any]) -> dict[str, Any]:
    """Give the result of an answer, or raise its error."""
    if "error" in message:
        raise RuntimeError(message["error"]["message"])
    result: dict[str, Any] = message["result"]
    return result


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return {name.lower(): value.strip() for name, _, value in pairs}

"""The clients under measurement. A new contender is one class here and its name in `CONTENDERS`.

Each is used as its own documentation shows: the public front door with default settings. Imports stay
inside, so no contender's process pays for another one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from bench.target import Target

CallTool = Callable[[str, Mapping[str, Any]], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A connected contender."""

    call: CallTool
    """Calls a tool by the server's own name for it and gives the text of the result."""
    revision: str
    """The protocol revision in use."""


class Contender(Protocol):
    """One client library."""

    def version(self) -> str:
        """Name and version, as the report prints it."""
        ...

    def connect(self, target: Target) -> AbstractAsyncContextManager[Connection]:
        """Connect, list the tools once, and close at the end of the block."""
        ...


class Trunkline:
    """`trunkline.connect` with nothing configured: the default stack."""

    def version(self) -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return f"trunkline {version('trunkline')}"
        except PackageNotFoundError:
            return "trunkline (not installed, from the source tree)"

    @asynccontextmanager
    async def connect(self, target: Target) -> AsyncIterator[Connection]:
        import trunkline

        async with trunkline.connect({"neutral": entry(target)}) as trunk:
            await trunk.ready()

            async def call(tool: str, arguments: Mapping[str, Any]) -> str:
                reply = await trunk.call(f"neutral.{tool}", arguments)
                return reply.text

            yield Connection(call=call, revision=trunk.status()["neutral"].era or "")


class Sdk:
    """The official SDK's `Client`."""

    def version(self) -> str:
        from importlib.metadata import version

        return f"mcp {version('mcp')} Client"

    @asynccontextmanager
    async def connect(self, target: Target) -> AsyncIterator[Connection]:
        from mcp import Client, StdioServerParameters
        from mcp_types import TextContent

        server: Any = target.url
        if target.kind == "stdio":
            command, *args = target.command
            server = StdioServerParameters(command=command, args=args, env=dict(target.env))
        elif target.kind == "sse":
            from mcp.client.sse import sse_client

            server = sse_client(target.url)
        mode = "legacy" if target.family == "legacy" else "auto"
        async with Client(server, mode=mode) as client:
            await client.list_tools()

            async def call(tool: str, arguments: Mapping[str, Any]) -> str:
                result = await client.call_tool(tool, arguments)  # type: ignore[arg-type]  # read only
                block = result.content[0]
                assert isinstance(block, TextContent)
                return block.text

            yield Connection(call=call, revision=client.protocol_version)


class FastMcp:
    """`fastmcp.Client`, which the SDK's client is inside."""

    def version(self) -> str:
        from importlib.metadata import version

        return f"fastmcp {version('fastmcp')} Client"

    @asynccontextmanager
    async def connect(self, target: Target) -> AsyncIterator[Connection]:
        from fastmcp import Client
        from fastmcp.client.transports import SSETransport, StdioTransport
        from mcp_types import TextContent

        server: Any = target.url
        if target.kind == "stdio":
            command, *args = target.command
            server = StdioTransport(command, args, env=dict(target.env))
        elif target.kind == "sse":
            server = SSETransport(target.url)
        mode = "legacy" if target.family == "legacy" else "auto"
        async with Client(server, mode=mode) as client:
            await client.list_tools()

            async def call(tool: str, arguments: Mapping[str, Any]) -> str:
                result = await client.call_tool(tool, dict(arguments))
                block = result.content[0]
                assert isinstance(block, TextContent)
                return block.text

            yield Connection(call=call, revision=client.protocol_version or "")


class Floor:
    """A bare asyncio loop without any MCP library; see `bench.floor`."""

    def version(self) -> str:
        return "bare asyncio floor"

    @asynccontextmanager
    async def connect(self, target: Target) -> AsyncIterator[Connection]:
        from bench.floor import open_http, open_stdio
        from bench.floor_streams import open_sse, open_websocket

        ways = {"stdio": open_stdio, "http": open_http, "sse": open_sse, "websocket": open_websocket}
        async with ways[target.kind](target) as (calls, revision):
            yield Connection(call=calls.call, revision=revision)


CONTENDERS: Mapping[str, Contender] = {
    "trunkline": Trunkline(),
    "sdk": Sdk(),
    "fastmcp": FastMcp(),
    "floor": Floor(),
}


def entry(target: Target) -> dict[str, Any]:
    """Give the target as an entry of `mcp.json`."""
    if target.kind != "stdio":
        return {"type": target.kind, "url": target.url}
    command, *args = target.command
    return {"command": command, "args": args, "env": dict(target.env)}

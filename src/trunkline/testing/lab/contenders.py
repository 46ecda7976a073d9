"""The clients the lab knows: Trunkline, the official SDK's and fastmcp's.

Each is used as its own documentation shows, and gets every timeout it can be given. Nothing is caught that
an application would have to know of.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from trunkline.testing.lab.client import Patience

if TYPE_CHECKING:
    import fastmcp
    import mcp

    import trunkline

CONTENDERS: Mapping[str, str] = {
    "trunkline": f"{__name__}:Trunkline",
    "mcp": f"{__name__}:Sdk",
    "fastmcp": f"{__name__}:FastMcp",
}
"""Where the client of each name is."""

Servers = Mapping[str, Mapping[str, Any]]
_CHECKS = 1.0
"""Seconds within which Trunkline is to notice a frozen server; its default of 30 would make the lab slow."""


class Trunkline:
    """`trunkline.connect`."""

    name = "trunkline"

    def version(self) -> str:
        import trunkline

        return trunkline.__version__

    @asynccontextmanager
    async def connect(self, servers: Servers, patience: Patience) -> AsyncIterator[TrunklineSession]:
        import trunkline

        defaults = {"connect": patience.connect, "health_check_interval": _CHECKS}
        async with trunkline.connect({"mcpServers": servers}, policy={"defaults": defaults}) as trunk:
            yield TrunklineSession(trunk, patience.call)


class TrunklineSession:
    """A `Trunk`."""

    def __init__(self, trunk: trunkline.Trunk, timeout: float) -> None:
        self._trunk = trunk
        self._timeout = timeout

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        reply = await self._trunk.call(f"{server}.{tool}", arguments, timeout=self._timeout)
        if reply.is_error:
            raise RuntimeError(reply.text)
        return reply.text


class Sdk:
    """The official SDK's `Client`, one per server; a server that cannot be connected is left out."""

    name = "mcp"

    def version(self) -> str:
        from importlib.metadata import version

        import mcp  # noqa: F401 - what is installed and cannot be imported is missing too

        return version("mcp")

    @asynccontextmanager
    async def connect(self, servers: Servers, patience: Patience) -> AsyncIterator[SdkSession]:
        from mcp import Client, StdioServerParameters

        async with contextlib.AsyncExitStack() as stack:
            session = SdkSession(patience.call)
            for name, entry in servers.items():
                server = entry["url"] if "url" in entry else StdioServerParameters(**entry)
                client = Client(server, read_timeout_seconds=patience.connect)
                try:
                    session.clients[name] = await stack.enter_async_context(client)
                except Exception as error:  # boundary: whatever one server does, the others are wanted
                    if len(servers) == 1:
                        raise
                    session.missing[name] = error
            yield session


class SdkSession:
    """The clients that could be connected, by server."""

    def __init__(self, timeout: float) -> None:
        self.clients: dict[str, mcp.Client] = {}
        self.missing: dict[str, Exception] = {}
        self._timeout = timeout

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        if server in self.missing:
            raise self.missing[server]
        client = self.clients[server]
        result = await client.call_tool(tool, dict(arguments), read_timeout_seconds=self._timeout)
        return text_of(result)


class FastMcp:
    """`fastmcp.Client` of a whole configuration."""

    name = "fastmcp"

    def version(self) -> str:
        import fastmcp

        return fastmcp.__version__

    @asynccontextmanager
    async def connect(self, servers: Servers, patience: Patience) -> AsyncIterator[FastMcpSession]:
        from fastmcp import Client

        config = {"mcpServers": {name: dict(entry) for name, entry in servers.items()}}
        client: fastmcp.Client[Any] = Client(config, timeout=patience.connect, init_timeout=patience.connect)
        async with client:
            yield FastMcpSession(client, patience.call, prefixed=len(servers) > 1)


class FastMcpSession:
    """A connected client; with several servers it names tools `server_tool`."""

    def __init__(self, client: fastmcp.Client[Any], timeout: float, *, prefixed: bool) -> None:
        self._client = client
        self._timeout = timeout
        self._prefixed = prefixed

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        name = f"{server}_{tool}" if self._prefixed else tool
        return text_of(await self._client.call_tool(name, dict(arguments), timeout=self._timeout))


def text_of(result: Any) -> str:
    """Give the text of a result of the SDK or fastmcp; raises RuntimeError when it says it is an error."""
    text = "\n".join(getattr(block, "text", "") for block in result.content)
    if result.is_error:
        raise RuntimeError(text)
    structured = result.structured_content
    return text if structured is None else json.dumps(structured)

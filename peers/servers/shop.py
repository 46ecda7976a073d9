"""One small server, written for the official SDK of either major version and for fastmcp.

python shop.py sdk|fastmcp stdio|http|sse [PORT]
"""

from __future__ import annotations

import sys
from typing import Any


def make(library: str) -> Any:
    """Give an empty server of the library."""
    if library == "fastmcp":
        from fastmcp import FastMCP

        return FastMCP("shop")
    try:
        from mcp.server import MCPServer
    except ImportError:
        from mcp.server.fastmcp import FastMCP as MCPServer
    return MCPServer("shop")


def fill(server: Any) -> None:
    """Add the tools, resources and prompts."""

    @server.tool()
    def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def greet(who: str) -> str:
        """Greet somebody, in any alphabet."""
        return f"Hello, {who}"

    @server.tool()
    def describe(depth: int) -> dict[str, Any]:
        """Give a structured value."""
        return {"depth": depth, "parts": [{"n": n, "half": n / 2, "none": None} for n in range(depth)]}

    @server.tool()
    def fail(why: str) -> str:
        """Fail."""
        raise ValueError(why)

    @server.resource("shop://sign", mime_type="text/plain")
    def sign() -> str:
        """What hangs over the door."""
        return "Open\n\u2028 \U0001f600"

    @server.resource("shop://photo", mime_type="image/png")
    def photo() -> bytes:
        """The door itself."""
        return bytes(range(256)) * 16

    @server.resource("shop://shelf/{number}", mime_type="text/plain")
    def shelf(number: str) -> str:
        """One shelf."""
        return f"shelf {number}"

    @server.prompt()
    def order(thing: str, count: str = "1") -> str:
        """Order something."""
        return f"Please order {count} of {thing}."


def serve(server: Any, library: str, transport: str, port: int) -> None:
    """Run it until it is ended."""
    if transport == "stdio":
        server.run("stdio")
        return
    import uvicorn

    if library == "fastmcp":
        app = server.http_app(transport=transport)
    else:
        app = server.sse_app() if transport == "sse" else server.streamable_http_app()
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    chosen, way = sys.argv[1:3]
    shop = make(chosen)
    fill(shop)
    serve(shop, chosen, way, int(sys.argv[3]) if len(sys.argv) > 3 else 0)

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
    """Add the tools."""

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

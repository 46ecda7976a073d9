"""A small MCP server over stdio, written with the standard library alone: it runs jobs that take a while.

It speaks the oldest revision, 2024-11-05. Each request has a thread: a long job keeps nothing waiting.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

REVISION = "2024-11-05"
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602

TOOLS = [
    {
        "name": "run",
        "description": "Run a job that takes some seconds and reports its progress.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "seconds": {"type": "number", "minimum": 0},
                "steps": {"type": "integer", "minimum": 1},
            },
            "required": ["seconds", "steps"],
        },
    },
    {
        "name": "pid",
        "description": "Tell the process id of this server.",
        "inputSchema": {"type": "object", "properties": {}},
    },
]
_writing = threading.Lock()


class RefusedError(Exception):
    """The request is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def main() -> None:
    """Answer requests until the input ends."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" in message and "method" in message:
            threading.Thread(target=answer, args=(message,), daemon=True).start()


def answer(message: dict[str, Any]) -> None:
    """Answer one request."""
    try:
        outcome = {"result": perform(message["method"], message.get("params", {}))}
    except RefusedError as refused:
        outcome = {"error": {"code": refused.code, "message": str(refused)}}
    except (KeyError, TypeError) as mistake:
        outcome = {
            "error": {"code": INVALID_PARAMS, "message": f"a parameter is missing or wrong: {mistake}"}
        }
    send({"id": message["id"], **outcome})


def perform(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Give the result of one request."""
    match method:
        case "initialize":
            return {
                "protocolVersion": REVISION,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "jobs", "version": "1"},
            }
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            return {"content": [{"type": "text", "text": call_tool(params)}]}
        case "ping":
            return {}
    raise RefusedError(METHOD_NOT_FOUND, f"unknown method: {method}")


def call_tool(params: dict[str, Any]) -> str:
    """Run one tool and give its text."""
    arguments = params.get("arguments") or {}
    token = params.get("_meta", {}).get("progressToken")
    match params.get("name"):
        case "pid":
            return str(os.getpid())
        case "run":
            return run(arguments["seconds"], arguments["steps"], lambda step, of: report(token, step, of))
    raise RefusedError(INVALID_PARAMS, f"unknown tool: {params.get('name')}")


def run(seconds: float, steps: int, tell: Callable[[int, int], None]) -> str:
    """Take some seconds in equal steps, telling each one."""
    print(f"started a job of {seconds:g} s in {steps} steps", file=sys.stderr, flush=True)
    for step in range(1, steps + 1):
        time.sleep(seconds / steps)
        tell(step, steps)
    return f"{steps} steps done"


def report(token: object, step: int, steps: int) -> None:
    """Send progress, if the client asked for it."""
    if token is not None:
        params = {"progressToken": token, "progress": step, "total": steps}
        send({"method": "notifications/progress", "params": params})


def send(message: dict[str, Any]) -> None:
    """Write one message."""
    line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
    with _writing:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

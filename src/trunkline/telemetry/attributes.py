"""What a span and a measurement say of one call. Pure.

Source: OpenTelemetry semantic conventions for generative AI, docs/gen-ai/mcp.md (status: development).
Nothing here may come from arguments, results, error messages or headers: those may hold secrets.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.errors import ServerError

METHOD = "mcp.method.name"
OPERATION = "gen_ai.operation.name"
TOOL = "gen_ai.tool.name"
PROMPT = "gen_ai.prompt.name"
EXECUTE_TOOL = "execute_tool"
ARGUMENTS = "gen_ai.tool.call.arguments"
RESULT = "gen_ai.tool.call.result"
REQUEST_ID = "jsonrpc.request.id"
REVISION = "mcp.protocol.version"
ERROR_TYPE = "error.type"
STATUS_CODE = "rpc.response.status_code"

DURATION = "mcp.client.operation.duration"
DURATION_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""Boundaries of the histogram, in seconds, as the convention states them."""

_NETWORK = {"stdio": "pipe", "http": "tcp", "sse": "tcp", "ws": "tcp", "websocket": "tcp"}
_LONGEST_NAME = 256
_TARGETS = {"tools/call": TOOL, "prompts/get": PROMPT}
"""What names the target of a call, by its method. A URI may hold secrets and is left out."""

Attributes = dict[str, str | int]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where calls to one server go."""

    transport: str = ""
    """`stdio`, `http`, `sse`, `ws` or `memory`."""
    revision: str | None = None
    """Protocol revision in use, or last used."""
    address: str | None = None
    port: int | None = None


def span_name(call: Call) -> str:
    """Give `{method} {target}` for tools and prompts; a URI would make every span a name of its own."""
    return f"{call.method} {call.name[:_LONGEST_NAME]}" if call.method in _TARGETS else call.method


def call_attributes(call: Call, endpoint: Endpoint) -> Attributes:
    """Give what is known before the call is made; spans and measurements share it."""
    found: Attributes = {METHOD: call.method}
    if call.method == "tools/call":
        found[OPERATION] = EXECUTE_TOOL
    if (target := _TARGETS.get(call.method)) is not None:
        found[target] = call.name[:_LONGEST_NAME]
    if (network := _NETWORK.get(endpoint.transport)) is not None:
        found["network.transport"] = network
    if endpoint.transport in ("http", "sse"):
        found |= {"network.protocol.name": "http", "network.protocol.version": "1.1"}
    if endpoint.address is not None:
        found["server.address"] = endpoint.address
    if endpoint.port is not None:
        found["server.port"] = endpoint.port
    return found


def outcome_attributes(outcome: Reply | BaseException) -> Attributes:
    """Give what the call's end adds; empty when it succeeded.

    `error.type` is the JSON-RPC code of the server's error, `tool_error` for a reply that reports a
    failure of the tool, and else the class of the exception.
    """
    if isinstance(outcome, Reply):
        return {ERROR_TYPE: "tool_error"} if outcome.is_error else {}
    if isinstance(outcome, ServerError):
        return {ERROR_TYPE: str(outcome.rpc_code), STATUS_CODE: str(outcome.rpc_code)}
    return {ERROR_TYPE: type(outcome).__qualname__}


def status_text(outcome: Reply | BaseException) -> str:
    """Describe a failure in words of ours only: an error's message may quote the server."""
    if isinstance(outcome, Reply):
        return "tool_error"
    code: Any = getattr(outcome, "code", None)
    return code if isinstance(code, str) else type(outcome).__qualname__

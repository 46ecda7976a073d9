"""What Streamable HTTP asks of a 2026-07-28 request's headers, checked against its body. Pure.

Source: 2026-07-28 `basic/transports/streamable-http`, "Request Metadata" and "Server Validation".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from trunkline.testing.eras import HEADER_MISMATCH, META_VERSION
from trunkline.testing.script import RpcError, Tool

_NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    **dict.fromkeys(("tasks/get", "tasks/update", "tasks/cancel"), "taskId"),
}
_PREFIX, _SUFFIX = "=?base64?", "?="


def check_headers(
    headers: Mapping[str, str], method: str, params: Mapping[str, Any], tool: Tool | None
) -> None:
    """Compare the mirrored headers with the body.

    Args:
        tool: the tool called, whose schema may ask for more headers; None for anything else.

    Raises:
        RpcError: -32020, one is missing, malformed or different.
    """
    _check(headers, "MCP-Protocol-Version", params["_meta"][META_VERSION])
    _check(headers, "Mcp-Method", method)
    if method in _NAMED_BY:
        _check(headers, "Mcp-Name", params.get(_NAMED_BY[method]), encoded=True)
    for name, value in _mirrored(tool.schema, params.get("arguments") or {}) if tool else ():
        if value is not None or f"mcp-param-{name}".lower() in headers:
            _check(headers, f"Mcp-Param-{name}", value, encoded=True)


def decode_value(value: str) -> str:
    """Give the text of a header value, decoded where it carries the Base64 marker; raises ValueError."""
    if not (value.startswith(_PREFIX) and value.endswith(_SUFFIX)):
        return value
    return base64.b64decode(value[len(_PREFIX) : -len(_SUFFIX)], validate=True).decode()


def _check(headers: Mapping[str, str], name: str, expected: Any, *, encoded: bool = False) -> None:
    value = headers.get(name.lower())
    if value is None:
        raise RpcError(HEADER_MISMATCH, f"Header mismatch: required header {name} is missing")
    try:
        seen = decode_value(value) if encoded else value
    except (binascii.Error, ValueError):
        raise RpcError(HEADER_MISMATCH, f"Header mismatch: {name} is not valid Base64") from None
    if not _same(seen, expected):
        message = f"Header mismatch: {name} header value {seen!r} does not match body value {expected!r}"
        raise RpcError(HEADER_MISMATCH, message)


def _same(seen: str, expected: Any) -> bool:
    if isinstance(expected, bool):
        return seen == str(expected).lower()
    if isinstance(expected, int):
        try:
            return float(seen) == expected
        except ValueError:
            return False
    return bool(seen == expected)


def _mirrored(schema: Mapping[str, Any], arguments: Any) -> Iterator[tuple[str, Any]]:
    """Give the header name and the argument of each property marked with `x-mcp-header`."""
    properties = schema.get("properties")
    for key, property_schema in properties.items() if isinstance(properties, dict) else ():
        if not isinstance(property_schema, dict):
            continue
        value = arguments.get(key) if isinstance(arguments, Mapping) else None
        if isinstance(name := property_schema.get("x-mcp-header"), str):
            yield name, value
        yield from _mirrored(property_schema, value)

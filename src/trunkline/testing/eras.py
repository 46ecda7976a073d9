"""What each protocol revision knows, as data, and how a result looks in it.

Source: the schema of each revision, <https://modelcontextprotocol.io/specification>.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

Family = Literal["legacy", "modern"]
LEGACY = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions that open with an `initialize` handshake, oldest first."""
MODERN = ("2026-07-28",)
"""Revisions that carry version and capabilities in every request, oldest first."""
VERSIONS = LEGACY + MODERN

META_VERSION = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META_LOG_LEVEL = "io.modelcontextprotocol/logLevel"
META_SERVER = "io.modelcontextprotocol/serverInfo"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
LEGACY_RESOURCE_NOT_FOUND = -32002

LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

METHODS: Mapping[str, frozenset[Family]] = {
    "initialize": frozenset({"legacy"}),
    "ping": frozenset({"legacy"}),
    "logging/setLevel": frozenset({"legacy"}),
    "server/discover": frozenset({"modern"}),
    "tools/list": frozenset({"legacy", "modern"}),
    "tools/call": frozenset({"legacy", "modern"}),
    "resources/list": frozenset({"legacy", "modern"}),
    "resources/templates/list": frozenset({"legacy", "modern"}),
    "resources/read": frozenset({"legacy", "modern"}),
    "prompts/list": frozenset({"legacy", "modern"}),
    "prompts/get": frozenset({"legacy", "modern"}),
    "resources/subscribe": frozenset({"legacy"}),
    "resources/unsubscribe": frozenset({"legacy"}),
    "subscriptions/listen": frozenset({"modern"}),
    "completion/complete": frozenset({"legacy", "modern"}),
    "tasks/get": frozenset({"legacy", "modern"}),
    "tasks/cancel": frozenset({"legacy", "modern"}),
    "tasks/update": frozenset({"modern"}),
    "tasks/result": frozenset({"legacy"}),
}
"""The requests a fake answers, and in which family."""

_FIELD_SINCE = {
    "annotations": "2025-03-26",
    "title": "2025-06-18",
    "outputSchema": "2025-06-18",
    "execution": "2025-11-25",
}
_CACHEABLE = frozenset(
    {
        "server/discover",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "prompts/list",
    }
)


def family(version: str) -> Family:
    """Tell which family a revision belongs to; an unknown one counts by its date."""
    return "legacy" if version <= LEGACY[-1] else "modern"


def shape_definition(definition: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Drop the fields of a tool, resource or prompt that the revision does not know yet."""
    return {key: value for key, value in definition.items() if _FIELD_SINCE.get(key, "") <= version}


def shape_content(value: Any, version: str) -> dict[str, Any]:
    """Turn what a tool gave into a `tools/call` result.

    A string is one text block, a list is content blocks as they are, None is no content. Anything else is
    structured content, repeated as JSON text; revisions before 2025-06-18 get the text alone.
    """
    if isinstance(value, str):
        return {"content": [{"type": "text", "text": value}]}
    if isinstance(value, list):
        return {"content": value}
    if value is None:
        return {"content": []}
    result: dict[str, Any] = {"content": [{"type": "text", "text": json.dumps(value)}]}
    if version >= "2025-06-18":
        result["structuredContent"] = value
    return result


def shape_progress(version: str, progress: float, total: float | None, message: str | None) -> dict[str, Any]:
    """Give the params of a progress notification but its token."""
    params: dict[str, Any] = {"progress": progress}
    if total is not None:
        params["total"] = total
    if message is not None and version >= "2025-03-26":
        params["message"] = message
    return params


def complete(
    result: Mapping[str, Any],
    method: str,
    *,
    server: Mapping[str, Any],
    ttl_ms: int,
    cache_scope: str,
    result_type: str | None,
) -> dict[str, Any]:
    """Add what 2026-07-28 asks of every result; members the result already has stay."""
    meta = {META_SERVER: server, **result.get("_meta", {})}
    cache = {"ttlMs": ttl_ms, "cacheScope": cache_scope} if method in _CACHEABLE else {}
    kind = {} if result_type is None else {"resultType": result_type}
    return {**kind, **cache, **result, "_meta": meta}

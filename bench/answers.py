"""What the neutral servers answer, written from the specification without any MCP library.

A server speaks exactly one family: `legacy` (the 2025-11-25 handshake) or `modern` (2026-07-28, no
handshake), so a row measures the family it names and a client cannot end up in the other one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

from bench.tally import Tally

Family = Literal["legacy", "modern"]
Message = dict[str, Any]

REVISIONS: Mapping[Family, str] = {"legacy": "2025-11-25", "modern": "2026-07-28"}
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
_SERVER = {"name": "neutral", "version": "1"}
_PAGE = 500
_LINE = "The quick brown fox jumps over the lazy dog and counts to 0123456789 again.\n"


class Answers:
    """One server's answers and its tally.

    Args:
        family: the only family this server speaks.
        tally: counts every answered tool call, or None.
        tools: how many tools it lists; the first two are `echo` and `large`.
    """

    def __init__(self, family: Family, tally: Tally | None = None, tools: int = 2) -> None:
        self._family = family
        self._tally = tally
        self._modern = family == "modern"
        self._tools = [_ECHO, _LARGE, *(_described(number) for number in range(tools - 2))]

    def respond(self, message: Message) -> Message | None:
        """Give the response to one message, or None where none is due (notifications, responses)."""
        identifier = message.get("id")
        method = message.get("method")
        if identifier is None or method is None:
            return None
        params = message.get("params") or {}
        if self._modern and (problem := _modern_problem(params)):
            return _error(identifier, -32602, problem)
        if method == "tools/call":
            return self._call(identifier, params)
        result = self._describe(method, params)
        if result is None:
            return _error(identifier, -32601, f"no such method: {method}")
        return {"jsonrpc": "2.0", "id": identifier, "result": result}

    def _call(self, identifier: Any, params: Mapping[str, Any]) -> Message:
        name, arguments = params.get("name"), params.get("arguments") or {}
        if name == "echo":
            text = arguments["text"]
        elif name == "large":
            text = large_text(arguments["size"])
        else:
            return _error(identifier, -32602, f"no such tool: {name}")
        if self._tally is not None:
            self._tally.add(arguments["n"])
        result: Message = {"content": [{"type": "text", "text": text}]}
        if self._modern:
            result["resultType"] = "complete"
        return {"jsonrpc": "2.0", "id": identifier, "result": result}

    def _describe(self, method: str, params: Mapping[str, Any]) -> Message | None:
        if method == "tools/list":
            return self._page(params.get("cursor"))
        if not self._modern and method == "ping":
            return {}
        if not self._modern and method == "initialize":
            return {
                "protocolVersion": REVISIONS["legacy"],
                "capabilities": {"tools": {}},
                "serverInfo": _SERVER,
            }
        if self._modern and method == "server/discover":
            return {
                "resultType": "complete",
                "supportedVersions": [REVISIONS["modern"]],
                "capabilities": {"tools": {}},
                "_meta": {"io.modelcontextprotocol/serverInfo": _SERVER},
                **_CACHE,
            }
        return None

    def _page(self, cursor: str | None) -> Message:
        start = int(cursor or 0)
        page: Message = {"tools": self._tools[start : start + _PAGE]}
        if start + _PAGE < len(self._tools):
            page["nextCursor"] = str(start + _PAGE)
        return {"resultType": "complete", **page, **_CACHE} if self._modern else page

    def stamp_first_byte(self) -> None:
        """Tell the tally that a large result starts to be written now."""
        if self._tally is not None:
            self._tally.stamp(time.monotonic_ns())


def large_text(size: int) -> str:
    """Give `size` characters of lines, so that the JSON text holds escapes as real results do."""
    return (_LINE * (size // len(_LINE) + 1))[:size]


def _modern_problem(params: Mapping[str, Any]) -> str | None:
    meta = params.get("_meta") or {}
    if meta.get(VERSION_KEY) != REVISIONS["modern"]:
        return f"_meta lacks {VERSION_KEY} {REVISIONS['modern']}"
    return None if CAPABILITIES_KEY in meta else f"_meta lacks {CAPABILITIES_KEY}"


def _error(identifier: Any, code: int, text: str) -> Message:
    return {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": text}}


def _schema(name: str, kind: str) -> Message:
    properties = {"n": {"type": "integer"}, name: {"type": kind}}
    return {"type": "object", "properties": properties, "required": ["n", name]}


def _described(number: int) -> Message:
    verb = _VERBS[number % len(_VERBS)]
    noun = _NOUNS[number // len(_VERBS) % len(_NOUNS)]
    place = _PLACES[number // (len(_VERBS) * len(_NOUNS)) % len(_PLACES)]
    thing = noun.replace("_", " ")
    return {
        "name": f"{verb}_{noun}_{place}_{number}",
        "description": f"{verb.capitalize()} one {thing} in the {place} and report what changed.",
        "inputSchema": _schema(noun, "string"),
    }


_CACHE: Message = {"ttlMs": 3_600_000, "cacheScope": "public"}
_ECHO: Message = {
    "name": "echo",
    "description": "Give the text back.",
    "inputSchema": _schema("text", "string"),
}
_LARGE: Message = {
    "name": "large",
    "description": "Give that many characters.",
    "inputSchema": _schema("size", "integer"),
}
_VERBS = ("create", "read", "update", "delete", "list", "export", "archive", "share", "approve", "merge")
_NOUNS = (
    "invoice", "calendar_event", "pull_request", "customer", "ticket", "document", "shipment", "image",
    "branch", "payment", "report", "message", "contract", "recipe", "sensor", "dashboard", "backup",
    "certificate", "route", "playlist",
)  # fmt: skip
_PLACES = (
    "warehouse", "repository", "mailbox", "database", "workspace", "cluster", "library", "queue", "ledger",
    "archive", "storefront", "laboratory", "garage", "registry", "studio", "clinic", "harbor", "kitchen",
    "museum", "airport", "forest", "office", "theater", "market", "school",
)  # fmt: skip

"""What one server listed, read definition by definition: a bad one costs exactly itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.catalog.headers import find_header_arguments
from trunkline.core.tool import Tool
from trunkline.security.sanitize import sanitize_text

_MAX_SHOWN = 80


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of one server, as far as they could be read."""

    server: str
    """The configured name of the server."""
    tools: tuple[Tool, ...]
    complete: bool = True
    """False where pages are missing: a tool that is not here may exist all the same."""
    warnings: tuple[str, ...] = ()
    """One sentence for each definition, or part of one, that was left out."""


def parse_tool(server: str, raw: object) -> Tool:
    """Read one definition; only a name and an input schema for an object are needed.

    Optional parts of the wrong type count as absent. A schema without `type` is taken as it is, since
    arguments always are an object.

    Raises:
        ValueError: it is malformed; the message is the reason.
    """
    if not isinstance(raw, Mapping):
        raise ValueError("it is not an object")
    name = raw.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("it has no name")
    schema = _input_schema(raw)
    annotations = _object(raw, "annotations") or {}
    return Tool(
        name=name,
        server=server,
        public_name=f"{server}.{name}",
        title=_text(raw, "title") or _text(annotations, "title"),
        description=_text(raw, "description") or "",
        input_schema=schema,
        output_schema=_object(raw, "outputSchema"),
        annotations=annotations,
        raw=raw,
    )


def parse_tools(
    server: str, raw_tools: Iterable[object], *, transport: str
) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """Read a list of definitions, dropping each bad one with a warning.

    Of two tools with one name the first is kept. Over HTTP a tool with an invalid `x-mcp-header` annotation
    is dropped too (MCP 2026-07-28, streamable-http "Schema Extension"); elsewhere those are ignored.

    Args:
        transport: how the server is reached; `http` is Streamable HTTP.
    """
    tools: dict[str, Tool] = {}
    warnings: list[str] = []
    for position, raw in enumerate(raw_tools, 1):
        try:
            tool = parse_tool(server, raw)
            if tool.name in tools:
                raise ValueError("an earlier tool has the same name")
            if transport == "http":
                find_header_arguments(tool.input_schema)
        except ValueError as reason:
            place = f"tool {position}{_named(raw)}"
            warnings.append(f"server {_shown(server)}: dropped {place}: {_cut(str(reason))}")
        else:
            tools[tool.name] = tool
    return tuple(tools.values()), tuple(warnings)


def _input_schema(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    if raw.get("inputSchema") is None:
        raise ValueError("inputSchema is missing")
    schema = _object(raw, "inputSchema")
    if schema is None:
        raise ValueError("inputSchema is not an object")
    if schema.get("type", "object") != "object":
        raise ValueError(f"inputSchema has type {schema['type']!r}, not 'object'")
    return schema


def _object(raw: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else None


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return value if isinstance(value, str) and value else None


def _named(raw: object) -> str:
    name = raw.get("name") if isinstance(raw, Mapping) else None
    return f" {_shown(name)}" if isinstance(name, str) and name else ""


def _shown(name: str) -> str:
    return f"'{_cut(name)}'"


def _cut(text: str) -> str:
    shown = sanitize_text(text[: 2 * _MAX_SHOWN])
    return shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 1] + "…"

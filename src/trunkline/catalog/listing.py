"""What one server listed, read definition by definition: a bad one costs exactly itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trunkline.catalog.definition import Reading, finish, object_in, read_each, text_in
from trunkline.catalog.headers import find_header_arguments
from trunkline.core.prompt import Prompt
from trunkline.core.resource import Resource, Template
from trunkline.core.tool import Tool


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What one server lists, as far as it could be read."""

    server: str
    """The configured name of the server."""
    tools: tuple[Tool, ...] = ()
    resources: tuple[Resource, ...] = ()
    templates: tuple[Template, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    complete: bool = True
    """False where pages of the tools are missing: a tool that is not here may exist all the same."""
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
    annotations = object_in(raw, "annotations") or {}
    return Tool(
        name=name,
        server=server,
        public_name=f"{server}.{name}",
        title=text_in(raw, "title") or text_in(annotations, "title"),
        description=text_in(raw, "description") or "",
        input_schema=schema,
        output_schema=object_in(raw, "outputSchema"),
        annotations=annotations,
        raw=raw,
    )


def parse_tools(
    server: str, raw_tools: Iterable[object], *, transport: str
) -> tuple[tuple[Tool, ...], tuple[str, ...]]:
    """As `read_tools`, at once."""
    return finish(read_tools(server, raw_tools, transport=transport))


def read_tools(server: str, raw_tools: Iterable[object], *, transport: str) -> Reading[Tool]:
    """Read a list of definitions, dropping each bad one with a warning.

    Of two tools with one name the first is kept. Over HTTP a tool with an invalid `x-mcp-header` annotation
    is dropped too (MCP 2026-07-28, streamable-http "Schema Extension"); elsewhere those are ignored.

    Args:
        transport: how the server is reached; `http` is Streamable HTTP.
    """

    def parse(raw: object) -> Tool:
        tool = parse_tool(server, raw)
        if transport == "http":
            find_header_arguments(tool.input_schema)
        return tool

    return read_each(server, raw_tools, "tool", parse, lambda tool: tool.name)


def _input_schema(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    if raw.get("inputSchema") is None:
        raise ValueError("inputSchema is missing")
    schema = object_in(raw, "inputSchema")
    if schema is None:
        raise ValueError("inputSchema is not an object")
    if schema.get("type", "object") != "object":
        raise ValueError(f"inputSchema has type {schema['type']!r}, not 'object'")
    return schema

"""Arguments that a server wants mirrored into HTTP headers (`x-mcp-header`).

Source: MCP 2026-07-28, server/tools "x-mcp-header" and streamable-http "Custom Headers from Tool Parameters".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from trunkline.core.tool import Tool

HEADER_PREFIX = "Mcp-Param-"
_KEY = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PRIMITIVES = frozenset(("string", "integer", "boolean"))
_DATA = frozenset(("const", "default", "enum", "example", "examples"))
"""Keywords whose value is data, in which an equal key means nothing."""
_NAMED_SCHEMAS = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"))


class HeaderArgument(msgspec.Struct, frozen=True, kw_only=True):
    """One argument that travels in a header as well."""

    header: str
    """The whole header name, such as `Mcp-Param-Region`."""
    path: tuple[str, ...]
    """Where its value stands in the arguments, outermost key first."""
    type: str
    """`string`, `integer` or `boolean`."""


def header_arguments(tool: Tool) -> tuple[HeaderArgument, ...]:
    """Give the arguments of this tool that HTTP mirrors, in schema order.

    Raises:
        ValueError: an annotation breaks the rules; over HTTP such a tool must not be offered.
    """
    return find_header_arguments(tool.input_schema)


def find_header_arguments(schema: Mapping[str, Any]) -> tuple[HeaderArgument, ...]:
    """As `header_arguments`, for a bare input schema."""
    if not _mentions(schema):
        return ()
    found: dict[str, HeaderArgument] = {}
    for place in _annotations(schema):
        argument = _checked(place)
        if found.setdefault(argument.header.lower(), argument) is not argument:
            raise ValueError(f"{_KEY} {place.value!r} stands twice")
    return tuple(found.values())


class _Place(NamedTuple):
    value: object
    path: tuple[str, ...] | None
    """Keys of `properties` from the root, or None where another keyword lies between."""
    schema: Mapping[str, Any]


def _mentions(schema: Mapping[str, Any]) -> bool:
    """A quick look: nearly no schema has an annotation, and encoding is far cheaper than walking."""
    try:
        return _KEY.encode() in msgspec.json.encode(schema)
    except (TypeError, ValueError, RecursionError):
        return True


def _annotations(root: Mapping[str, Any]) -> Iterator[_Place]:
    pending: list[tuple[object, tuple[str, ...] | None]] = [(root, ())]
    while pending:
        node, path = pending.pop()
        if isinstance(node, list):
            pending.extend((item, None) for item in reversed(node))
        elif isinstance(node, Mapping):
            if _KEY in node:
                yield _Place(node[_KEY], path, node)
            pending.extend(reversed(list(_below(node, path))))


def _below(
    node: Mapping[str, Any], path: tuple[str, ...] | None
) -> Iterator[tuple[object, tuple[str, ...] | None]]:
    for keyword, value in node.items():
        if keyword == "properties" and isinstance(value, Mapping):
            yield from ((item, None if path is None else (*path, name)) for name, item in value.items())
        elif keyword in _NAMED_SCHEMAS and isinstance(value, Mapping):
            yield from ((item, None) for item in value.values())
        elif keyword not in _DATA:
            yield value, None


def _checked(place: _Place) -> HeaderArgument:
    name, path = place.value, place.path
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ValueError(f"{_KEY} {name!r} is not a header name")
    if not path:
        raise ValueError(f"{_KEY} {name!r} is not on a parameter reached by properties alone")
    kind = place.schema.get("type")
    if not isinstance(kind, str) or kind not in _PRIMITIVES:
        raise ValueError(f"{_KEY} {name!r} is on type {kind!r}, not string, integer or boolean")
    return HeaderArgument(header=HEADER_PREFIX + name, path=path, type=kind)

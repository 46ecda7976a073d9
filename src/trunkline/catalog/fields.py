"""The text of a tool that search reads, bounded because all of it is untrusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trunkline.core.tool import Tool

MAX_NAME = 256
MAX_DESCRIPTION = 2000
MAX_PARAMETERS = 3000
_MAX_LEVELS = 2


def search_texts(tool: Tool) -> tuple[str, str, str, str]:
    """Give name, server, description and parameter text, each cut at its own cap, in characters."""
    about = f"{tool.title} {tool.description}" if tool.title else tool.description
    parameters = parameter_text(tool.input_schema)
    return tool.name[:MAX_NAME], tool.server[:MAX_NAME], about[:MAX_DESCRIPTION], parameters


def parameter_text(schema: Mapping[str, Any]) -> str:
    """Give names, descriptions and textual enum values of the parameters, two levels deep."""
    parts: list[str] = []
    room = MAX_PARAMETERS
    for part in _texts(schema, _MAX_LEVELS):
        parts.append(part[:room])
        room -= len(part)
        if room <= 0:
            break
    return " ".join(parts)


def _texts(schema: Mapping[str, Any], levels: int) -> Iterator[str]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return
    for name, value in properties.items():
        yield str(name)
        if isinstance(value, Mapping):
            yield from _value_texts(value, levels)


def _value_texts(value: Mapping[str, Any], levels: int) -> Iterator[str]:
    if isinstance(text := value.get("description"), str):
        yield text
    items = value.get("items")
    for part in (value, items) if isinstance(items, Mapping) else (value,):
        if isinstance(choices := part.get("enum"), list):
            yield from (choice for choice in choices if isinstance(choice, str))
        if levels > 1:
            yield from _texts(part, levels - 1)

"""One way to read a list of any kind, and to read one that is remembered from an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from trunkline.catalog.listing import parse_tools
from trunkline.catalog.prompts import parse_prompts
from trunkline.catalog.resources import parse_resources, parse_templates
from trunkline.protocol.lists import Kind

Parsed = tuple[tuple[Any, ...], tuple[str, ...]]

_PARSERS: dict[Kind, Callable[..., Parsed]] = {
    "tools": parse_tools,
    "resources": parse_resources,
    "templates": parse_templates,
    "prompts": parse_prompts,
}


def parse_list(kind: Kind, server: str, items: Iterable[object], *, transport: str) -> Parsed:
    """Read the definitions of one list; each bad one is left out with a warning.

    Args:
        transport: how the server is reached; some rules are those of Streamable HTTP only.
    """
    options = {"transport": transport} if kind == "tools" else {}
    return _PARSERS[kind](server, items, **options)


def parse_stale(kind: Kind, server: str, items: Iterable[object], *, transport: str) -> tuple[Any, ...]:
    """Read what a server listed in an earlier run, marked as stale; what is bad in it is left out."""
    found, _ = parse_list(kind, server, items, transport=transport)
    return tuple(replace(one, stale=True) for one in found)

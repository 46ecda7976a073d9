"""Which reader makes definitions of what a server lists: read once, where they arrive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from trunkline.catalog.definition import Reading, finish
from trunkline.catalog.listing import read_tools
from trunkline.catalog.prompts import read_prompts
from trunkline.catalog.resources import read_resources, read_templates
from trunkline.protocol.lists import Kind


def read_list(server: str, transport: str, kind: Kind, items: Iterable[object]) -> Reading[Any]:
    """Read a list as one server gave it.

    Args:
        transport: how the server is reached.
    """
    match kind:
        case "tools":
            return read_tools(server, items, transport=transport)
        case "resources":
            return read_resources(server, items)
        case "templates":
            return read_templates(server, items)
        case "prompts":
            return read_prompts(server, items)


def read_stale(server: str, transport: str, kind: Kind, items: Iterable[object]) -> tuple[Any, ...]:
    """Read what a server listed in an earlier run, marked as stale; what is bad in it is left out."""
    found, _ = finish(read_list(server, transport, kind, items))
    return tuple(replace(one, stale=True) for one in found)

"""Arguments that a server wants in HTTP headers too (`x-mcp-header`), taken from each call.

Source: specification 2026-07-28, basic/transports/streamable-http, "Custom Headers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.pipeline.service import Service
from trunkline.protocol.headers import encode_argument
from trunkline.runtime.inventory import Inventory


def mirror_headers(inventory: Inventory, dispatch: Service) -> Service:
    """Give a service that adds the headers a call needs; a call that needs none passes as it is."""

    async def mirror(call: Call) -> Reply:
        wanted = inventory.mirrored(call.public_name)
        if not wanted:
            return await dispatch(call)
        found = ((argument.header, value_at(call.arguments, argument.path)) for argument in wanted)
        headers = {name: text for name, value in found if (text := encode_argument(value)) is not None}
        return await dispatch(msgspec.structs.replace(call, headers=headers))

    return mirror


def value_at(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Give the argument at a path if a header can carry it, else None."""
    value: Any = arguments
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str | int | bool) else None

"""Arguments that a server wants in HTTP headers too (`x-mcp-header`), taken from each call.

Source: specification 2026-07-28, basic/transports/streamable-http, "Custom Headers from Tool Parameters".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from trunkline.catalog.headers import HeaderArgument
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.errors import InvalidArgumentsError, ServerError
from trunkline.pipeline.service import Service
from trunkline.protocol.eras import HEADER_MISMATCH
from trunkline.protocol.headers import encode_argument
from trunkline.runtime.inventory import Inventory

_MOST_INTEGER = 2**53 - 1
"""The largest integer a mirrored argument may be: what reads the header may hold it as a double."""

Relist = Callable[[str], Awaitable[bool]]
"""Reads the tools of a server again; False when that failed."""


def mirror_headers(inventory: Inventory, dispatch: Service, relist: Relist) -> Service:
    """Give a service that adds the headers a call needs; a call that needs none passes as it is.

    A server that finds headers and body different has not executed the call: its tools are listed again,
    and if that changes what is mirrored, the call is made once more (same page, "Client Behavior").
    """

    async def mirror(call: Call) -> Reply:
        wanted = inventory.mirrored(call.public_name)
        try:
            return await dispatch(_with_headers(call, wanted))
        except ServerError as error:
            if error.rpc_code != HEADER_MISMATCH:
                raise
            await relist(call.server)
            renewed = inventory.mirrored(call.public_name)
            if renewed == wanted:
                raise
        return await dispatch(_with_headers(call, renewed))

    return mirror


def value_at(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Give the argument at a path if a header can carry it, else None."""
    value: Any = arguments
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str | int | bool) else None


def _with_headers(call: Call, wanted: Sequence[HeaderArgument]) -> Call:
    if not wanted:
        return call
    headers = {}
    for argument in wanted:
        value = value_at(call.arguments, argument.path)
        if type(value) is int and abs(value) > _MOST_INTEGER:
            raise _too_large(call, argument)
        if (text := encode_argument(value)) is not None:
            headers[argument.header] = text
    return msgspec.structs.replace(call, headers=headers)


def _too_large(call: Call, argument: HeaderArgument) -> InvalidArgumentsError:
    name = ".".join(argument.path)
    return InvalidArgumentsError(
        f"{name}: an integer that is mirrored into a header lies between -(2^53-1) and 2^53-1",
        tool=call.public_name,
        server=call.server,
        hint=f"Pass a smaller {name}, or ask the server's author to take it as a string.",
    )

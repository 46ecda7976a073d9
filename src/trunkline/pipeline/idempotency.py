"""A key that is the same for all tries of one call, in the argument that a tool takes one in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.pipeline.middleware import Function
from trunkline.pipeline.service import Service


def keyed(argument: str, draw_key: Callable[[], str]) -> Function:
    """Give the middleware that fills in a key, where the caller gave none, or an empty one.

    Args:
        draw_key: gives a text that no other call has.
    """

    async def fill(call: Call, inner: Service) -> Reply:
        given: object = call.arguments
        # What is no object is refused further on, where arguments are checked.
        if not isinstance(given, Mapping) or given.get(argument) not in (None, ""):
            return await inner(call)
        return await inner(replace(call, arguments={**given, argument: draw_key()}))

    return fill

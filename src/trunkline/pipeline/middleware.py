"""Functions of the application's own around calls: `async def mw(call, next): return await next(call)`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Literal

import msgspec

from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.pipeline.service import Service

Point = Literal["first", "call", "attempt", "send"]
"""Where it stands. `first`: right inside the deadline; sees each call as it was asked. `call`: sees each
call whose arguments are valid, before anything is answered from memory. `attempt`: sees each try, before
an endpoint is chosen. `send`: sees what is about to be sent, and nothing else."""

Function = Callable[[Call, Service], Awaitable[Reply]]


class Middleware(msgspec.Struct, frozen=True, kw_only=True):
    """One function, the point at which it stands, and the tools it is for."""

    function: Function
    """Takes a call and the service within; may change the call (`msgspec.structs.replace`), the reply,
    call the service never, once or again, or raise a CallError. It runs in the caller's task."""
    at: Point = "call"
    tools: tuple[str, ...] = ("*",)
    """Names or globs of `server.tool`; of what is no tool, such as reading a resource, of the server."""

    def is_for(self, public_name: str) -> bool:
        """Whether calls of this name pass it."""
        return any(fnmatchcase(public_name, pattern) for pattern in self.tools)


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """The layer that holds the functions of one point; the first is the outermost."""

    name: Point
    functions: tuple[Function, ...]

    def wrap(self, inner: Service) -> Service:
        """Wrap `inner` in each function."""
        for function in reversed(self.functions):
            inner = partial(_enter, function, inner)
        return inner


async def _enter(function: Function, inner: Service, call: Call) -> Reply:
    reply = await function(call, inner)
    if reply is None:
        name = getattr(function, "__qualname__", repr(function))  # type: ignore[unreachable]  # forgotten
        raise TypeError(f"the middleware {name} gave no reply; end it with `return await next(call)`")
    return reply


def own_layers(middleware: Sequence[Middleware], public_name: str) -> tuple[Own, ...]:
    """Give one layer for each point at which something stands for this name."""
    points: dict[Point, list[Function]] = {}
    for one in middleware:
        if one.is_for(public_name):
            points.setdefault(one.at, []).append(one.function)
    return tuple(Own(name=point, functions=tuple(functions)) for point, functions in points.items())

"""Calls that are made in place of others: of another tool, through its whole stack, within the same time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from trunkline.core.call import Call, Flight
from trunkline.core.fallback import OtherTool
from trunkline.core.reply import Reply
from trunkline.errors import NotFoundError

if TYPE_CHECKING:
    from trunkline.runtime.routes import Route


class Aim(Protocol):
    """Where a call goes."""

    @property
    def server(self) -> str: ...
    @property
    def tool(self) -> str: ...
    @property
    def public_name(self) -> str: ...
    @property
    def idle(self) -> float: ...


Find = Callable[[str, float], Awaitable["Route"]]
"""Gives the way to a name, within so many seconds."""


class Substitutes:
    """Makes the calls that are asked for in place of one that failed.

    Args:
        servers: gives the names of the servers there are.
    """

    def __init__(self, find: Find, servers: Callable[[], Collection[str]]) -> None:
        self._find = find
        self._servers = servers
        self._numbers = itertools.count(1)

    async def ask(self, one: OtherTool, call: Call) -> Reply:
        """Call another tool with what this call was given.

        Raises:
            NotFoundError: there is no such tool, or it is the one that failed.
            CallError: it failed too, or this principal may not use it.
        """
        name = f"{one.name}.{call.name}" if one.name in self._servers() else one.name
        now = asyncio.get_running_loop().time()
        route = await self._find(name, max(0.0, call.deadline - now))
        if route.public_name == call.public_name:
            raise NotFoundError("a tool cannot stand in for itself", tool=call.public_name)
        arguments = renamed(call.arguments, one.rename)
        return await route.service(make_child(call, route, next(self._numbers), arguments))


def make_child(
    call: Call, route: Aim, number: int, arguments: Mapping[str, Any], *, substitute: bool = True
) -> Call:
    """Make a call of another tool for the caller of this one: same principal, same deadline.

    Args:
        number: tells it from other calls made in place of this one.
        substitute: nothing is to be made in its place if it fails.
    """
    flight = Flight(asyncio.get_running_loop().time(), call.flight.on_progress)
    flight.on_log, flight.context = call.flight.on_log, call.flight.context
    return Call(
        id=f"{call.id}.{number}",
        server=route.server,
        name=route.tool,
        public_name=route.public_name,
        arguments=arguments,
        principal=call.principal,
        deadline=call.deadline,
        idle=route.idle,
        flight=flight,
        log_level=call.log_level,
        substitute=substitute,
        trace=call.trace,
    )


def renamed(arguments: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """Give arguments under the names they have elsewhere."""
    if not names:
        return arguments
    return {names.get(name, name): value for name, value in arguments.items()}

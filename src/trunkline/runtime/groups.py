"""Groups: equal tools of several servers under one name; each call goes to the one that routing puts first.

Each try is a call of that tool, with all that policy says of it: who may not use one of them is given
another, and where none may be used the refusal is told.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from trunkline.connection.connection import Connection
from trunkline.core.call import Call, Plan
from trunkline.core.ewma import PeakEwma
from trunkline.core.group import GroupPolicy, GroupTool
from trunkline.core.health import Health
from trunkline.core.reply import Reply
from trunkline.core.routing import EjectionSettings
from trunkline.errors import CallError
from trunkline.pipeline.route import planner
from trunkline.pipeline.strategies import Draw
from trunkline.supervision.ejection import Ejection
from trunkline.supervision.features import Features
from trunkline.supervision.fleet import Server
from trunkline.supervision.outcome import speaks_against

_RANKS = {"ready": 0, "degraded": 2}
_EJECTED = 3


class Caller(Protocol):
    """What a group asks of the runtime."""

    def server_of(self, tool: str) -> Server | None:
        """Give the server of a public name, or None."""
        ...

    def child(self, tool: str, call: Call) -> Call:
        """Make the call of a tool that stands for this call of the group.

        Raises:
            NotFoundError: there is no such server.
        """
        ...

    async def send(self, child: Call, *, last: bool) -> Reply:
        """Make it; if it is the last way that is left, with the retries that policy allows."""
        ...

    def moves_on(self, child: Call, error: CallError) -> bool:
        """Whether the call may be made elsewhere after this failure."""
        ...


class Group:
    """One group; a `Service` whose calls name it.

    Args:
        draw: gives a number from 0 to 1, drawn anew each time.
    """

    def __init__(self, settings: GroupPolicy, caller: Caller, draw: Draw) -> None:
        self._caller = caller
        ejections: list[Ejection] = []
        self._tools = [
            _Tool(one, place, ejections, caller.server_of) for place, one in enumerate(settings.tools)
        ]
        ejections += [one.ejection for one in self._tools]
        self._plan_of: Callable[[Call], Plan] = planner(settings, draw, itertools.count())

    async def call(self, call: Call) -> Reply:
        """Make a call with the tool that comes first, and with the next where that is without harm.

        Raises:
            CallError: the first failure, where none of them could be used.
        """
        order = self._plan_of(call)([one.health() for one in self._tools])
        failure: CallError | None = None
        for left, at in zip(range(len(order) - 1, -1, -1), order, strict=True):
            try:
                reply = await self._try(self._tools[at], call, last=not left)
                return reply if failure is None else _told_whole(reply, call)
            except _MoveOnError as moved:
                failure = failure or moved.error
        if failure is None:
            raise AssertionError("a plan names a tool or raises")
        raise failure

    async def _try(self, tool: _Tool, call: Call, *, last: bool) -> Reply:
        child: Call | None = None
        try:
            child = self._caller.child(tool.settings.tool, call)
            return await tool.measured(self._caller, child, last=last)
        except CallError as error:
            if child is None or self._caller.moves_on(child, error):
                raise _MoveOnError(error) from error
            raise
        finally:
            if child is not None:
                call.flight.attempts += child.flight.attempts
                call.flight.delivery = child.flight.known


def _told_whole(reply: Reply, call: Call) -> Reply:
    """Tell of all tries, not of the last tool alone."""
    elapsed = asyncio.get_running_loop().time() - call.flight.started
    return replace(reply, attempts=call.flight.attempts, elapsed=elapsed)


class _MoveOnError(Exception):
    """A failure after which the next tool may be tried."""

    def __init__(self, error: CallError) -> None:
        super().__init__(error)
        self.error = error


class _Tool:
    """One tool of a group, and what is known of how it does."""

    def __init__(
        self,
        settings: GroupTool,
        place: int,
        ejections: list[Ejection],
        server_of: Callable[[str], Server | None],
    ) -> None:
        self.settings = settings
        self.ejection = Ejection(EjectionSettings(), ejections)
        self._server_of = server_of
        self._place = place
        self._latency = PeakEwma()
        self._features = Features()
        self._load = 0

    def health(self) -> Health:
        """Give what a strategy chooses by."""
        settings, now = self.settings, asyncio.get_running_loop().time()
        server = self._server_of(settings.tool)
        live = None if server is None else server.live
        agreed = None if live is None else live.agreed
        return Health(
            name=settings.tool,
            place=self._place,
            rank=self._rank(server, live, now),
            load=self._load,
            weight=settings.weight,
            latency=self._latency.read(now, load=self._load),
            region=settings.region,
            tags=settings.tags,
            features=self._features.read(agreed),
            era="" if agreed is None else agreed.era.revision,
            version="" if agreed is None else str(agreed.server_info.get("version", "")),
        )

    async def measured(self, caller: Caller, child: Call, *, last: bool) -> Reply:
        """Make the call, and learn from how it ends."""
        time = asyncio.get_running_loop().time
        begun = time()
        self.ejection.take(begun)
        if not self._load:
            self._latency.silent_since = begun
        self._load += 1
        try:
            reply = await caller.send(child, last=last)
        except BaseException as error:  # boundary: any end may tell something of the tool
            self._latency.fail(time() - begun, time())
            if speaks_against(error, child, time()):
                self.ejection.fail(time())
            raise
        finally:
            self._load -= 1
        self._latency.add(time() - begun, time())
        self.ejection.succeed(time())
        return reply

    def _rank(self, server: Server | None, live: Connection | None, now: float) -> int | None:
        """Say how well it is; one that sleeps is well, as far as anybody knows."""
        if server is None:
            return None
        if self.ejection.is_out(now):
            return _EJECTED
        if live is None:
            return 0 if server.asleep else None
        return _RANKS.get(server.state)

"""Lease: one connection of one server for one holder alone, with the calling half of the front door."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Self, cast

from trunkline.config.policy import Policy
from trunkline.core.call import Call, Flight
from trunkline.core.principal import Principal
from trunkline.core.reply import Reply
from trunkline.core.status import ServerStatus
from trunkline.errors import CallError, DeadlineExceededError
from trunkline.runtime.batching import Batching
from trunkline.runtime.calls import Calls
from trunkline.runtime.detaching import Detaching
from trunkline.runtime.handle import Handles
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.layering import Layering
from trunkline.runtime.requests import Requests
from trunkline.runtime.routes import Routes
from trunkline.runtime.tool_lists import no_server
from trunkline.supervision.fleet import Fleet, Server
from trunkline.supervision.hold import Hold
from trunkline.supervision.pool import Pool


class Leasing:
    """What `Trunk` does with leases; it sets the attributes below when it is entered."""

    _loop: asyncio.AbstractEventLoop
    _fleet: Fleet
    _inventory: Inventory
    _policy: Policy
    _handles: Handles
    _layering: Layering
    _call_ids: Iterator[str]
    _principal: Principal
    _acting: ContextVar[Principal]

    def lease(self, server: str, *, timeout: float | None = None) -> Lease:
        """Keep one connection for yourself: `async with trunk.lease("browser") as one: await one.call(...)`.

        All calls of `one` go to that connection, and those of nobody else do until the block ends. Entering
        waits until a connection is free and calls in flight on it have ended; where the server may have more
        connections (`pool`), one more is opened. Names mean tools of this server only: `click` is
        `browser.click`. When the connection is lost, or the session on it, `LeaseLostError` is raised by each
        further call: no new connection takes the place of what the server held.

        Args:
            timeout: seconds to wait for the connection; without it the policy's `timeout` (600).

        Raises:
            NotFoundError: there is no such server.
            DeadlineExceededError: no connection became free in time.
            UnavailableError: the server cannot be connected.
        """
        return Lease(self, server, timeout)


class Lease(Calls, Batching, Requests, Detaching):
    """One connection for one holder, between entering and leaving `async with`."""

    def __init__(self, owner: Leasing, server: str, timeout: float | None) -> None:
        self.server = server
        self._owner = owner
        self._timeout = timeout
        self._hold: Hold | None = None

    async def __aenter__(self) -> Self:
        if self._hold is not None:
            raise RuntimeError("a lease can be entered once; call `lease` again for another")
        owner = self._owner
        if self.server not in owner._fleet:
            raise no_server(self.server, owner._fleet)
        # A narrowed view of a fleet knows its servers; who shares them is the fleet's to know.
        pool, self._hold = await self._take()
        hold = self._hold
        self._loop, self._handles, self._call_ids = owner._loop, owner._handles, owner._call_ids
        self._principal, self._acting = owner._principal, owner._acting
        self._fleet = cast(Fleet, _Held(owner._fleet, pool, hold))
        self._inventory = owner._inventory.narrow(self._fleet)
        self._routes = Routes(
            self._fleet,
            self._inventory,
            owner._policy,
            _settled,
            owner._layering,
            owner._handles.see_off,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._hold is not None:
            self._hold.end()

    @property
    def lost(self) -> bool:
        """Whether the connection, or its session, is known to be gone."""
        return self._hold is not None and self._hold.lost

    async def _take(self) -> tuple[Pool, Hold]:
        allowed = self._timeout
        if allowed is None:
            allowed = self._owner._policy.for_server(self.server).timeout
        flight = Flight(self._owner._loop.time())
        try:
            async with asyncio.timeout(allowed):
                return await self._owner._fleet.hold(self.server, flight)
        except TimeoutError:
            raise DeadlineExceededError(
                f"no connection to lease within {allowed:g} s ({flight.phase})",
                code="lease_timeout",
                server=self.server,
                retryable=True,
                hint=f"Allow more time, or more connections: pool = {{ max = ... }} of {self.server}.",
            ) from None
        except CallError as error:
            error.server = error.server or self.server
            raise


class _Held:
    """What the runtime asks of a `Fleet`, answered for the one server whose connection is held."""

    def __init__(self, fleet: Fleet, pool: Pool, hold: Hold) -> None:
        self._fleet = fleet
        self._pool = pool
        self._hold = hold
        self.servers = (pool.settings.name,)

    def __iter__(self) -> Iterator[tuple[str, Server]]:
        return iter([(self.servers[0], self._pool)])

    def __contains__(self, server: str) -> bool:
        return server in self.servers

    @property
    def generation(self) -> int:
        return self._fleet.generation

    def get(self, server: str) -> Server | None:
        return self._pool if server in self.servers else None

    def status(self) -> dict[str, ServerStatus]:
        return {self.servers[0]: self._pool.status()}

    async def connect(self, server: str, flight: Flight) -> Server:
        del server
        await self._pool.connect(flight)
        return self._pool

    async def call(self, call: Call) -> Reply:
        return await self._fleet.call_held(self._hold, call)


async def _settled() -> None:
    """Nothing need be waited for: the server was connected for the lease."""

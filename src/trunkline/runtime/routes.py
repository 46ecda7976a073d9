"""From what a caller wrote to where the call goes: server, tool, time it has, and its pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from trunkline.catalog.names import split_name
from trunkline.config.policy import Policy
from trunkline.errors import DeadlineExceededError, NotFoundError
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.fallback import Fallback
from trunkline.pipeline.service import Service, stack
from trunkline.runtime.finding import Finding
from trunkline.runtime.grouping import Grouping
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.layering import Layering
from trunkline.runtime.stacks import Stacks
from trunkline.runtime.substitutes import Substitutes
from trunkline.runtime.tasks import SeeOff
from trunkline.runtime.tool_lists import SEPARATOR, no_server
from trunkline.supervision.fleet import Fleet

_MOST_REMEMBERED = 4096


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where a selector leads."""

    server: str
    tool: str
    public_name: str
    timeout: float
    """Total seconds of a call that names none."""
    idle: float
    service: Service
    """The pipeline, with what calls of this tool need and nothing else."""


class Routes:
    """Finds routes and remembers them, since calls repeat."""

    def __init__(
        self,
        fleet: Fleet,
        inventory: Inventory,
        policy: Policy,
        settled: Callable[[], Awaitable[None]],
        layering: Layering,
        see_off: SeeOff,
    ) -> None:
        self._fleet = fleet
        self._inventory = inventory
        self._policy = policy
        self._settled = settled
        self._remembered: dict[str, Route] = {}
        substitutes = Substitutes(self.look, lambda: fleet.servers)
        self._falling = Fallback(ask=substitutes.ask, events=layering.events)
        self.stacks = Stacks(fleet, inventory, policy, layering, see_off, substitutes.ask)
        self.grouping = Grouping(fleet, policy, self.stacks, self._make, layering.draw)
        self.finding = Finding(fleet, inventory, policy, settled)
        self.recall = self._remembered.get

    def forget(self) -> None:
        """The servers, the policy or the middleware have changed."""
        self.stacks.forget()
        self._remembered.clear()

    def adopt(self, policy: Policy) -> None:
        """Follow another policy from the next call on."""
        self._policy = policy
        self.finding.adopt(policy)
        self.stacks.adopt(policy)
        self.grouping.adopt(policy)
        self.forget()

    async def look(self, selector: str, timeout: float | None) -> Route:  # noqa: ASYNC109 - see `Trunk.call`
        """Give what is remembered of a name, else find it; raises as `find`."""
        return self._remembered.get(selector) or await self.find(selector, timeout)

    async def find(self, selector: str, timeout: float | None) -> Route:  # noqa: ASYNC109 - see `Trunk.call`
        """Resolve a public name at once, and a bare tool name when every server is ready or failed.

        Raises:
            NotFoundError: nothing has this name; `candidates` holds near ones.
            AmbiguousNameError: several servers have a tool of this name.
            DeadlineExceededError: some server was still connecting when the time was over.
        """
        pair = split_name(selector, self._fleet.servers, separators=SEPARATOR)
        if pair is None and (group := self.grouping.find(selector)) is not None:
            return self._keep(selector, self._of_group(selector, group))
        if pair is None:
            # What a bare name means may change with any list, so it is not remembered.
            await self.settle(selector, timeout)
            # What only a server that is down is remembered to have leads there, to the reason.
            tool = self._inventory.shown().resolve(selector, separators=SEPARATOR)
            return self._make(tool.server, tool.name)
        return self._keep(selector, self._make(*pair))

    def falling(self, route: Route) -> Service:
        """Give the pipeline of a route for callers who say what is to be tried if it fails."""
        if route.server:
            return self.stacks.falling(route.server, route.tool)
        return stack([Deadline(), self._falling], route.service)

    def server(self, server: str) -> Route:
        """Give the way to a server for anything that is no tool.

        Raises:
            NotFoundError: there is no such server.
        """
        if server not in self._fleet:
            raise no_server(server, self._fleet)
        rules = self._policy.for_server(server)
        return Route(
            server=server,
            tool="",
            public_name=server,
            timeout=rules.timeout,
            idle=rules.idle,
            service=self.stacks.of_server(server),
        )

    def batch_size(self, server: str) -> int:
        """Give how many calls of a server may leave in one message."""
        return self._policy.for_server(server).batch.size

    def own_tool(self, server: str, tool: str) -> str:
        """Give the public name of a tool of this very server.

        Raises:
            NotFoundError: there is no such server, or the public name leads to another one.
        """
        if server not in self._fleet:
            raise no_server(server, self._fleet)
        public_name = f"{server}.{tool}"
        pair = split_name(public_name, self._fleet.servers, separators=SEPARATOR)
        if pair is not None and pair[0] != server:
            raise NotFoundError(
                f"the public name of this tool belongs to the server {pair[0]!r}",
                server=server,
                tool=public_name,
                hint="Rename one of the two servers.",
            )
        return public_name

    def task(self, server: str, tool: str) -> Route:
        """Give the way to a task of a tool, which need not be listed, nor known: "" is a tool too.

        Raises:
            NotFoundError: there is no such server.
        """
        if server not in self._fleet:
            raise no_server(server, self._fleet)
        return self._make(server, tool)

    async def settle(self, selector: str, timeout: float | None, server: str | None = None) -> None:  # noqa: ASYNC109
        """Wait until what a name means can be known: every server, or the one given, is ready or failed.

        Raises:
            DeadlineExceededError: some server was still connecting when the time was over.
        """
        allowed = self._policy.for_server("").timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(allowed):
                await (self._settled() if server is None else self._fleet.settled(server))
        except TimeoutError:
            late = [name for name, status in self._fleet.status().items() if status.state == "connecting"]
            raise DeadlineExceededError(
                f"which server has this tool is not known yet: still connecting: {', '.join(late)}",
                tool=selector,
                retryable=True,
                hint="Use the public name `server.tool`: it waits for its own server only.",
            ) from None

    def _keep(self, selector: str, route: Route) -> Route:
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[selector] = route
        return route

    def _of_group(self, name: str, service: Service) -> Route:
        rules = self._policy.for_server("")
        return Route(
            server="", tool=name, public_name=name, timeout=rules.timeout, idle=rules.idle, service=service
        )

    def _make(self, server: str, tool: str) -> Route:
        rules = self._policy.for_tool(server, tool)
        return Route(
            server=server,
            tool=tool,
            public_name=f"{server}.{tool}" if tool else server,
            timeout=rules.timeout,
            idle=rules.idle,
            service=self.stacks.of_tool(server, tool),
        )

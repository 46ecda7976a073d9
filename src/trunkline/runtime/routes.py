"""From what a caller wrote to where the call goes: server, tool, time it has, and its pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from trunkline.catalog.names import resolve, split_name
from trunkline.config.policy import Policy
from trunkline.core.call import Call
from trunkline.core.tool import Tool
from trunkline.errors import DeadlineExceededError, NotFoundError
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.observe import Observe
from trunkline.pipeline.service import Layer, Service, stack
from trunkline.pipeline.validate import Validate
from trunkline.runtime.finding import Finding
from trunkline.runtime.interpret import Interpreter
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.mirror import mirror_headers
from trunkline.runtime.tasks import SeeOff, Tasks
from trunkline.supervision.fleet import Fleet

_MOST_REMEMBERED = 4096
_SEPARATOR = "."


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
        observe: Observe,
        see_off: SeeOff,
    ) -> None:
        self._fleet = fleet
        self._inventory = inventory
        self._policy = policy
        self._settled = settled
        self._observe = observe
        self._tasks = Tasks(fleet, inventory, see_off)
        self._remembered: dict[str, Route] = {}
        self._services: dict[tuple[bool, bool], Service] = {}
        self._other = stack([observe, Deadline()], Interpreter(fleet, inventory).dispatch)
        self.finding = Finding(fleet, inventory, policy, settled)
        self.recall = self._remembered.get

    def forget(self) -> None:
        """The set of servers has changed."""
        self._remembered.clear()

    def adopt(self, policy: Policy) -> None:
        """Follow another policy from the next call on."""
        self._policy = policy
        self.finding.adopt(policy)
        self.forget()

    async def find(self, selector: str, timeout: float | None) -> Route:  # noqa: ASYNC109 - see `Trunk.call`
        """Resolve a public name at once, and a bare tool name when every server is ready or failed.

        Raises:
            NotFoundError: nothing has this name; `candidates` holds near ones.
            AmbiguousNameError: several servers have a tool of this name.
            DeadlineExceededError: some server was still connecting when the time was over.
        """
        pair = split_name(selector, self._fleet.servers, separators=_SEPARATOR)
        if pair is None:
            # What a bare name means may change with any list, so it is not remembered.
            await self.settle(selector, timeout)
            # What only a server that is down is remembered to have leads there, to the reason.
            tool = self._inventory.shown().resolve(selector, separators=_SEPARATOR)
            return self._make(tool.server, tool.name)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        route = self._remembered[selector] = self._make(*pair)
        return route

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
            service=self._other,
        )

    def own_tool(self, server: str, tool: str) -> str:
        """Give the public name of a tool of this very server.

        Raises:
            NotFoundError: there is no such server, or the public name leads to another one.
        """
        if server not in self._fleet:
            raise no_server(server, self._fleet)
        public_name = f"{server}.{tool}"
        pair = split_name(public_name, self._fleet.servers, separators=_SEPARATOR)
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

    def _make(self, server: str, tool: str) -> Route:
        rules = self._policy.for_tool(server, tool)
        supervisor = self._fleet.get(server)
        mirror = supervisor is not None and supervisor.settings.transport == "http"
        return Route(
            server=server,
            tool=tool,
            public_name=f"{server}.{tool}" if tool else server,
            timeout=rules.timeout,
            idle=rules.idle,
            service=self._service(validate=rules.validate, mirror=mirror),
        )

    def _service(self, *, validate: bool, mirror: bool) -> Service:
        service = self._services.get((validate, mirror))
        if service is None:
            layers: list[Layer] = [self._observe, Deadline()]
            if validate:
                layers.append(Validate(known=self._inventory.tool, find=self._find_tool))
            call = self._fleet.call
            dispatch = mirror_headers(self._inventory, call, self._relist) if mirror else call
            service = self._services[validate, mirror] = stack(layers, self._tasks.follow(dispatch))
        return service

    async def _relist(self, server: str) -> bool:
        supervisor = self._fleet.get(server)
        return supervisor is not None and await supervisor.lists.refresh("tools")

    async def _find_tool(self, call: Call) -> Tool | None:
        """Wait for the server's list; one that lacks the tool is read once more before that counts."""
        if call.server not in self._fleet:
            raise no_server(call.server, self._fleet)
        supervisor = await self._fleet.connect(call.server, call.flight)
        if (tool := self._inventory.tool(call.public_name)) is not None:
            return tool
        refreshed = await supervisor.lists.refresh("tools")
        tool = self._inventory.tool(call.public_name)
        listed = supervisor.lists.tools
        if tool is not None or not refreshed or listed is None or listed.warnings:
            return tool
        return resolve(
            call.public_name, self._fleet.servers, self._inventory.catalog(), separators=_SEPARATOR
        )


def no_server(server: str, fleet: Fleet) -> NotFoundError:
    """Give the error for a name that no configured server has."""
    configured = ", ".join(fleet.servers) or "none"
    return NotFoundError(
        f"there is no server {server!r}",
        server=server,
        candidates=fleet.servers,
        hint=f"Configured are: {configured}.",
    )

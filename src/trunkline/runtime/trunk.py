"""Trunk: every call, list and question of an application enters here."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.names import resolve
from trunkline.catalog.search import Match
from trunkline.config.entry import BadEntry
from trunkline.config.loading import Config, load
from trunkline.core.call import Call, Flight
from trunkline.core.handlers import Handlers
from trunkline.core.principal import LOCAL, Principal
from trunkline.core.reply import Reply
from trunkline.core.status import ServerStatus
from trunkline.core.tool import Tool
from trunkline.errors import (
    ConfigError,
    DeadlineExceededError,
    NotFoundError,
    TrunklineError,
    UnavailableError,
)
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.observe import Observe
from trunkline.pipeline.service import Layer, Service, stack
from trunkline.pipeline.validate import Validate
from trunkline.runtime.assembly import assemble, client_identity
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.mirror import mirror_headers
from trunkline.runtime.names import Names
from trunkline.runtime.progress import ProgressHandler, progress_sink
from trunkline.supervision.fleet import Fleet
from trunkline.supervision.supervisor import Supervisor


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where a selector leads, and the time its calls have."""

    server: str
    tool: str
    timeout: float
    idle: float
    service: Service


class Trunk:
    """Many servers behind one front door; made by `connect`, used as an async context manager.

    Entering returns at once: servers connect in the background, and a call waits for its own server
    only. Every method may be called from any task of the loop it was entered in.
    """

    def __init__(
        self,
        target: object = None,
        *,
        require: Sequence[str] = (),
        principal: Principal | None = None,
        policy: str | Path | Mapping[str, Any] | None = None,
        handlers: Handlers | None = None,
        client_info: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> None:
        self._target = target
        self._require = (require,) if isinstance(require, str) else tuple(require)
        self._principal = principal or LOCAL
        self._policy_source = policy
        self._handlers = handlers or Handlers()
        self._identity = client_identity(client_info)
        self._name = name
        self._root: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Read the configuration and start connecting.

        Raises:
            ConfigError: a file cannot be used, or `require` names no server.
            UnavailableError: a required server could not be connected.
        """
        if self._root is not None:
            raise RuntimeError("a Trunk can be entered once; call `connect` again for another")
        config = self._target if isinstance(self._target, Config) else self._load()
        self.config = config
        self._policy = config.policy
        self._loop = asyncio.get_running_loop()
        self._fleet = Fleet()
        self._inventory = Inventory(self._fleet)
        self._names = Names(self._fleet, self._inventory.catalog, self._settled)
        self._routes: dict[str, Route] = {}
        self._call_ids = map(f"{os.urandom(3).hex()}-{{:x}}".format, itertools.count(1))
        self._checked = self._build_service(Validate(known=self._known_tool, find=self._find_tool))
        self._unchecked = self._build_service()
        for entry in config.entries:
            self._fleet.add(assemble(entry, self._policy, self._identity, self._handlers))
        self._check_required(config)
        self._root = asyncio.create_task(self._fleet.run(), name="trunkline")
        await self._fleet.wait_running()
        try:
            for server in self._require:
                await self.ready(server)
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End every server and everything started for it; callable from any task, more than once."""
        if self._root is None:
            return
        self._fleet.stop()
        await asyncio.shield(self._root)

    @property
    def catalog(self) -> Catalog:
        """What exists, as of now; the tools of a lost server stay listed."""
        return self._inventory.catalog()

    def status(self) -> dict[str, ServerStatus]:
        """Say how each configured server is doing, in configuration order."""
        return self._fleet.status()

    async def ready(self, server: str | None = None, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until every server is ready or failed, or until one is ready.

        Args:
            server: wait for this one only, and raise if it fails.
            timeout: seconds; without it the servers' connect timeouts are the bound.

        Raises:
            NotFoundError: there is no such server.
            UnavailableError: the named server could not be connected.
            DeadlineExceededError: `timeout` passed first.
        """
        waited = self._settled() if server is None else self._ready_one(server)
        try:
            async with asyncio.timeout(timeout):
                await waited
        except TimeoutError:
            late = [name for name, status in self.status().items() if status.state == "connecting"]
            raise DeadlineExceededError(
                f"not ready within {timeout:g} s: {', '.join(late) or server}",
                server=server,
                retryable=True,
                hint="Allow more time, or look at `trunk.status()` to see what each server waits for.",
            ) from None

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - spent by the Deadline layer, from one clock
        on_progress: ProgressHandler | None = None,
    ) -> Reply:
        """Call a tool by its public name `server.tool`, or by its bare name where that is unique.

        Args:
            arguments: an object of JSON values; checked against the tool's schema before it is sent.
            timeout: seconds for the whole call; without it the policy's (600).
            on_progress: called with each `Progress` the server reports; sync or async.

        Raises:
            CallError: the call failed; `delivery` says what is known of it. A tool that reports a
                failure of its own (`isError`) gives a Reply.
        """
        route = self._routes.get(tool) or await self._route(tool, timeout)
        if on_progress is None:
            return await route.service(self._make_call(route, arguments, timeout, None))
        async with progress_sink(on_progress) as sink:
            return await route.service(self._make_call(route, arguments, timeout, sink))

    async def call_many(
        self, calls: Sequence[tuple[str, Mapping[str, Any] | None]], *, max_concurrency: int = 8
    ) -> list[Reply | TrunklineError]:
        """Make several calls, at most `max_concurrency` at a time; errors stand as values, in order."""
        if max_concurrency < 1:
            raise ValueError("max_concurrency must be at least 1")
        results: list[Reply | TrunklineError | None] = [None] * len(calls)
        waiting = iter(enumerate(calls))

        async def work() -> None:
            for place, (tool, arguments) in waiting:
                try:
                    results[place] = await self.call(tool, arguments)
                except TrunklineError as error:
                    results[place] = error

        async with asyncio.TaskGroup() as group:
            for _ in range(min(max_concurrency, len(calls))):
                group.create_task(work())
        return [result for result in results if result is not None]

    async def search(
        self, query: str | Sequence[str], *, limit: int = 5, min_score: float | None = None
    ) -> tuple[Match, ...]:
        """Find the tools that fit a need in words, best first, once every server is ready or failed.

        Args:
            query: one need, or a list of them; several are answered interleaved.
            limit: at most this many matches.
            min_score: leave out what scores less, 0 to 1; without it what hardly fits is left out.
        """
        await self._settled()
        index = self._inventory.index()
        if isinstance(query, str):
            return index.search(query, limit=limit, min_score=min_score)
        return index.search_many(query, limit=limit, min_score=min_score)

    async def add(self, name: str, entry: object) -> None:
        """Take in one more server and start connecting it; returns at once.

        Args:
            entry: as in `mcpServers`: an object with `command` or `url`, or a peer in this process.

        Raises:
            ConfigError: the name is taken, or the entry cannot be used.
        """
        if name in self._fleet:
            raise ConfigError(
                f"there is already a server {name!r}",
                server=name,
                hint="Remove it first, or use another name.",
            )
        (added,) = load({"mcpServers": {name: entry}}, policy={}).entries
        if isinstance(added, BadEntry):
            raise added.error
        self._fleet.add(assemble(added, self._policy, self._identity, self._handlers))
        self._forget_routes()

    async def remove(self, name: str) -> None:
        """End one server; calls in flight on it fail with what is known of them.

        Raises:
            NotFoundError: there is no such server.
        """
        if name not in self._fleet:
            raise self._no_server(name)
        await self._fleet.remove(name)
        self._forget_routes()

    def _load(self) -> Config:
        return load(self._target, name=self._name, policy=self._policy_source)

    def _check_required(self, config: Config) -> None:
        for name in self._require:
            if name not in self._fleet:
                raise ConfigError(
                    f"`require` names {name!r}, which is not configured",
                    server=name,
                    hint=f"Configured are: {', '.join(self._fleet.servers) or 'none'}.",
                )
        for entry in config.entries:
            if isinstance(entry, BadEntry) and entry.name in self._require:
                raise entry.error

    def _build_service(self, *more: Layer) -> Service:
        return stack([Observe(), Deadline(), *more], mirror_headers(self._inventory, self._fleet.call))

    def _make_call(
        self, route: Route, arguments: Mapping[str, Any] | None, timeout: float | None, sink: Any
    ) -> Call:
        now = self._loop.time()
        return Call(
            id=next(self._call_ids),
            server=route.server,
            name=route.tool,
            arguments={} if arguments is None else arguments,
            principal=self._principal,
            deadline=now + (route.timeout if timeout is None else timeout),
            idle=route.idle if timeout is None else max(route.idle, timeout),
            flight=Flight(now, sink),
        )

    async def _route(self, selector: str, timeout: float | None) -> Route:  # noqa: ASYNC109
        pair = self._names.recall(selector)
        if pair is None:
            try:
                async with asyncio.timeout(
                    self._policy.for_server("").timeout if timeout is None else timeout
                ):
                    pair = await self._names.find(selector)
            except TimeoutError:
                late = [name for name, status in self.status().items() if status.state == "connecting"]
                raise DeadlineExceededError(
                    f"which server has this tool is not known yet: still connecting: {', '.join(late)}",
                    tool=selector,
                    hint="Use the public name `server.tool`: it waits for its own server only.",
                ) from None
            return self._make_route(*pair)
        route = self._routes[selector] = self._make_route(*pair)
        return route

    def _make_route(self, server: str, tool: str) -> Route:
        rules = self._policy.for_tool(server, tool)
        return Route(
            server=server,
            tool=tool,
            timeout=rules.timeout,
            idle=rules.idle,
            service=self._checked if rules.validate else self._unchecked,
        )

    def _forget_routes(self) -> None:
        self._routes.clear()
        self._names.forget()

    def _known_tool(self, call: Call) -> Tool | None:
        return self._inventory.tool(call.public_name)

    async def _find_tool(self, call: Call) -> Tool | None:
        """Wait for the server's list; one that lacks the tool is read once more before it counts."""
        supervisor = self._supervisor(call.server)
        await supervisor.connect(call.flight)
        if (tool := self._known_tool(call)) is not None:
            return tool
        await supervisor.refresh()
        if (tool := self._known_tool(call)) is not None or supervisor.listed is None:
            return tool
        if supervisor.listed.warnings:
            return None
        resolve(call.public_name, self._fleet.servers, self._inventory.catalog(), separators=".")
        return None

    async def _settled(self) -> None:
        for _, supervisor in tuple(self._fleet):
            await supervisor.settled()

    async def _ready_one(self, server: str) -> None:
        error = await self._supervisor(server).settled()
        if isinstance(error, ConfigError):
            raise error
        if error is not None:
            raise UnavailableError(
                f"the server could not be connected: {error}", code=error.code, server=server, hint=error.hint
            ) from error

    def _supervisor(self, server: str) -> Supervisor:
        supervisor = self._fleet.get(server)
        if supervisor is None:
            raise self._no_server(server)
        return supervisor

    def _no_server(self, server: str) -> NotFoundError:
        return NotFoundError(
            f"there is no server {server!r}",
            server=server,
            candidates=self._fleet.servers,
            hint=f"Configured are: {', '.join(self._fleet.servers) or 'none'}.",
        )


def connect(
    target: object = None,
    *,
    require: Sequence[str] = (),
    principal: Principal | None = None,
    policy: str | Path | Mapping[str, Any] | None = None,
    handlers: Handlers | None = None,
    client_info: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Trunk:
    """Open many MCP servers as one catalog: `async with connect("mcp.json") as trunk: ...`.

    Args:
        target: a configuration file, a URL, a list of such sources, a mapping in the form of a
            configuration file or of one entry, or a peer in this process; None looks for the files
            the command line would use.
        require: servers that must be ready before entering returns.
        principal: on whose behalf calls are made.
        policy: a `trunkline.toml` or its content; without it the file beside the first source is used.
        handlers: what the application is willing to do for servers.
        client_info: the application's own `name` and `version`, shown to servers.
        name: the server's name when `target` is a single unnamed one.
    """
    return Trunk(
        target,
        require=require,
        principal=principal,
        policy=policy,
        handlers=handlers,
        client_info=client_info,
        name=name,
    )

"""Trunk: every call, list and question of an application enters here."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.search import Match
from trunkline.config.endpoints import endpoints_of
from trunkline.config.entry import BadEntry, Entry
from trunkline.config.explanation import Explanation
from trunkline.config.loading import Config, load
from trunkline.core.handlers import Handlers
from trunkline.core.principal import LOCAL, Principal
from trunkline.core.status import ServerStatus
from trunkline.errors import (
    ConfigError,
    DeadlineExceededError,
)
from trunkline.pipeline.middleware import Function, Middleware
from trunkline.runtime.around import Around, middleware_of
from trunkline.runtime.assembly import assemble, check_required, client_identity
from trunkline.runtime.batching import Batching
from trunkline.runtime.breakers import Breakers
from trunkline.runtime.cached import Cached
from trunkline.runtime.calls import Calls
from trunkline.runtime.detaching import Detaching
from trunkline.runtime.egress import Contexts
from trunkline.runtime.events import Bus
from trunkline.runtime.explain import explain
from trunkline.runtime.followed_files import FollowedFiles
from trunkline.runtime.guards import Guards
from trunkline.runtime.handle import Handles, finish
from trunkline.runtime.hosting import Hosting
from trunkline.runtime.insight import Insight
from trunkline.runtime.inspecting import Inspecting
from trunkline.runtime.inventory import Inventory
from trunkline.runtime.layering import Layering, draw
from trunkline.runtime.lease import Leasing
from trunkline.runtime.reactions import end_reacting, is_wanted, react
from trunkline.runtime.reloading import Reloading
from trunkline.runtime.remembering import Remembering, open_store
from trunkline.runtime.requests import Requests
from trunkline.runtime.routes import Routes
from trunkline.runtime.tool_lists import no_server
from trunkline.runtime.waking import settle_all, settle_awake
from trunkline.runtime.watching import Watching
from trunkline.store.port import Store
from trunkline.store.replies import ReplyStore
from trunkline.supervision.failure import unavailable
from trunkline.supervision.fleet import Fleet, Server
from trunkline.supervision.settings import ServerSettings
from trunkline.telemetry.tracer import Tracing
from trunkline.telemetry.wire_log import WireTarget


class Trunk(
    Calls, Batching, Requests, Watching, Detaching, Inspecting, Leasing, Reloading, Around, Breakers, Cached
):
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
        profile: str | None = None,
        handlers: Handlers | None = None,
        client_info: Mapping[str, str] | None = None,
        name: str | None = None,
        tracing: Tracing | bool | None = None,
        wire: WireTarget | None = None,
        tls: Contexts = None,
        control: bool | str = False,
        remember: bool = False,
        store: Store | None = None,
        watch: bool = False,
        middleware: Sequence[Middleware | Function] = (),
        cache: ReplyStore | None = None,
    ) -> None:
        self._target = target
        self._require = (require,) if isinstance(require, str) else tuple(require)
        self._principal = principal or LOCAL
        self._acting = ContextVar("principal")
        self._policy_source = policy
        self._profile = profile
        self._handlers = handlers or Handlers()
        self._identity = client_identity(client_info, self._handlers)
        self._name = name
        self._tracing = tracing
        self._wire = wire
        self._contexts = tls
        self._hosting = Hosting(self, control)
        self._store = open_store(store, remember=remember, environ=os.environ)
        self._bus = Bus()
        self._root: asyncio.Task[None] | None = None
        self._reacting: asyncio.Task[None] | None = None
        self._watch = watch
        self._middleware = middleware_of(middleware)
        self._reply_store = cache
        self._files = FollowedFiles(self._bus)

    async def __aenter__(self) -> Self:
        """Read the configuration and start connecting.

        Raises:
            ConfigError: a file cannot be used, `require` names no server, or there is no place for the
                control socket.
            UnavailableError: a required server could not be connected.
        """
        if self._root is not None:
            raise RuntimeError("a Trunk can be entered once; call `connect` again for another")
        if self._watch:
            self._require_watching()
        config = self._target if isinstance(self._target, Config) and not self._watch else self._load()
        check_required(config, self._require)
        self.config = config
        self._policy = config.policy.activate(self._profile) if self._profile else config.policy
        self._loop = asyncio.get_running_loop()
        self._insight = Insight(self._tracing, self._wire, self._bus)
        self._open_caching()
        self._guards = Guards(self._heard(self._insight.events), draw)
        self._fleet = self._make_fleet()
        self._insight.watch_over(self._fleet)
        self._inventory = Inventory(self._fleet)
        self._handles = Handles(self._fleet)
        self._layering = Layering(self._insight.observe, self._guards, self._middleware, self._caching)
        self._routes = Routes(
            self._fleet,
            self._inventory,
            self._policy,
            self._known,
            self._layering,
            self._handles.see_off,
        )
        self._guards.renew_stacks = self._routes.forget
        self._remembering = Remembering(self._store, self._principal)
        self._call_ids = map(f"{os.urandom(3).hex()}-{{:x}}".format, itertools.count(1))
        if is_wanted(self._handlers):
            self._reacting = asyncio.create_task(react(self._bus, self._handlers), name="handlers")
        for entry in config.entries:
            self._fleet.add(self._assemble(entry))
        self._root = asyncio.create_task(self._handles.run(), name="trunkline")
        try:
            await self._fleet.wait_running()
            await self._hosting.open()
            if self._watch:
                self._follow_files()
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
        """End every server and everything started for it; callable from any task, more than once.

        Bounded by what servers may take to end. A cancellation meanwhile is raised when all is closed.
        """
        if self._root is None:
            return
        await self._hosting.close()
        self._files.stop()
        self._handles.stop()
        try:
            await finish(self._root)
        finally:
            self._layering.forget(())
            await self._files.close()
            self._bus.close()
            await end_reacting(self._reacting)
            self._insight.close()
            await self._remembering.close()
            await self._caching.close()

    async def drain(self, grace: float) -> None:
        """Take no more calls, let those in flight end for at most `grace` seconds, then close.

        Raises:
            UnavailableError: to who calls from now on, with `delivery="never_sent"`.
        """
        if self._root is not None:
            self._files.stop()
            await self._fleet.drain(grace)
        await self.aclose()

    @property
    def catalog(self) -> Catalog:
        """What exists, as of now; the tools of a lost server stay listed.

        What is `stale` is remembered from an earlier run, of a server that has not listed it in this one.
        """
        return self._inventory.shown()

    def status(self) -> dict[str, ServerStatus]:
        """Say how each configured server is doing, in configuration order."""
        return self._guards.show(self._fleet.status())

    def explain(self, name: str) -> Explanation:
        """Say what policy is in force for a server or tool, and where each value is written.

        Args:
            name: a server, `server.tool` (listed or not), or a bare tool name; of bare names, those
                that are listed by now are known.

        Raises:
            NotFoundError, AmbiguousNameError: the name means no server and no tool, or several tools.
        """
        return explain(name, self._policy, self._fleet.servers, self._inventory.catalog())

    async def ready(
        self,
        server: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        lists: bool | None = None,
        lazy: bool = False,
    ) -> None:
        """Wait until every server is ready or failed, or until one is ready; lazy ones sleep on.

        A server is ready, and takes calls, once its tools are listed. A list of resources, templates or
        prompts that fails or takes too long becomes a warning of the catalog and no more.

        Args:
            server: wait for this one only, and raise if it fails; a lazy one is connected by this.
            timeout: seconds; without it the servers' connect timeouts are the bound.
            lists: wait for the resources, templates and prompts too; None does unless a server is named.
            lazy: connect and wait for lazy servers too that were never used, so that all is listed.

        Raises:
            NotFoundError: there is no such server.
            UnavailableError: the named server could not be connected.
            DeadlineExceededError: `timeout` passed first.
        """
        waited = self._wait_ready(server, lists=server is None if lists is None else lists, lazy=lazy)
        try:
            async with asyncio.timeout(timeout):
                await waited
        except TimeoutError:
            late = [name for name, status in self.status().items() if status.state == "connecting"]
            late += [
                f"{name} (its {' and '.join(pending)})"
                for name, supervisor in self._fleet
                if name not in late and (pending := supervisor.lists.pending())
            ]
            raise DeadlineExceededError(
                f"not ready within {timeout:g} s: {', '.join(late) or server}",
                server=server,
                retryable=True,
                hint="Allow more time, or look at `trunk.status()` to see what each server waits for.",
            ) from None

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
        (added,) = load({"mcpServers": {name: entry}}, policy=self._policy).entries
        if isinstance(added, BadEntry):
            raise added.error
        self._fleet.add(self._assemble(added))
        self._routes.forget()

    async def remove(self, name: str) -> None:
        """End one server; calls in flight on it fail with what is known of them.

        Raises:
            NotFoundError: there is no such server.
        """
        if name not in self._fleet:
            raise no_server(name, self._fleet)
        await self._fleet.remove(name)
        self._caching.drop_server(name)
        self._layering.forget(self._fleet.servers)
        self._routes.forget()

    def _make_fleet(self) -> Fleet:
        return Fleet(self._guards)

    def _assemble(self, entry: Entry) -> ServerSettings:
        for one in endpoints_of(entry, self._policy):
            self._insight.learn(one)
        self._caching.take(entry, self._policy)
        return assemble(
            entry,
            self._policy,
            self._identity,
            self._handlers,
            self._insight.wire,
            self._contexts,
            self._insight.logs,
            self._remembering,
        )

    async def _settled(self) -> None:
        await settle_awake(self._fleet)

    async def _known(self) -> None:
        await settle_all(self._fleet)

    async def _wait_ready(self, server: str | None, *, lists: bool, lazy: bool) -> None:
        if server is not None:
            await self._ready_one(server)
        else:
            await (self._known() if lazy else self._settled())
        for name, supervisor in tuple(self._fleet) if lists else ():
            if server in (None, name) and not supervisor.asleep:
                await supervisor.listed()

    async def _ready_one(self, server: str) -> None:
        error = await self._fleet.settled(self._supervisor(server).settings.name)
        if isinstance(error, ConfigError):
            raise error
        if error is not None:
            raise unavailable(server, error, self._supervisor(server).status().stderr) from error

    def _supervisor(self, server: str) -> Server:
        supervisor = self._fleet.get(server)
        if supervisor is None:
            raise no_server(server, self._fleet)
        return supervisor

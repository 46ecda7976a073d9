"""Trunk for code that does not await: the same methods, each of which blocks until it has its result."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from trunkline.catalog.catalog import Catalog
from trunkline.catalog.search import Match
from trunkline.config.changes import Changes
from trunkline.config.explanation import Explanation
from trunkline.config.loading import Config
from trunkline.core.call import LogLevel
from trunkline.core.events import Event as ServerEvent
from trunkline.core.status import ConfigStatus, ServerStatus
from trunkline.runtime.events import MOST_WAITING
from trunkline.runtime.trunk import Trunk as AsyncTrunk
from trunkline.sync.around import Around
from trunkline.sync.breakers import Breakers
from trunkline.sync.cached import ReplyCache
from trunkline.sync.calling import Calling
from trunkline.sync.inspecting import Inspecting
from trunkline.sync.lease import Lease
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors
from trunkline.sync.watching import Subscription, Watch

logger = logging.getLogger("trunkline.call")

Value = TypeVar("Value")
Kind = TypeVar("Kind", bound=ServerEvent)


class Trunk(Calling, Inspecting, Breakers, Around):
    """Many servers behind one front door; made by `trunkline.sync.connect`, open from the start.

    Every method may be called from any thread, by several at once. Ctrl-C in a call that blocks
    cancels it at the server. In a thread that runs an event loop every method raises RuntimeError,
    since it would block that loop; a notebook's cells are the exception, as there blocking is meant.
    """

    _trunk: AsyncTrunk

    def __init__(self, trunk: AsyncTrunk) -> None:
        self._trunk = trunk
        self._thread = LoopThread(trunk.aclose)
        self._finalizer = weakref.finalize(self, self._thread.abandon)
        self._finalizer.atexit = False
        try:
            self._thread.run(trunk.__aenter__)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every server, the thread and its loop; callable from any thread, more than once."""
        self._finalizer.detach()
        self._thread.close()

    @mirrors(AsyncTrunk.reload)
    def reload(self) -> Changes:
        return self._thread.run(self._trunk.reload)

    @mirrors(AsyncTrunk.drain)
    def drain(self, grace: float) -> None:
        self._thread.run(lambda: self._trunk.drain(grace))
        self.close()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._trunk.config

    @property
    @mirrors(AsyncTrunk.catalog)
    def catalog(self) -> Catalog:
        return self._thread.ask(lambda: self._trunk.catalog)

    @property
    @mirrors(AsyncTrunk.cache)
    def cache(self) -> ReplyCache:
        return ReplyCache(self._thread, self._thread.ask(lambda: self._trunk.cache))

    @mirrors(AsyncTrunk.status)
    def status(self) -> dict[str, ServerStatus]:
        return self._thread.ask(self._trunk.status)

    @mirrors(AsyncTrunk.config_status)
    def config_status(self) -> ConfigStatus:
        return self._thread.ask(self._trunk.config_status)

    @mirrors(AsyncTrunk.explain)
    def explain(self, name: str) -> Explanation:
        return self._thread.ask(lambda: self._trunk.explain(name))

    @mirrors(AsyncTrunk.ready)
    def ready(
        self,
        server: str | None = None,
        timeout: float | None = None,
        *,
        lists: bool | None = None,
        lazy: bool = False,
    ) -> None:
        self._thread.run(lambda: self._trunk.ready(server, timeout, lists=lists, lazy=lazy))

    @mirrors(AsyncTrunk.lease)
    def lease(self, server: str, *, timeout: float | None = None) -> Lease:
        return Lease(self._thread, self._trunk.lease(server, timeout=timeout))

    @mirrors(AsyncTrunk.search)
    def search(
        self, query: str | Sequence[str], *, limit: int = 5, min_score: float | None = None
    ) -> tuple[Match, ...]:
        return self._thread.run(lambda: self._trunk.search(query, limit=limit, min_score=min_score))

    @overload
    def events(self, *, max_waiting: int = MOST_WAITING) -> Watch[ServerEvent]: ...

    @overload
    def events(self, *kinds: type[Kind], max_waiting: int = MOST_WAITING) -> Watch[Kind]: ...

    @mirrors(AsyncTrunk.events)
    def events(self, *kinds: type[Any], max_waiting: int = MOST_WAITING) -> Watch[Any]:
        watch = self._thread.ask(lambda: self._trunk.events(*kinds, max_waiting=max_waiting))
        return Watch(self._thread, watch, self)

    @mirrors(AsyncTrunk.subscribe)
    def subscribe(self, uri: str, server: str | None = None, timeout: float | None = None) -> Subscription:
        subscription = self._thread.run(lambda: self._trunk.subscribe(uri, server, timeout))
        return Subscription(self._thread, subscription, self)

    @mirrors(AsyncTrunk.set_log_level)
    def set_log_level(self, level: LogLevel, server: str | None = None) -> None:
        self._thread.run(lambda: self._trunk.set_log_level(level, server))

    @mirrors(AsyncTrunk.add)
    def add(self, name: str, entry: object) -> None:
        self._thread.run(lambda: self._trunk.add(name, entry))

    @mirrors(AsyncTrunk.remove)
    def remove(self, name: str) -> None:
        self._thread.run(lambda: self._trunk.remove(name))

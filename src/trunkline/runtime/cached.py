"""The part of the front door by which an application sees what is kept of answers, and has it forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from trunkline.core.cache_stats import CacheStats
from trunkline.core.events import EventSink
from trunkline.core.principal import Principal
from trunkline.runtime.cache_matching import chosen
from trunkline.runtime.caching import Caching, Listening
from trunkline.runtime.handle import Handles
from trunkline.store.replies import ReplyStore


class ReplyCache:
    """What a runtime keeps of the answers of its servers, see `Trunk.cache`."""

    def __init__(self, caching: Caching) -> None:
        self._caching = caching

    @property
    def stats(self) -> CacheStats:
        """How it did since the runtime began, over all servers."""
        return sum(self.by_server.values(), CacheStats())

    @property
    def by_server(self) -> dict[str, CacheStats]:
        """How it did, for each server of which anything may be kept."""
        return {name: shelf.stats() for name, shelf in self._caching.shelves.items()}

    async def clear(
        self,
        tool: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        server: str | None = None,
        uri: str | None = None,
        principal: Principal | None = None,
    ) -> int:
        """Forget what is kept, or the part that all that is given means; give how many answers that were.

        What is being asked at this moment is answered and not kept, and no later call waits for it.

        Args:
            tool: `server.tool`, a bare name, or a glob of these.
            arguments: of the tool, or of the prompt; a call without any has {}.
            server: a name or a glob.
            uri: of a resource, or a glob.
            principal: only what was kept for this one alone.
        """
        return await self._caching.forget(chosen(tool, arguments, server, uri, principal))

    def __repr__(self) -> str:
        stats = self.stats
        return f"<ReplyCache entries={stats.entries} hits={stats.hits} misses={stats.misses}>"


class Cached:
    """What `Trunk` does with kept answers; it sets the attributes below when it is entered."""

    _caching: Caching
    _handles: Handles
    _principal: Principal
    _reply_store: ReplyStore | None

    @property
    def cache(self) -> ReplyCache:
        """What is kept of answers: `trunk.cache.stats`, `await trunk.cache.clear("db.*")`."""
        return ReplyCache(self._caching)

    def _open_caching(self) -> None:
        def spawn(errand: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            return self._handles.spawn(errand, name)

        def see_off(farewell: Coroutine[Any, Any, None]) -> None:
            self._handles.see_off(farewell)

        self._caching = Caching(spawn, see_off, self._principal, self._reply_store)

    def _heard(self, events: EventSink) -> EventSink:
        return Listening(self._caching.hear, events)

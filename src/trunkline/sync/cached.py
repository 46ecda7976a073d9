"""What is kept of answers, for code that does not await."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.core.cache_stats import CacheStats
from trunkline.core.principal import Principal
from trunkline.runtime.cached import ReplyCache as AsyncReplyCache
from trunkline.sync.loop_thread import LoopThread
from trunkline.sync.mirror import mirrors


class ReplyCache:
    """What a runtime keeps of the answers of its servers, see `Trunk.cache`."""

    def __init__(self, thread: LoopThread, cache: AsyncReplyCache) -> None:
        self._thread = thread
        self._cache = cache

    @property
    @mirrors(AsyncReplyCache.stats)
    def stats(self) -> CacheStats:
        return self._thread.ask(lambda: self._cache.stats)

    @property
    @mirrors(AsyncReplyCache.by_server)
    def by_server(self) -> dict[str, CacheStats]:
        return self._thread.ask(lambda: self._cache.by_server)

    @mirrors(AsyncReplyCache.clear)
    def clear(
        self,
        tool: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        server: str | None = None,
        uri: str | None = None,
        principal: Principal | None = None,
    ) -> int:
        return self._thread.run(
            lambda: self._cache.clear(tool, arguments, server=server, uri=uri, principal=principal)
        )

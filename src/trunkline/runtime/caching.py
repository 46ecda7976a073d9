"""What one runtime keeps of its servers' answers: a shelf for each server, and all that makes it forget."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from trunkline.config.entry import Entry
from trunkline.config.policy import Policy
from trunkline.core.cache_settings import CacheSettings
from trunkline.core.events import Event, ListChanged, ResourceUpdated
from trunkline.core.principal import Principal
from trunkline.pipeline.cache import Allows, Cache
from trunkline.pipeline.cache_index import Index, subject_of
from trunkline.pipeline.cache_key import Keys
from trunkline.pipeline.coalesce import Coalesce
from trunkline.pipeline.far_cache import FarCache
from trunkline.pipeline.far_shelf import FarShelf
from trunkline.pipeline.flights import Flights, Spawn
from trunkline.pipeline.prefetch import Prefetch, Prefetcher
from trunkline.pipeline.service import Layer
from trunkline.pipeline.shelf import Shelf
from trunkline.runtime.cache_matching import Wanted, changed_by
from trunkline.runtime.memory_key import SALT_BYTES, Material, gather
from trunkline.runtime.reply_places import Places
from trunkline.store.replies import ReplyStore

Farewell = Callable[[Coroutine[Any, Any, None]], None]


class Caching:
    """Makes the layers that keep and share, and owns what they keep.

    Args:
        spawn: runs requests that callers share.
        see_off: runs something short that nobody waits for.
        principal: on whose behalf servers are connected.
        store: where answers are kept in place of memory, whatever policy says; None for as policy says.
    """

    def __init__(
        self, spawn: Spawn, see_off: Farewell, principal: Principal, store: ReplyStore | None = None
    ) -> None:
        self.flights = Flights(spawn)
        self.places = Places(store)
        self._see_off = see_off
        self._principal = principal
        self._salt = os.urandom(SALT_BYTES)
        self._keys = Keys(self._salt)
        self._clock = asyncio.get_running_loop().time
        self._prefetcher = Prefetcher()
        self._materials: dict[str, Material | None] = {}
        self._count = 0
        self.shelves: dict[str, Shelf] = {}
        self.fars: dict[str, FarShelf] = {}

    def take(self, entry: Entry, policy: Policy) -> None:
        """Know what a server is reached with; what was kept of another one of its name is forgotten.

        Raises:
            ConfigError: policy names a place for answers that cannot be used.
        """
        settings = policy.for_server(entry.name).cache
        self.places.open(settings, entry.name, policy)
        self._materials[entry.name] = gather(entry, policy, self._principal, os.environ)
        self.shelves.pop(entry.name, None)
        self.fars.pop(entry.name, None)
        self._prefetcher.forget()

    def keep_only(self, servers: Iterable[str]) -> None:
        """Forget every server but these."""
        for table in (self.shelves, self.fars, self._materials):
            for name in table.keys() - set(servers):
                del table[name]  # type: ignore[attr-defined] # a dict of its own kind

    def layers(
        self,
        server: str,
        tool: str | None,
        settings: CacheSettings,
        policy: Policy,
        allows: Allows,
    ) -> tuple[Layer, ...]:
        """Give the layers for the calls of one tool, or for all others of a server; none that does nothing."""
        forget = partial(self.forget, settings.invalidates, server) if settings.invalidates else None
        rules = policy.for_server(server) if tool is None else policy.for_tool(server, tool)
        if settings.keeps or forget is not None:
            return (self._cache(server, tool, settings, policy, allows, forget),)
        if rules.coalesce:
            shelf = self.shelf(server, policy)
            return (Coalesce(shelf=shelf, flights=self.flights, allows=allows),)
        return ()

    def shelf(self, server: str, policy: Policy) -> Shelf:
        """Give the shelf of a server, as large as its policy says."""
        sizes = policy.for_server(server).cache
        shelf = self.shelves.get(server)
        if shelf is None:
            self._count += 1
            material = self._materials.get(server)
            place = f"live{self._count}" if material is None else material.keys(self._salt)[1]
            index = Index(sizes.max_entries, sizes.max_bytes)
            shelf = self.shelves[server] = Shelf(server, place, self._keys, index, self._clock)
        shelf.index.max_entries, shelf.index.max_bytes = sizes.max_entries, sizes.max_bytes
        return shelf

    async def forget(self, patterns: Iterable[str], server: str) -> None:
        """Forget what a tool of this server invalidates, everywhere."""
        wanted = Wanted(tuple(patterns), server)
        for shelf in tuple(self.shelves.values()):
            await self.drop(shelf, wanted)

    async def drop(self, shelf: Shelf, wanted: Wanted) -> int:
        """Forget what is meant of one server; how many answers that were."""
        concerned = partial(wanted.concerns, shelf)
        self.flights.part(lambda key: concerned(subject_of(key[0])) and wanted.asked(key[0]))
        count = shelf.forget(concerned, wanted.asked)
        if (far := self.fars.get(shelf.server)) is not None:
            count += await far.forget(lambda key: wanted.concerns_far(far, shelf, key))
        return count

    def hear(self, event: Event) -> None:
        """Take what happened on a server: updated resources and changed lists make answers old."""
        if not isinstance(event, ResourceUpdated | ListChanged):
            return
        shelf = self.shelves.get(event.server)
        if shelf is None:
            return
        wanted = changed_by(event)
        concerned = partial(wanted.concerns, shelf)
        self.flights.part(lambda key: concerned(subject_of(key[0])))
        shelf.forget(concerned)
        if event.server in self.fars:
            self._see_off(self._drop_far(shelf, wanted))

    async def close(self) -> None:
        """Let go of what is kept outside."""
        await self.places.close()

    async def _drop_far(self, shelf: Shelf, wanted: Wanted) -> None:
        await self.drop(shelf, wanted)

    def _cache(
        self,
        server: str,
        tool: str | None,
        settings: CacheSettings,
        policy: Policy,
        allows: Allows,
        forget: Callable[[], Awaitable[None]] | None,
    ) -> Layer:
        shelf, far = self.shelf(server, policy), self._far(server, policy)
        if far is not None:
            return FarCache(
                settings=settings, shelf=shelf, far=far, flights=self.flights, allows=allows, forget=forget
            )
        prefetch = None
        if tool is not None and (foresight := policy.for_tool(server, tool).prefetch).enabled:
            prefetch = Prefetch(settings=foresight, prefetcher=self._prefetcher)
        return Cache(
            settings=settings,
            tool=tool or "",
            shelf=shelf,
            flights=self.flights,
            allows=allows,
            prefetch=prefetch,
            forget=forget,
        )

    def _far(self, server: str, policy: Policy) -> FarShelf | None:
        if (known := self.fars.get(server)) is not None:
            return known
        store = self.places.of(policy.for_server(server).cache)
        material = self._materials.get(server)
        if store is None or material is None:
            return None
        place_of = partial(_place_of, material)
        far = self.fars[server] = FarShelf(self.shelf(server, policy), store, place_of, _wall)
        return far


def _place_of(material: Material, salt: bytes) -> str:
    return material.keys(salt)[1]


def _wall() -> float:
    return datetime.now(UTC).timestamp()

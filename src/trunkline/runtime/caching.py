"""What one runtime keeps of its servers' answers: a shelf for each server, and all that makes it forget."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from trunkline.config.entry import Entry
from trunkline.config.policy import Policy
from trunkline.core.call import Call
from trunkline.core.events import Event, EventSink, ListChanged, ResourceUpdated
from trunkline.core.principal import Principal
from trunkline.pipeline.cache import Cache
from trunkline.pipeline.cache_index import Index
from trunkline.pipeline.cache_key import Keys
from trunkline.pipeline.coalesce import Coalesce
from trunkline.pipeline.far_cache import FarCache
from trunkline.pipeline.far_shelf import FarShelf
from trunkline.pipeline.flights import Flights, Spawn
from trunkline.pipeline.prefetch import Prefetch, Prefetcher
from trunkline.pipeline.service import Layer
from trunkline.pipeline.shelf import Shelf
from trunkline.runtime.cache_matching import Wanted, changed_by, named
from trunkline.runtime.memory_key import SALT_BYTES, Material, gather
from trunkline.runtime.reply_places import Places
from trunkline.store.replies import ReplyStore

if TYPE_CHECKING:
    from trunkline.runtime.layering import Subject

SeeOff = Callable[[Coroutine[Any, Any, None]], None]


class Caching:
    """Makes the layers that keep and share, and owns what they keep.

    Args:
        spawn: runs requests that callers share.
        see_off: runs something short that nobody waits for.
        principal: on whose behalf servers are connected.
        store: where answers are kept in place of memory, whatever policy says; None for as policy says.
    """

    def __init__(
        self, spawn: Spawn, see_off: SeeOff, principal: Principal, store: ReplyStore | None = None
    ) -> None:
        self._spawn = spawn
        self._flights = Flights(spawn)
        self._places = Places(store)
        self._see_off = see_off
        self._principal = principal
        self._keys = Keys(os.urandom(SALT_BYTES))
        self._clock = asyncio.get_running_loop().time
        self._prefetcher = Prefetcher()
        self._materials: dict[str, Material | None] = {}
        self._made = 0
        self._fars: dict[str, FarShelf] = {}
        self.shelves: dict[str, Shelf] = {}
        """What is kept, and how it went, by server."""

    def take(self, entry: Entry, policy: Policy) -> None:
        """Know what a server is reached with; nothing is kept of one that had its name before.

        Raises:
            ConfigError: policy names a place for answers that cannot be used.
        """
        self._places.open(policy.for_server(entry.name).cache, entry.name, policy)
        self.drop_server(entry.name)
        self._materials[entry.name] = gather(entry, policy, self._principal, os.environ)

    def drop_server(self, server: str) -> None:
        """Let go of a server that is no more."""
        self.shelves.pop(server, None)
        self._fars.pop(server, None)
        self._materials.pop(server, None)
        self._prefetcher.forget()

    def adopt(self) -> None:
        """Another policy holds from now on: what is kept in memory was kept by the one before."""
        everything = Wanted(fits=lambda *_: True)
        for shelf in self.shelves.values():
            self._forget_near(shelf, everything)
        self._prefetcher.forget()

    def layers(self, subject: Subject, events: EventSink) -> tuple[Layer, ...]:
        """Give the layer for calls of one tool, or for all else of a server; none where none is wanted.

        Args:
            events: told where an earlier answer stands in for one that cannot be had.
        """
        rules = subject.of_tool or subject.of_server
        if rules.cache.keeps or rules.cache.invalidates:
            return (self._cache(subject, events),)
        if not rules.coalesce:
            return ()
        allows = partial(changes_nothing, subject)
        return (Coalesce(shelf=self._shelf(subject), flights=self._flights, allows=allows),)

    async def forget(self, wanted: Wanted) -> int:
        """Forget what is meant, on every server; how many answers that were, as far as is known.

        Raises:
            TypeError, ValueError: the arguments that are meant are no JSON.
        """
        if wanted.arguments is not None:
            self._keys.asked(wanted.arguments)
        count = 0
        for shelf in tuple(self.shelves.values()):
            count += self._forget_near(shelf, wanted)
            if (far := self._fars.get(shelf.server)) is not None:
                before = shelf.invalidated
                self._owe_far(far, shelf.server, wanted)
                await far.settle()
                count += shelf.invalidated - before
        return count

    def hear(self, event: Event) -> None:
        """Take what happened on a server: updated resources and changed lists make answers old."""
        if not isinstance(event, ResourceUpdated | ListChanged):
            return
        if (shelf := self.shelves.get(event.server)) is None:
            return
        if (wanted := changed_by(event)) is None:
            return
        self._forget_near(shelf, wanted)
        if (far := self._fars.get(event.server)) is not None:
            self._owe_far(far, event.server, wanted)
            self._see_off(far.settle())

    async def close(self) -> None:
        """Let go of what is kept outside."""
        await self._places.close()

    def _forget_near(self, shelf: Shelf, wanted: Wanted) -> int:
        server, keys = shelf.server, shelf.keys
        self._part(shelf.place, server, keys, wanted)
        return shelf.forget(partial(wanted.concerns, server, keys), partial(wanted.asked, keys))

    def _owe_far(self, far: FarShelf, server: str, wanted: Wanted) -> None:
        if far.keys is not None:
            self._part(far.place, server, far.keys, wanted)
        far.owe(partial(wanted.means, server))

    def _part(self, place: str, server: str, keys: Keys, wanted: Wanted) -> None:
        """Let later calls wait for no request that was made before."""
        self._flights.part(lambda key: key[0].startswith(f"{place}:") and wanted.means(server, keys, key[0]))

    def _cache(self, subject: Subject, events: EventSink) -> Layer:
        rules = subject.of_tool or subject.of_server
        shelf, far = self._shelf(subject), self._far(subject)
        allows, forget = partial(changes_nothing, subject), None
        if patterns := rules.cache.invalidates:
            forget = partial(self._forget_quietly, named(patterns, subject.server))
        if far is not None:
            return FarCache(
                settings=rules.cache,
                shelf=shelf,
                far=far,
                flights=self._flights,
                allows=allows,
                forget=forget,
                events=events,
            )
        prefetch = None
        if subject.of_tool is not None and rules.prefetch.enabled:
            prefetch = Prefetch(settings=rules.prefetch, prefetcher=self._prefetcher)
        return Cache(
            settings=rules.cache,
            shelf=shelf,
            flights=self._flights,
            allows=allows,
            prefetch=prefetch,
            forget=forget,
            events=events,
        )

    async def _forget_quietly(self, wanted: Wanted) -> None:
        await self.forget(wanted)

    def _shelf(self, subject: Subject) -> Shelf:
        server, sizes = subject.server, subject.of_server.cache
        if (shelf := self.shelves.get(server)) is None:
            self._made += 1
            index = Index(sizes.max_entries, sizes.max_bytes)
            shelf = Shelf(server, f"live{self._made}", self._keys, index, self._clock)
            self.shelves[server] = shelf
        shelf.index.max_entries, shelf.index.max_bytes = sizes.max_entries, sizes.max_bytes
        return shelf

    def _far(self, subject: Subject) -> FarShelf | None:
        server = subject.server
        if (known := self._fars.get(server)) is not None:
            return known
        store, material = self._places.of(subject.of_server.cache), self._materials.get(server)
        if store is None or material is None:
            return None
        far = FarShelf(self._shelf(subject), store, lambda salt: material.keys(salt)[1], _wall, self._spawn)
        self._fars[server] = far
        return far


class Listening:
    """Lets the cache hear what happens on servers, on its way to whoever watches."""

    def __init__(self, hear: Callable[[Event], None], events: EventSink) -> None:
        self._hear = hear
        self._events = events

    @property
    def watched(self) -> bool:
        """Whether anybody wants events."""
        return self._events.watched

    def put(self, event: Event) -> None:
        """Hand an event over."""
        self._hear(event)
        self._events.put(event)


def changes_nothing(subject: Subject, call: Call) -> bool:
    """Whether an answer may stand for another call: nothing is changed, or nothing more by a second one.

    A tool that destroys is not answered for, although calling it twice may do no more than once: what it
    destroyed may be there again. That it does not destroy is believed of trusted servers only.
    """
    safety = subject.safety(call)
    if safety != "repeatable":
        return safety == "read"
    tool = subject.known(call.public_name)
    hints = {} if tool is None else tool.annotations
    if subject.of_tool is not None and subject.of_tool.idempotent:
        return hints.get("destructiveHint") is not True
    # A tool that only takes an idempotency key is not meant: its next call has another key.
    claims = hints.get("idempotentHint") is True and hints.get("destructiveHint") is False
    return claims and subject.of_server.trust


def _wall() -> float:
    return datetime.now(UTC).timestamp()

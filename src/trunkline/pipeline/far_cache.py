"""Cache, where answers are kept outside: looked up in the request that identical calls share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

import msgspec

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call
from trunkline.core.events import NOBODY, EventSink
from trunkline.core.reply import Reply
from trunkline.errors import CallError
from trunkline.pipeline.cache import Allows, invalidating, is_plain, refresh, stand_in
from trunkline.pipeline.cache_key import Key
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.far_shelf import FarShelf
from trunkline.pipeline.flights import Flights
from trunkline.pipeline.freshness import is_away
from trunkline.pipeline.service import Service
from trunkline.pipeline.shelf import Shelf, make_reply

Keyed = Callable[[Key, Call], Awaitable[Reply]]


class FarCache(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "cache"

    settings: CacheSettings
    shelf: Shelf
    """Counts."""
    far: FarShelf
    """Where answers are kept."""
    flights: Flights
    """What is being asked."""
    allows: Allows
    """Whether what is called changes nothing, by policy or by what a trusted server says."""
    forget: Callable[[], Awaitable[None]] | None = None
    """Forgets what the tool invalidates, which is the case once it was called; None for nothing."""
    events: EventSink = NOBODY

    def __repr__(self) -> str:
        return f"FarCache({self.settings})"

    def wrap(self, inner: Service) -> Service:
        """Give a service that asks `inner` only for what is not kept; identical calls ask once."""
        if self.forget is not None:
            inner = invalidating(inner, self.forget)
        if not self.settings.keeps:
            return inner
        shelf, far, flights = self.shelf, self.far, self.flights
        look, fetch = self._looking(inner), self._fetching(inner)

        async def cache(call: Call) -> Reply:
            if not is_plain(call) or not self.allows(call):
                return await inner(call)
            key = await far.key_of(call)
            if call.max_age == 0:
                return await (inner(call) if key is None else fetch(key, call))
            if key is not None:
                shared = (key.own, call.server, call.max_age, call.log_level)
                return await share(shared, call, partial(look, key))
            near = shelf.key_of(call)
            return await (inner(call) if near is None else share((near.own, call.log_level), call, inner))

        def share(shared: tuple[Any, ...], call: Call, run: Service) -> Awaitable[Reply]:
            shelf.shared += shared in flights
            return flights.share(shared, call, run)

        return cache

    def _looking(self, inner: Service) -> Keyed:
        settings, shelf, far = self.settings, self.shelf, self.far
        fetch, deadline = self._fetching(inner), Deadline()

        async def look(key: Key, call: Call) -> Reply:
            entry, age, verdict, mark = await far.find(key, call, settings, call.max_age)
            if entry is not None and verdict == "fresh":
                shelf.hits += 1
                return make_reply(entry, call, age, stale=False)
            if entry is not None and verdict == "stale":
                shelf.stale_hits += 1
                bounded = deadline.wrap(partial(fetch, key))
                shelf.refreshed += refresh(self.flights, key, call, bounded)
                return make_reply(entry, call, age, stale=True)
            shelf.misses += 1
            try:
                reply = await inner(call)
            except CallError as error:
                if entry is None or verdict != "late" or not is_away(error):
                    raise
                shelf.degraded += 1
                return stand_in(entry, call, age, error, self.events)
            await far.keep(key, call, reply, settings, mark)
            return reply

        return look

    def _fetching(self, inner: Service) -> Keyed:
        settings, far = self.settings, self.far

        async def fetch(key: Key, call: Call) -> Reply:
            found = await far.find(key, call, settings, None)
            reply = await inner(call)
            await far.keep(key, call, reply, settings, found.mark)
            return reply

        return fetch

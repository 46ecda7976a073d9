"""Cache: answers a call with what was kept of an identical one, as far as policy lets it.

What is kept is the JSON of an answer, under a key that no principal shares with another one unless policy
says so. Nothing that a server says widens who gets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

import msgspec
from msgspec.structs import replace

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call, Flight
from trunkline.core.events import NOBODY, Degraded, EventSink
from trunkline.core.reply import Reply
from trunkline.errors import CallError
from trunkline.pipeline.cache_index import Entry
from trunkline.pipeline.cache_key import Key
from trunkline.pipeline.deadline import Deadline
from trunkline.pipeline.flights import Flights
from trunkline.pipeline.freshness import is_away
from trunkline.pipeline.prefetch import Prefetch
from trunkline.pipeline.service import Service
from trunkline.pipeline.shelf import Shelf, make_reply

Allows = Callable[[Call], bool]


def is_plain(call: Call) -> bool:
    """Whether a call asks for nothing but its result, on any connection: what others may have too."""
    return not (
        call.detach or call.any_result or call.one_way or call.augment or call.flight.session is not None
    )


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "cache"

    settings: CacheSettings
    shelf: Shelf
    """What is kept of the server's answers, for all tools that share it."""
    flights: Flights
    """What is being asked."""
    allows: Allows
    """Whether what is called changes nothing, by policy or by what a trusted server says."""
    prefetch: Prefetch | None = None
    """Learns from what is called here, and fetches what is expected; None does not."""
    forget: Callable[[], Awaitable[None]] | None = None
    """Forgets what the tool invalidates, which is the case once it was called; None for nothing."""
    events: EventSink = NOBODY

    def __repr__(self) -> str:
        return f"Cache({self.settings})"

    def wrap(self, inner: Service) -> Service:
        """Give a service that asks `inner` only for what is not kept; identical calls ask once."""
        if self.forget is not None:
            inner = invalidating(inner, self.forget)
        if not self.settings.keeps:
            return inner
        settings, shelf, flights = self.settings, self.shelf, self.flights
        allows, prefetch, clock = self.allows, self.prefetch, self.shelf.clock
        fetch = self.fetching(inner)
        bounded = Deadline().wrap(fetch)
        foresee = self._foreseeing(inner)

        async def cache(call: Call) -> Reply:
            if not is_plain(call) or not allows(call) or (key := shelf.key_of(call)) is None:
                return await inner(call)
            if call.max_age == 0:
                return await fetch(call)
            now = clock()
            entry, verdict = shelf.find(key, settings, call.max_age, now)
            if entry is not None and verdict in ("fresh", "stale"):
                reply = make_reply(entry, call, now - entry.stored, stale=verdict == "stale")
                if verdict == "fresh":
                    shelf.hits += 1
                else:
                    shelf.stale_hits += 1
                    shelf.refreshed += refresh(flights, key, call, bounded)
                if entry.foreseen:
                    shelf.use(key, entry)
            else:
                shelf.misses += 1
                reply = await ask(call, key, entry if verdict == "late" else None)
            if prefetch is not None:
                prefetch.note(call, reply, foresee)
            return reply

        async def ask(call: Call, key: Key, late: Entry | None) -> Reply:
            shared = (key.own, call.log_level)
            shelf.shared += shared in flights
            try:
                return await flights.share(shared, call, fetch)
            except CallError as error:
                if late is None or not is_away(error):
                    raise
                shelf.degraded += 1
                return stand_in(late, call, clock() - late.stored, error, self.events)

        return cache

    def fetching(self, inner: Service, *, foreseen: bool = False) -> Service:
        """Give a service that asks `inner` and keeps the answer."""
        settings, shelf = self.settings, self.shelf

        async def fetch(call: Call) -> Reply:
            key = shelf.key_of(call)
            question = None if key is None else shelf.ask(key)
            try:
                reply = await inner(call)
                if question is not None:
                    shelf.keep(question, call, reply, settings, foreseen=foreseen)
            finally:
                if question is not None:
                    shelf.answered(question)
            return reply

        return fetch

    def _foreseeing(self, inner: Service) -> Callable[[Call], bool]:
        settings, shelf, flights, allows = self.settings, self.shelf, self.flights, self.allows
        fetch = Deadline().wrap(self.fetching(inner, foreseen=True))

        def foresee(call: Call) -> bool:
            if not allows(call) or (key := shelf.key_of(call)) is None:
                return False
            if shelf.find(key, settings, None, shelf.clock())[1] == "fresh":
                return False
            begun = flights.start((key.own, None), call, fetch)
            shelf.foreseen += begun
            return begun

        return foresee


def invalidating(inner: Service, forget: Callable[[], Awaitable[None]]) -> Service:
    """Give a service that forgets once `inner` may have changed something, and before its caller goes on."""

    async def invalidate(call: Call) -> Reply:
        try:
            return await inner(call)
        finally:
            if call.flight.known in ("unknown", "answered") or call.flight.attempts > 1:
                await forget()

    return invalidate


def stand_in(entry: Entry, call: Call, age: float, error: CallError, events: EventSink) -> Reply:
    """Give what was kept in place of an answer that cannot be had, and say so."""
    reason = f"the server is away ({error.code}); this is what it answered {age:.0f} s ago"
    if events.watched:
        event = Degraded(
            server=call.server,
            call_id=call.id,
            tool=call.public_name,
            code=error.code,
            reason=reason,
            by="an earlier answer",
        )
        events.put(event)
    return make_reply(entry, call, age, stale=True, reason=reason)


def refresh(flights: Flights, key: Key, call: Call, fetch: Service) -> bool:
    """Fetch a new answer behind a stale one, in as much time as the call was given; once at a time."""
    if (shared := (key.own, None)) in flights:
        return False
    now = asyncio.get_running_loop().time()
    later = now + max(call.deadline - call.flight.started, 0.0)
    again = replace(call, flight=Flight(now), deadline=later, log_level=None)
    return flights.start(shared, again, fetch)

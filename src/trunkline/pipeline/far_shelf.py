"""Answers of one server that are kept outside of this runtime: asked in bounded time, and never in the way.

A place that fails or is slow costs no call more than its patience: it is as if nothing were kept, it is told
once in the log, and it is left alone for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.pipeline.cache_index import Entry
from trunkline.pipeline.cache_key import Key, Keys
from trunkline.pipeline.freshness import Verdict, judge
from trunkline.pipeline.shelf import Shelf, make_entry, own_or_common
from trunkline.store.replies import SALT_BYTES, Found, Kept, ReplyStore, read_kept, write_kept
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.cache")

Value = TypeVar("Value")

PATIENCE = 0.5
"""Seconds that one exchange with the place may take."""
_PAUSE = 5.0
"""Seconds for which a place that failed is left alone."""


class Finding(NamedTuple):
    """What was found for a call, how old it is, and what it is good for."""

    entry: Entry | None
    age: float
    verdict: Verdict
    mark: int


class FarShelf:
    """What is kept of one server in a place outside.

    Args:
        shelf: counts what happens.
        place_of: gives the digest of the server's entry and of what it is reached with, made with a salt.
        wall: gives seconds since the epoch.
    """

    def __init__(
        self,
        shelf: Shelf,
        store: ReplyStore,
        place_of: Callable[[bytes], str],
        wall: Callable[[], float],
    ) -> None:
        self._shelf = shelf
        self._store = store
        self._place_of = place_of
        self._wall = wall
        self.keys: Keys | None = None
        """What makes its keys, once the salt was read."""
        self.place = ""
        self._rests_until = 0.0
        self._told = False

    async def key_of(self, call: Call) -> Key | None:
        """Give the key of a call; None for one that cannot be kept, or while the place cannot be used."""
        keys = await self.ready()
        return None if keys is None else keys.of(call, self.place)

    async def find(self, key: Key, settings: CacheSettings, max_age: float | None) -> Finding:
        """Give what is kept for a call."""
        found = await self._guarded(lambda: self._store.get(key.own), Found(None, -1))
        if found.value is None and settings.share != "never" and found.mark >= 0:
            found = await self._guarded(lambda: self._store.get(key.common), Found(None, -1))
        now = self._wall()
        kept = None if found.value is None else read_kept(found.value, now)
        if kept is None:
            return Finding(None, 0.0, "gone", found.mark)
        head, body = kept
        # What was kept under another policy is fresh for no longer than this one says.
        fresh_for = head.fresh_for if settings.hints == "follow" else min(head.fresh_for, settings.ttl)
        entry = Entry(
            body=body,
            stored=head.stored,
            fresh_for=fresh_for,
            keep_for=head.keep_for,
            era=head.era,
            transport=head.transport,
        )
        age = max(now - head.stored, 0.0)
        return Finding(entry, age, judge(age, fresh_for, settings, max_age), found.mark)

    async def keep(self, key: Key, call: Call, reply: Reply, settings: CacheSettings, mark: int) -> None:
        """Keep an answer, if it may be kept and nothing was forgotten since it was asked for."""
        if mark < 0:
            return
        entry = make_entry(call, reply, settings, self._wall())
        if entry is None:
            self._shelf.unfit += 1
            return
        head = Kept(
            stored=entry.stored,
            fresh_for=entry.fresh_for,
            keep_for=entry.keep_for,
            era=entry.era,
            transport=entry.transport,
        )
        value, name = write_kept(head, entry.body), own_or_common(key, reply, settings)
        done = await self._guarded(lambda: self._store.put(name, value, entry.keep_for, mark), False)
        self._shelf.stored += done

    async def forget(self, concerned: Callable[[str], bool]) -> int:
        """Forget the answers whose keys are meant, once it is ready; how many, as far as is known."""
        count = await self._guarded(lambda: self._store.drop(self.place, concerned), 0)
        self._shelf.invalidated += count
        return count

    async def ready(self) -> Keys | None:
        """Give what makes its keys, or None while the place cannot be used."""
        if self.keys is not None:
            return self.keys
        salt = await self._guarded(self._store.salt, b"")
        if len(salt) != SALT_BYTES:
            return None
        self.place = self._place_of(salt)
        self.keys = Keys(salt)
        return self.keys

    async def _guarded(self, work: Callable[[], Awaitable[Value]], otherwise: Value) -> Value:
        now = asyncio.get_running_loop().time()
        if now < self._rests_until:
            return otherwise
        try:
            async with asyncio.timeout(PATIENCE):
                return await work()
        except Exception as error:  # boundary: a place may fail in any way, and costs no call
            self._shelf.failures += 1
            self._rests_until = now + _PAUSE
            if not self._told:
                self._told = True
                line = escape_text(f"{self._shelf.server}: answers cannot be kept: {type(error).__name__}")
                logger.warning("%s; calls go on without", line, extra={"server": self._shelf.server})
            return otherwise

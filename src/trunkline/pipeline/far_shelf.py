"""Answers of one server that are kept outside of this runtime: asked in bounded time, and never in the way.

A place that fails or is slow costs no call more than its patience: it is as if nothing were kept, it is told
once in the log, and it is left alone for a while. What was to be forgotten meanwhile is owed: until the place
has done it, nothing of the server is taken from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, TypeVar

from trunkline.core.cache_settings import CacheSettings
from trunkline.core.call import Call
from trunkline.core.limits import Limits
from trunkline.core.reply import Reply
from trunkline.errors import UnavailableError
from trunkline.pipeline.cache_index import Entry
from trunkline.pipeline.cache_key import Key, Keys
from trunkline.pipeline.flights import Spawn
from trunkline.pipeline.freshness import LONGEST_HINT, Verdict, judge
from trunkline.pipeline.shelf import Shelf, make_entry, own_or_common
from trunkline.protocol.limits import LimitExceeded, check_shape
from trunkline.store.replies import SALT_BYTES, Found, Kept, ReplyStore, read_kept, write_kept
from trunkline.telemetry.escape import escape_text

logger = logging.getLogger("trunkline.cache")

Value = TypeVar("Value")
Meant = Callable[[Keys, str], bool]
"""Whether a key is meant, given what makes the keys of the place."""

PATIENCE = 0.5
"""Seconds that one exchange with the place may take."""
_LEAST = 0.05
"""Seconds without which it is not worth asking the place."""
_PAUSE = 5.0
"""Seconds for which a place that failed is left alone."""
_LABOR = 60.0
"""Seconds that forgetting may take, for which no call waits longer than it does for an exchange."""
_MOST_OWED = 100
_MOST_HEAD = 4096
"""Bytes that stand before an answer, at most."""
_LIMITS = Limits()


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
        spawn: runs what takes longer than a call waits for.
    """

    def __init__(
        self,
        shelf: Shelf,
        store: ReplyStore,
        place_of: Callable[[bytes], str],
        wall: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._shelf = shelf
        self._store = store
        self._place_of = place_of
        self._wall = wall
        self._spawn = spawn
        self.keys: Keys | None = None
        """What makes its keys, once the salt was read."""
        self.place = ""
        self._opening = asyncio.Lock()
        self._owed: list[Meant] = []
        self._paying: asyncio.Task[None] | None = None
        self._rests_until = 0.0
        self._sick = False
        self._told = False

    async def key_of(self, call: Call) -> Key | None:
        """Give the key of a call; None for one that cannot be kept, or while the place cannot be used."""
        keys = await self._ready(_patience(call))
        return None if keys is None else keys.of(call, self.place)

    async def find(self, key: Key, call: Call, settings: CacheSettings, max_age: float | None) -> Finding:
        """Give what is kept for a call."""
        nothing = Finding(None, 0.0, "gone", -1)
        if self._owed:
            await self.settle(_patience(call))
            if self._owed:
                return nothing
        name = key.own
        found = await self._get(name, call)
        if found.value is None and settings.share != "never" and found.mark >= 0:
            name = key.common
            found = await self._get(name, call)
        now = self._wall()
        kept = None if found.value is None else _read(found.value, name, settings, now)
        if kept is None or self._owed:
            return nothing._replace(mark=found.mark)
        head, body = kept
        longest = max(settings.ttl, LONGEST_HINT) if settings.hints == "follow" else settings.ttl
        # What was kept under another policy is fresh for no longer than this one says.
        fresh_for = min(head.fresh_for, longest)
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
        if mark < 0 or self._owed:
            return
        entry = make_entry(call, reply, settings, self._wall())
        if entry is None:
            self._shelf.unfit += 1
            return
        name = own_or_common(key, reply, settings)
        head = Kept(
            key=name,
            stored=entry.stored,
            fresh_for=entry.fresh_for,
            keep_for=entry.keep_for,
            era=entry.era,
            transport=entry.transport,
        )
        value = write_kept(head, entry.body)
        done = await self._guarded(
            lambda: self._store.put(name, value, entry.keep_for, mark), False, _patience(call)
        )
        self._shelf.stored += done

    def owe(self, meant: Meant) -> None:
        """From now on give none of the answers whose keys are meant; see to `settle` soon."""
        if len(self._owed) >= _MOST_OWED:
            # The first is being paid.
            self._owed[1:] = [lambda *_: True]
        else:
            self._owed.append(meant)

    async def settle(self, patience: float = PATIENCE) -> None:
        """Have forgotten what is owed, and wait for that as long as for an exchange."""
        if not self._owed or asyncio.get_running_loop().time() < self._rests_until:
            return
        if self._paying is None or self._paying.done():
            paying = self._pay()
            try:
                self._paying = self._spawn(paying, f"forget {self._shelf.server}")
            except UnavailableError:
                paying.close()
                return
        await asyncio.wait({self._paying}, timeout=patience)

    async def _pay(self) -> None:
        while self._owed:
            meant = self._owed[0]
            if (keys := await self._ready(PATIENCE)) is None:
                return
            drop = partial(self._store.drop, self.place, partial(meant, keys))
            if (count := await self._guarded(drop, -1, _LABOR)) < 0:
                return
            self._shelf.invalidated += count
            del self._owed[0]

    async def _ready(self, patience: float) -> Keys | None:
        """Give what makes its keys, or None while the place cannot be used."""
        if self.keys is not None:
            return self.keys
        async with self._opening:
            if self.keys is None:
                salt = await self._guarded(self._store.salt, b"", patience)
                if len(salt) == SALT_BYTES:
                    self.place = self._place_of(salt)
                    self.keys = Keys(salt)
            return self.keys

    async def _get(self, name: str, call: Call) -> Found:
        return await self._guarded(lambda: self._store.get(name), Found(None, -1), _patience(call))

    async def _guarded(
        self, work: Callable[[], Awaitable[Value]], otherwise: Value, patience: float
    ) -> Value:
        now = asyncio.get_running_loop().time()
        if now < self._rests_until or patience < _LEAST:
            return otherwise
        if self._sick:
            # One exchange finds out whether it is well again; nobody else waits for that.
            self._rests_until = now + _PAUSE
        try:
            async with asyncio.timeout(patience):
                value = await work()
        except Exception as error:  # boundary: a place may fail in any way, and costs no call
            self._blame(error)
            return otherwise
        if self._sick:
            self._sick, self._rests_until = False, 0.0
        return value

    def _blame(self, error: Exception) -> None:
        self._shelf.failures += 1
        self._sick = True
        self._rests_until = asyncio.get_running_loop().time() + _PAUSE
        if not self._told:
            self._told = True
            line = escape_text(f"{self._shelf.server}: answers cannot be kept: {type(error).__name__}")
            logger.warning("%s; calls go on without", line, extra={"server": self._shelf.server})


def _patience(call: Call) -> float:
    """Give how long a call may wait for the place: what it has to do is something else."""
    return min(PATIENCE, (call.deadline - asyncio.get_running_loop().time()) / 2)


def _read(value: bytes, name: str, settings: CacheSettings, now: float) -> tuple[Kept, bytes] | None:
    """Give what is kept, if it may be: of a place it is believed no more than of a server."""
    if len(value) > settings.max_reply_bytes + _MOST_HEAD:
        return None
    try:
        check_shape(value, _LIMITS)
    except LimitExceeded:
        return None
    return read_kept(value, name, now)

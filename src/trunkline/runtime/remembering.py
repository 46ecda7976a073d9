"""What one runtime remembers of its servers between runs: read before they start, written behind them.

Whatever is wrong with the store is logged once, and servers start as if nothing had ever been remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.config.caches import is_switched_off, store_folder
from trunkline.connection.workers import Workers
from trunkline.protocol.eras import ERAS
from trunkline.runtime.memory import Memory, Snapshot, read_items
from trunkline.runtime.memory_key import SALT_BYTES, gather
from trunkline.store.port import SALT, Store
from trunkline.store.record import (
    BrokenRecordError,
    Lists,
    NewerRecordError,
    Record,
    Way,
    decode,
)
from trunkline.supervision.remembered import Remembered
from trunkline.telemetry.escape import escape_text

if TYPE_CHECKING:
    from trunkline.config.entry import Entry
    from trunkline.config.policy import Policy
    from trunkline.core.limits import Limits
    from trunkline.core.principal import Principal

logger = logging.getLogger("trunkline.store")

_GATHER = 0.2
"""Seconds for which news is gathered before it is written."""
_FAREWELL = 2.0
"""Seconds that the last writing may take when the runtime ends."""
_MOST_BELIEVED = 20
"""Starts in a row that believe in a legacy era; then it is found out anew, since the server may know more."""


def open_store(store: Store | None, *, remember: bool, environ: Mapping[str, str]) -> Store | None:
    """Give where memories are kept: this store, or the user's own if it is to be used, or None."""
    if store is not None or not remember or is_switched_off(environ):
        return store
    from trunkline.store.files import FileStore

    return FileStore(Path(store_folder(environ)))


class Remembering:
    """Gives what is remembered of each server, and owns the one task that writes what is new.

    Args:
        principal: on whose behalf servers are connected; what they list for one is not shown to another.
    """

    def __init__(self, store: Store | None, principal: Principal) -> None:
        self._store = store
        self._principal = principal
        self._salt: bytes | None = None
        self._is_salt_new = False
        self._dirty: dict[int, Memory] = {}
        self._untouchable: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._workers = Workers(1)
        self.problem: str | None = None
        """Why memories cannot be used, or None."""

    def recall(self, entry: Entry, policy: Policy) -> Remembered | None:
        """Give what is remembered of a server, which takes what this run finds; None remembers nothing."""
        rules = policy.for_server(entry.name)
        if self._store is None or not rules.remember:
            return None
        material = gather(entry, policy, self._principal, os.environ)
        if material is None:
            return None
        salt = self._find_salt()
        own, listed = material.keys(salt)
        way, lists = self._read(own, Way), self._read(listed, Lists)
        memory = Memory(entry.name, material, way, lists)
        memory.remembered = _recalled(way, lists, rules.limits, functools.partial(self._note, memory))
        return memory.remembered

    def key_of(self, entry: Entry, policy: Policy) -> str:
        """Give the key of how a server is reached, with which those of its lists begin; "" for none."""
        material = gather(entry, policy, self._principal, os.environ)
        return "" if material is None else material.keys(self._find_salt())[0]

    async def close(self) -> None:
        """Write what is new and end; bounded, and may be called more than once."""
        self._closing.set()
        if self._task is None:
            return
        try:
            await asyncio.wait({self._task}, timeout=_FAREWELL)
        finally:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _note(self, memory: Memory) -> None:
        self._dirty[id(memory)] = memory
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_behind(), name="remembering")

    async def _write_behind(self) -> None:
        while self._dirty:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GATHER):
                    await self._closing.wait()
            batch = [memory.snapshot() for memory in self._dirty.values()]
            self._dirty.clear()
            try:
                await self._workers.run(self._write, batch)
            except Exception as error:  # boundary: a store may fail in any way, and costs only itself
                self._report("written", error)

    def _write(self, batch: list[Snapshot]) -> None:
        """Write in a thread: encoding a large catalog takes as long as a call."""
        store, salt = self._store, self._salt
        if store is None or salt is None:
            return
        if self._is_salt_new:
            # Another process may have made one meanwhile; whoever comes later adopts it.
            if not _is_salt(store.get(SALT)):
                store.put(SALT, salt)
            found = store.get(SALT)
            self._salt = salt = found if found is not None and _is_salt(found) else salt
            self._is_salt_new = False
        for one in batch:
            for key, value in one.records(salt):
                if key not in self._untouchable:
                    store.put(key, value)

    def _find_salt(self) -> bytes:
        if self._salt is None:
            found = self._get(SALT)
            self._is_salt_new = not _is_salt(found)
            self._salt = os.urandom(SALT_BYTES) if found is None or self._is_salt_new else found
        return self._salt

    def _read(self, key: str, kind: type[Record]) -> Record | None:
        if (data := self._get(key)) is None:
            return None
        try:
            return decode(data, kind)
        except NewerRecordError as error:
            self._untouchable.add(key)
            self._report("read", error)
        except BrokenRecordError as error:
            self._report("read", error)
        return None

    def _get(self, key: str) -> bytes | None:
        if self._store is None or self._is_salt_new:
            return None
        try:
            return self._store.get(key)
        except Exception as error:  # boundary: a store may fail in any way, and costs only itself
            self._report("read", error)
            return None

    def _report(self, what: str, error: Exception) -> None:
        if self.problem is not None:
            return
        reason = str(error) or type(error).__name__
        self.problem = escape_text(f"what is remembered between runs cannot be {what}: {reason}")
        hint = "servers work without; `trunkline cache show` tells more"
        logger.warning("%s (%s)", self.problem, hint)


def _recalled(way: Way | None, lists: Lists | None, limits: Limits, on_news: Any) -> Remembered:
    era = None if way is None else ERAS.get(way.revision)
    worn = way is not None and way.starts >= _MOST_BELIEVED
    family = None if era is None or (worn and era.family == "legacy") else era.family
    return Remembered(
        family=family,
        revision=None if era is None else era.revision,
        older=family is not None and way is not None and way.transport == "sse",
        lists=read_items(lists, limits),
        on_news=on_news,
    )


def _is_salt(found: bytes | None) -> bool:
    return found is not None and len(found) == SALT_BYTES

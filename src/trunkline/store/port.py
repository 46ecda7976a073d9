"""What a place for memories has to do, and one that lies in memory."""

from __future__ import annotations

from typing import Protocol

SALT = "salt"
"""The key of the random bytes with which all other keys of a store are made."""

_MOST_KEPT = 2048


class Store(Protocol):
    """Keeps a few kilobytes per server between runs; what it gives is trusted no more than a server is.

    Keys are made of lower-case letters, digits and dots. `get` is asked on the event loop before a server
    starts, so it has to be quick; `put` and `drop` run in a thread of their own, one at a time. Whatever any
    of them raises is logged once, and the runtime goes on without.
    """

    def get(self, key: str) -> bytes | None:
        """Give what was kept under a key, or None."""
        ...

    def put(self, key: str, value: bytes) -> None:
        """Keep this under a key, whole or not at all; keeping the same again says that it is still true."""
        ...

    def drop(self, key: str) -> None:
        """Forget what is kept under a key, if anything is."""
        ...


class MemoryStore:
    """Keeps memories as long as this object lives: for tests, and for many trunks in one process."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """Give what was kept under a key, or None."""
        return self.kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Keep this; of 2,048 the one that was kept longest ago makes place."""
        self.kept.pop(key, None)
        self.kept[key] = value
        while len(self.kept) > _MOST_KEPT:
            del self.kept[next(name for name in self.kept if name != SALT)]

    def drop(self, key: str) -> None:
        """Forget what is kept under a key, if anything is."""
        self.kept.pop(key, None)

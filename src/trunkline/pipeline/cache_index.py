"""The answers kept of one server in memory: least recently used out first, by count and by bytes. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

import msgspec

_OVERHEAD = 400
"""Bytes that keeping an answer takes besides the answer: its key, its places in three tables."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as it is kept."""

    body: bytes
    """The result object as JSON."""
    stored: float
    """Moment at which it came, on the clock of the place that keeps it."""
    fresh_for: float
    """Seconds for which it is fresh."""
    keep_for: float
    """Seconds after which it is of no use any more."""
    era: str = ""
    transport: str = ""
    foreseen: bool = False
    """Whether nobody has asked for it yet: it was fetched because somebody probably will."""


class Index:
    """Keeps answers by key; forgets by subject, which is what the keys of one tool begin with."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.bytes = 0
        """Bytes kept, with what keeping them takes."""
        self.evicted = 0
        """How many made place for others."""
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._subjects: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        """Give the keys, least recently used first."""
        return iter(self._entries)

    def get(self, key: str, now: float) -> Entry | None:
        """Give what is kept under a key and still of use; using it makes it the last to go."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now - entry.stored >= entry.keep_for:
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, entry: Entry) -> bool:
        """Keep an answer in place of an older one; False when it is too large for all the place there is."""
        self.drop(key)
        size = _size(key, entry)
        if size > self.max_bytes or self.max_entries < 1:
            return False
        self._entries[key] = entry
        self._subjects.setdefault(subject_of(key), set()).add(key)
        self.bytes += size
        while self.bytes > self.max_bytes or len(self._entries) > self.max_entries:
            self.drop(next(iter(self._entries)))
            self.evicted += 1
        return True

    def drop(self, key: str) -> bool:
        """Forget one answer; whether there was one."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self.bytes -= _size(key, entry)
        subject = subject_of(key)
        keys = self._subjects[subject]
        keys.discard(key)
        if not keys:
            del self._subjects[subject]
        return True

    def drop_subject(self, subject: str, only: Callable[[str], bool] | None = None) -> int:
        """Forget the answers of one tool, resource or prompt, or those whose key is meant; how many."""
        keys = self._subjects.get(subject, ())
        return sum(self.drop(key) for key in tuple(keys) if only is None or only(key))

    def subjects(self) -> tuple[str, ...]:
        """Give the subjects of which something is kept."""
        return tuple(self._subjects)

    def sweep(self, now: float) -> int:
        """Forget what is of no use any more; how many."""
        old = [key for key, entry in self._entries.items() if now - entry.stored >= entry.keep_for]
        return sum(map(self.drop, old))


def subject_of(key: str) -> str:
    """Give what the keys of one tool, resource or prompt begin with."""
    return key.rsplit(":", 2)[0]


def _size(key: str, entry: Entry) -> int:
    return len(entry.body) + len(key) + _OVERHEAD

"""How a cache of answers did."""

from __future__ import annotations

import msgspec


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the runtime began, of all servers or of one; `entries` and `bytes` are as of now."""

    hits: int = 0
    """Calls answered by what was kept and fresh."""
    stale_hits: int = 0
    """Calls answered by what was kept and too old, while a new answer was fetched."""
    misses: int = 0
    """Calls for which nothing was kept that they would take."""
    degraded: int = 0
    """Calls that got what was kept because their server was away."""
    shared: int = 0
    """Calls that were answered by the request of an identical one."""
    stored: int = 0
    """Answers that were kept."""
    unfit: int = 0
    """Answers that may not be kept: errors, tasks, answers to questions, or too large."""
    evicted: int = 0
    """Answers that made place for others."""
    invalidated: int = 0
    """Answers that were forgotten because something changed."""
    refreshed: int = 0
    """Answers fetched anew behind stale ones."""
    foreseen: int = 0
    """Answers fetched because a call was expected."""
    foreseen_hits: int = 0
    """Expected calls that came: their answer was there already."""
    failures: int = 0
    """Times that the place where answers are kept could not be used, which costs no call."""
    entries: int = 0
    bytes: int = 0
    """Bytes in memory."""

    @property
    def hit_rate(self) -> float:
        """The part of calls that asked no server, from 0 to 1; 0 before any."""
        hits = self.hits + self.stale_hits
        asked = hits + self.misses
        return hits / asked if asked else 0.0

    @property
    def foresight(self) -> float:
        """The part of expected calls that came, from 0 to 1; 0 before any."""
        return self.foreseen_hits / self.foreseen if self.foreseen else 0.0

    def __add__(self, other: CacheStats) -> CacheStats:
        names = self.__struct_fields__
        return CacheStats(**{name: getattr(self, name) + getattr(other, name) for name in names})

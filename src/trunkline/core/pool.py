"""How many connections one server may have, and when those that nobody uses are closed."""

from __future__ import annotations

import msgspec


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The connections to one endpoint of a server."""

    min: int = 1
    """Connections that are kept open; with 0 the last one is closed too when nobody uses it."""
    max: int = 1
    """Most connections; at least `min`. One that is busy gets company up to here."""
    max_idle: float = 60.0
    """Seconds without a call after which a connection beyond `min` is closed; 0 for never."""

    @property
    def most(self) -> int:
        """Most connections, whatever the order in which the two numbers were written."""
        return max(self.min, self.max, 1)

    @property
    def is_plain(self) -> bool:
        """Whether it says no more than that there is one connection, which stays."""
        return self.most == 1 and (self.min == 1 or not self.max_idle)

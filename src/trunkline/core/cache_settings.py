"""What is kept of the answers of a server or tool, for how long, and who may see it."""

from __future__ import annotations

from typing import Literal

import msgspec

Hints = Literal["shorten", "follow", "ignore"]
Sharing = Literal["never", "public", "always"]


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of answers; nothing, unless one of the first four says so."""

    ttl: float = 0.0
    """How long an answer counts as fresh, in seconds, and is given without asking the server."""
    hints: Hints = "shorten"
    """What the time counts for that a server itself allows (`ttlMs`, mostly of resources): `shorten` lets it
    make `ttl` shorter, `follow` takes it in place of `ttl`, up to a day, and `ignore` goes by `ttl` alone.
    Servers made with an SDK often say 0, which is no time at all, only because nobody told them otherwise."""
    stale_while_revalidate: float = 0.0
    """Seconds after that for which an answer is still given, while a new one is fetched behind it."""
    stale_if_error: float = 0.0
    """Seconds after that for which an answer is given if the server is away; the reply is then `degraded`."""
    share: Sharing = "never"
    """Who gets what was kept: `never` anybody but the principal it was made for, `public` everybody where the
    server says so (`cacheScope`), `always` everybody. Servers err and lie, so that is yours to say."""
    invalidates: tuple[str, ...] = ()
    """Tools (`server.tool`) and URIs, also as globs, of which nothing is kept once this tool was called."""
    max_entries: int = 10_000
    """Most answers kept of one server in memory; the one used longest ago makes place."""
    max_bytes: int = 64 * 1024 * 1024
    """Most bytes of answers kept of one server in memory."""
    max_reply_bytes: int = 4 * 1024 * 1024
    """Largest answer kept, in bytes of JSON."""
    store: str = "memory"
    """Where answers are kept: `memory`, `disk` for later runs on this machine, or a `redis://` URL."""

    def __str__(self) -> str:
        usual = CacheSettings()
        names = (name for name in self.__struct_fields__ if getattr(self, name) != getattr(usual, name))
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return bool(self.ttl or self.hints == "follow" or self.stale_while_revalidate or self.stale_if_error)

    @property
    def grace(self) -> float:
        """Seconds for which an answer is of use after it was fresh."""
        return max(self.stale_while_revalidate, self.stale_if_error)

"""What is different between two configurations, server by server. Pure."""

from __future__ import annotations

import msgspec

from trunkline.config.entry import BadEntry, Entry
from trunkline.config.loading import Config
from trunkline.config.settings import ServerPolicy

_OF_CALLS = frozenset(
    (
        *("timeout", "idle", "trust", "retry", "breaker", "limit", "route", "hedge"),
        *("cache", "prefetch", "coalesce", "batch"),
    )
)
"""Settings of a server that hold from the next call on, whatever it is connected by."""
_OF_LIVES = frozenset(
    (
        *("connect", "health_check_interval", "auto_reconnect", "max_restarts"),
        *("restart_delay", "restart_delay_max", "probe_interval", "ejection"),
    )
)
"""Settings of how a server is kept alive, which its connection knows nothing of."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Names of servers, each in one of these at most, in the order of the newer configuration."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Servers whose entry is another, or settings that their connection was made with."""
    adjusted: tuple[str, ...] = ()
    """Servers that are kept alive by other settings, and stay connected."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.adjusted)


def compare(before: Config, after: Config) -> Changes:
    """Say which servers have to be touched; settings of tools and calls touch none."""
    old = {entry.name: entry for entry in before.entries}
    new = {entry.name: entry for entry in after.entries}
    changed: list[str] = []
    adjusted: list[str] = []
    for name in (name for name in new if name in old):
        differing = _differing(before.policy.for_server(name), after.policy.for_server(name)) - _OF_CALLS
        if differing - _OF_LIVES or not _is_same(old[name], new[name]):
            changed.append(name)
        elif differing:
            adjusted.append(name)
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(changed),
        adjusted=tuple(adjusted),
    )


def _differing(before: ServerPolicy, after: ServerPolicy) -> set[str]:
    return {key for key in before.__struct_fields__ if getattr(before, key) != getattr(after, key)}


def _is_same(before: Entry, after: Entry) -> bool:
    if isinstance(before, BadEntry) and isinstance(after, BadEntry):
        return (before.source, str(before.error)) == (after.source, str(after.error))
    return before == after

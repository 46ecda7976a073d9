"""What is different between two configurations, server by server. Pure."""

from __future__ import annotations

import msgspec

from trunkline.config.loading import Config


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Names of servers, each in one of these at most, in the order of the newer configuration."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Servers whose entry, or whose settings in the policy, are others."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def compare(before: Config, after: Config) -> Changes:
    """Say which servers have to be touched; settings of tools touch none."""
    old = {entry.name: entry for entry in before.entries}
    new = {entry.name: entry for entry in after.entries}
    return Changes(
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(
            name
            for name, entry in new.items()
            if name in old
            and (entry != old[name] or before.policy.for_server(name) != after.policy.for_server(name))
        ),
    )

"""What is in force for one server or tool, and where every value of it was written."""

from __future__ import annotations

from typing import Any

import msgspec


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One effective value."""

    key: str
    """As in `trunkline.toml`; keys of `limits` are written `limits.depth`."""
    value: Any
    """Seconds are floats."""
    source: str | None = None
    """The file it is written in, `argument` if it was passed as a value, None for a built-in default."""
    table: str | None = None
    """The table there, such as `servers."db.*"`; None for a built-in default."""
    line: int | None = None
    """The 1-based line there, where it is known."""

    @property
    def is_default(self) -> bool:
        """Whether nothing sets it."""
        return self.table is None

    @property
    def where(self) -> str:
        """The source in words: `/srv/trunkline.toml:4 [servers.db]`, or `default`."""
        if self.table is None:
            return "default"
        position = self.source or ""
        return f"{position}:{self.line} [{self.table}]" if self.line else f"{position} [{self.table}]"


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything policy says of one server or tool; `str()` gives a table to read."""

    server: str
    tool: str | None = None
    """The tool's own name, or None when a server is explained."""
    group: str | None = None
    """The group's name when a group of equal tools is explained; `server` is then empty."""
    source: str | None = None
    """File the policy came from, `argument`, or None when there is none."""
    profile: str | None = None
    """Name of the active profile, or None."""
    settings: tuple[Setting, ...]
    """A tool's own settings first, then those of its server."""

    def __getitem__(self, key: str) -> Setting:
        """Give one setting.

        Raises:
            KeyError: there is no such setting.
        """
        for setting in self.settings:
            if setting.key == key:
                return setting
        raise KeyError(key)

    def __str__(self) -> str:
        rows = [("SETTING", "VALUE", "FROM")]
        rows += [(item.key, write_value(item.value), _shown(item.where)) for item in self.settings]
        wide, middle = (max(len(row[at]) for row in rows) for at in (0, 1))
        lines = [f"{key:<{wide}}  {value:<{middle}}  {where}" for key, value, where in rows]
        return "\n".join((self.title, "", *lines))

    @property
    def title(self) -> str:
        """What is explained, under which policy, on one line."""
        subject = f"server {self.server}" if self.tool is None else f"tool {self.server}.{self.tool}"
        subject = subject if self.group is None else f"group {self.group}"
        policy = "no trunkline.toml" if self.source is None else f"policy {self.source}"
        profile = f", profile {self.profile}" if self.profile else ""
        return _shown(f"{subject}, {policy}{profile}")


def write_value(value: Any) -> str:
    """Write a value as in TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.12g}"
        case str():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(write_value(one) for one in value)}]"
        case _:
            return str(value)


def _shown(text: str) -> str:
    """Escape what could act on a terminal: names of tools come from servers."""
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)

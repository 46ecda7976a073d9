"""The tables of `trunkline.toml`, and what they come to for one server or tool.

Order of application, later wins: `[defaults]`, tables of servers that match, and for a tool then the
tables of tools that match `server.tool`. Among matching tables an exact name beats a glob, a longer
literal part beats a shorter one, and of two alike the later one wins. Each key is decided on its own.
The tables of the active profile count as written after all others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from trunkline.config.explanation import Explanation, Setting
from trunkline.config.policy_position import Place, Places
from trunkline.config.policy_rule import GROUP_RULES, GROUPS
from trunkline.config.settings import ServerPolicy, ToolPolicy
from trunkline.config.wording import KeyPath, describe_path, nearest
from trunkline.core.group import GroupPolicy
from trunkline.errors import ConfigError

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_CACHED = 4096
_WILDCARD = re.compile(r"\*|\?|\[[^\]]*\]")


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one table, checked; keys of `limits` are written `limits.depth`."""

    pattern: str
    """Name or glob (`*`, `?`, `[abc]`) of the servers or tools meant; `*` for defaults."""
    values: Mapping[str, Any]
    path: KeyPath
    """Where it stands in its file; empty for `[limits]`, whose keys are written with their prefix."""

    @property
    def name(self) -> str:
        """The header of the table, such as `servers."db.*"`."""
        return describe_path(self.path) or "limits"

    def rank(self, name: str) -> tuple[bool, int] | None:
        """Say how closely the pattern fits a name, greater is closer, or None if it does not."""
        if self.pattern == name:
            return True, len(name)
        if not re.match(translate(self.pattern), name):
            return None
        return False, len(_WILDCARD.sub("", self.pattern))


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of a file or of one profile, in the order written."""

    defaults: tuple[Table, ...] = ()
    servers: tuple[Table, ...] = ()
    tools: tuple[Table, ...] = ()
    groups: tuple[Table, ...] = ()
    """Each by its name, which is no pattern."""

    def __add__(self, later: Tables) -> Tables:
        return Tables(
            defaults=self.defaults + later.defaults,
            servers=self.servers + later.servers,
            tools=self.tools + later.tools,
            groups=self.groups + later.groups,
        )


class Policy:
    """Effective settings by name, with the place each came from. Never changes once made."""

    def __init__(
        self,
        *,
        source: str | None = None,
        tables: Tables | None = None,
        profiles: Mapping[str, Tables] | None = None,
        profile: str | None = None,
        places: Places | None = None,
    ) -> None:
        self.source = source
        """File the policy came from, `argument`, or None when there is none."""
        self.profiles = profiles or {}
        """The tables of each profile, active or not."""
        self.profile = profile
        """Name of the active profile, or None."""
        self.written = tables or Tables()
        """The tables of the file that belong to no profile."""
        self._places = places or Places()
        self.tables = self.written + self.profiles[profile] if profile else self.written
        """The tables in force: those of the file, then those of the active profile."""
        self.groups = {table.pattern: GroupPolicy(**table.values) for table in self.tables.groups}
        """The groups of equal tools, by name; of two of one name the later one counts."""
        self._by_server: dict[str, ServerPolicy] = {}
        self._by_tool: dict[tuple[str, str], ToolPolicy] = {}

    def activate(self, profile: str) -> Policy:
        """Give this policy with one profile active, and no other.

        Raises:
            ConfigError: there is no such profile; lists those there are.
        """
        if profile not in self.profiles:
            raise self._unknown_profile(profile)
        return Policy(
            source=self.source,
            tables=self.written,
            profiles=self.profiles,
            profile=profile,
            places=self._places,
        )

    @property
    def folder(self) -> Path:
        """Where relative paths of the settings begin: the folder of the file, else the working directory."""
        return Path(self.source or "").parent

    def for_server(self, name: str) -> ServerPolicy:
        """Give the settings of a server; the same object every time."""
        if (known := self._by_server.get(name)) is None:
            known = ServerPolicy(**self._values(name, None))
            _make_room(self._by_server)[name] = known
        return known

    def for_tool(self, server: str, tool: str) -> ToolPolicy:
        """Give the settings of a tool, named as its server names it; the same object every time."""
        if (known := self._by_tool.get((server, tool))) is None:
            known = ToolPolicy(**self._values(server, tool))
            _make_room(self._by_tool)[server, tool] = known
        return known

    def explain(self, server: str, tool: str | None = None) -> Explanation:
        """Give every effective value and where it came from.

        Without `tool` these are the settings of the server; with it those of the tool, followed by
        what holds for its server as a whole. Whether either exists is not looked at.
        """
        decided = self._decide(server, None)
        if tool is not None:
            decided = self._decide(server, tool) | {
                key: found for key, found in decided.items() if key not in _TOOL_KEYS
            }
        return Explanation(
            server=server,
            tool=tool,
            source=self.source,
            profile=self.profile,
            settings=tuple(self._setting(key, value, table) for key, (value, table) in decided.items()),
        )

    def explain_group(self, name: str) -> Explanation:
        """Give every effective value of a group and where it came from.

        Raises:
            KeyError: there is no such group.
        """
        group = self.groups[name]
        table = next(one for one in reversed(self.tables.groups) if one.pattern == name)
        return Explanation(
            server="",
            group=name,
            source=self.source,
            profile=self.profile,
            settings=tuple(
                self._setting(key, getattr(group, key), table if key in table.values else None)
                for key in GROUP_RULES
            ),
        )

    def locate(self, table: Table, key: str | None = None) -> Place:
        """Give the place of a table or of one of its keys, where that is known."""
        return self._places.find((*table.path, *(key.split(".") if key else ())))

    def trace(self, server: str, *keys: str) -> tuple[str, Place] | None:
        """Give the path and the place of the first of these settings that is written; None if none is."""
        decided = self._decide(server, None)
        for key in keys:
            if (table := decided[key][1]) is not None:
                return describe_path((*table.path, *key.split("."))), self.locate(table, key)
        return None

    def __repr__(self) -> str:
        tables = self.tables
        counts = f"servers={len(tables.servers)}, tools={len(tables.tools)}"
        return f"Policy(source={self.source!r}, profile={self.profile!r}, {counts})"

    def _values(self, server: str, tool: str | None) -> dict[str, Any]:
        """Give the values that are written somewhere, those of each group as one value of its kind."""
        fields = (ServerPolicy if tool is None else ToolPolicy).__struct_fields__
        values: dict[str, Any] = {}
        inner: dict[str, dict[str, Any]] = {}
        for table in self._in_force(server, tool):
            for key, value in table.values.items():
                name, dot, within = key.partition(".")
                if name in fields:
                    (inner.setdefault(name, {}) if dot else values)[within or name] = value
        return values | {name: _KINDS[name](**given) for name, given in inner.items()}

    def _decide(self, server: str, tool: str | None) -> dict[str, tuple[Any, Table | None]]:
        settings = ServerPolicy() if tool is None else ToolPolicy()
        found: dict[str, tuple[Any, Table | None]] = {
            key: (value, None) for key, value in _flatten(settings).items()
        }
        for table in self._in_force(server, tool):
            found |= {key: (value, table) for key, value in table.values.items() if key in found}
        return found

    def _in_force(self, server: str, tool: str | None) -> list[Table]:
        """Give the tables that hold for a server, or for a tool of it; later ones win."""
        tables = [*self.tables.defaults, *_matching(self.tables.servers, server)]
        if tool is not None:
            tables += _matching(self.tables.tools, f"{server}.{tool}")
        return tables

    def _setting(self, key: str, value: Any, table: Table | None) -> Setting:
        if table is None:
            return Setting(key=key, value=value)
        return Setting(
            key=key, value=value, source=self.source, table=table.name, line=self.locate(table, key).line
        )

    def _unknown_profile(self, profile: str) -> ConfigError:
        known = ", ".join(self.profiles) or "none"
        similar = nearest(profile, self.profiles, cutoff=0.5)
        where = self.source or "trunkline.toml"
        hint = f"Write [profiles.{profile}.defaults] into {where}, or name a profile that is there."
        return ConfigError(
            f"there is no profile {profile!r}; known are: {known}",
            field="profiles",
            source=self.source,
            line=self._places.find(("profiles",)).line,
            hint=f"Did you mean {similar!r}?" if similar else hint,
        )


def _matching(tables: tuple[Table, ...], name: str) -> list[Table]:
    ranked = [(rank, table) for table in tables if (rank := table.rank(name)) is not None]
    return [table for _, table in sorted(ranked, key=lambda pair: pair[0])]


def _flatten(settings: ServerPolicy | ToolPolicy) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(settings, name) for name in settings.__struct_fields__}
    for group in GROUPS:
        if (inner := values.pop(group.name, None)) is not None:
            values |= {f"{group.name}.{key}": getattr(inner, key) for key in group.rules}
    return values


def _make_room(cache: dict[_Key, _Value]) -> dict[_Key, _Value]:
    """Empty a full cache: names of tools come from servers, which may make up any number."""
    if len(cache) >= _CACHED:
        cache.clear()
    return cache


_KINDS = {group.name: group.kind for group in GROUPS}
_TOOL_KEYS = frozenset(_flatten(ToolPolicy()))

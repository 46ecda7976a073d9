"""The tables of `trunkline.toml`, and what they come to for one server or tool.

Order of application, later wins: `[defaults]`, tables of servers that match, and for a tool then the
tables of tools that match `server.tool`. Among matching tables an exact name beats a glob, a longer
literal part beats a shorter one, and of two alike the later one wins. Each key is decided on its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from typing import Any, TypeVar

import msgspec

from trunkline.config.settings import ServerPolicy, ToolPolicy
from trunkline.core.limits import Limits

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_CACHED = 4096
_WILDCARD = re.compile(r"\*|\?|\[[^\]]*\]")
_LIMIT = "limits."


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one table, checked; keys of `limits` are written `limits.depth`."""

    pattern: str
    """Name or glob (`*`, `?`, `[abc]`) of the servers or tools meant; `*` for defaults."""
    values: Mapping[str, Any]
    label: str
    """Where it stands, such as `/srv/trunkline.toml: servers."db.*"`."""

    def rank(self, name: str) -> tuple[bool, int] | None:
        """Say how closely the pattern fits a name, greater is closer, or None if it does not."""
        if self.pattern == name:
            return True, len(name)
        if not re.match(translate(self.pattern), name):
            return None
        return False, len(_WILDCARD.sub("", self.pattern))


class Policy:
    """Effective settings by name, with the place each came from. Never changes once made."""

    def __init__(
        self,
        *,
        source: str | None = None,
        defaults: tuple[Table, ...] = (),
        servers: tuple[Table, ...] = (),
        tools: tuple[Table, ...] = (),
        profiles: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.source = source
        """File the policy came from, `argument`, or None when there is none."""
        self.profiles = profiles or {}
        """Tables under `[profiles]` as written; nothing activates them yet."""
        self._defaults = defaults
        self._servers = servers
        self._tools = tools
        self._by_server: dict[str, ServerPolicy] = {}
        self._by_tool: dict[tuple[str, str], ToolPolicy] = {}

    def for_server(self, name: str) -> ServerPolicy:
        """Give the settings of a server; the same object every time."""
        if (known := self._by_server.get(name)) is None:
            values = {key: value for key, (value, _) in self.explain(name).items()}
            limits = {
                key.removeprefix(_LIMIT): values.pop(key) for key in list(values) if key.startswith(_LIMIT)
            }
            known = ServerPolicy(**values, limits=Limits(**limits))
            _make_room(self._by_server)[name] = known
        return known

    def for_tool(self, server: str, tool: str) -> ToolPolicy:
        """Give the settings of a tool, named as its server names it; the same object every time."""
        if (known := self._by_tool.get((server, tool))) is None:
            values = {key: value for key, (value, _) in self.explain(server, tool).items()}
            known = ToolPolicy(**values)
            _make_room(self._by_tool)[server, tool] = known
        return known

    def explain(self, server: str, tool: str | None = None) -> dict[str, tuple[Any, str]]:
        """Give every effective value and where it came from, `default` for what nothing sets.

        Without `tool` these are the settings of the server, limits as `limits.depth`; with it those
        of the tool.
        """
        settings = ServerPolicy() if tool is None else ToolPolicy()
        found: dict[str, tuple[Any, str]] = {
            key: (value, "default") for key, value in _flatten(settings).items()
        }
        tables = [*self._defaults, *_matching(self._servers, server)]
        if tool is not None:
            tables += _matching(self._tools, f"{server}.{tool}")
        for table in tables:
            found |= {
                key: (value, f"{table.label}.{key}") for key, value in table.values.items() if key in found
            }
        return found

    def __repr__(self) -> str:
        return f"Policy(source={self.source!r}, servers={len(self._servers)}, tools={len(self._tools)})"


def _matching(tables: tuple[Table, ...], name: str) -> list[Table]:
    ranked = [(rank, table) for table in tables if (rank := table.rank(name)) is not None]
    return [table for _, table in sorted(ranked, key=lambda pair: pair[0])]


def _flatten(settings: ServerPolicy | ToolPolicy) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(settings, name) for name in settings.__struct_fields__}
    if isinstance(limits := values.pop("limits", None), Limits):
        values |= {f"{_LIMIT}{name}": getattr(limits, name) for name in limits.__struct_fields__}
    return values


def _make_room(cache: dict[_Key, _Value]) -> dict[_Key, _Value]:
    """Empty a full cache: names of tools come from servers, which may make up any number."""
    if len(cache) >= _CACHED:
        cache.clear()
    return cache

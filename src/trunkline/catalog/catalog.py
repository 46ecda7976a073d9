"""What exists, under which public name: an immutable value, built anew when a list changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import translate

from trunkline.catalog.listing import Listing
from trunkline.catalog.names import SEPARATORS, resolve, split_name
from trunkline.core.tool import Tool
from trunkline.security.sanitize import sanitize_text


class Catalog:
    """All tools of all servers, in a stable order: servers as configured, then as each server lists them."""

    __slots__ = ("_by_name", "_by_public_name", "_by_server", "_servers", "_tools", "_warnings")

    def __init__(self, tools: tuple[Tool, ...], servers: tuple[str, ...], warnings: tuple[str, ...]) -> None:
        self._tools = tools
        self._servers = servers
        self._warnings = warnings
        self._by_public_name = {tool.public_name: tool for tool in tools}
        self._by_server: dict[str, list[Tool]] = {}
        self._by_name: dict[str, list[Tool]] = {}
        for tool in tools:
            self._by_server.setdefault(tool.server, []).append(tool)
            self._by_name.setdefault(tool.name, []).append(tool)

    @classmethod
    def build(cls, listings: Iterable[Listing], servers: Sequence[str]) -> Catalog:
        """Put the listings together.

        A tool whose public name leads to another server, because that server's configured name is a longer
        match, is left out with a warning: it could not be named without doubt. So is a listing of a server
        that is not configured.

        Args:
            listings: at most one per server, in any order; a later one replaces an earlier.
            servers: every configured name, in configuration order, listed or not.
        """
        order = dict.fromkeys(servers)
        dotted = {server for server in order if "." in server}
        given = {listing.server: listing for listing in listings}
        warnings = [
            f"server '{sanitize_text(name)}' is not configured: ignored its listing"
            for name in given
            if name not in order
        ]
        tools: list[Tool] = []
        for listing in (given[server] for server in order if server in given):
            warnings += listing.warnings
            hidden = _hidden(listing, dotted)
            tools += (tool for tool in listing.tools if tool.name not in hidden)
            warnings += hidden.values()
        return cls(tuple(tools), tuple(order), tuple(warnings))

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Every tool, in the stable order."""
        return self._tools

    @property
    def servers(self) -> tuple[str, ...]:
        """Every configured server, in configuration order, also those that listed nothing."""
        return self._servers

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each definition that was left out, and why."""
        return self._warnings

    def get(self, public_name: str) -> Tool | None:
        """Give the tool with exactly this public name."""
        return self._by_public_name.get(public_name)

    def named(self, name: str) -> tuple[Tool, ...]:
        """Give the tools that their own servers call by this name."""
        return tuple(self._by_name.get(name, ()))

    def of_server(self, server: str) -> tuple[Tool, ...]:
        """Give the tools of one server, in its order."""
        return tuple(self._by_server.get(server, ()))

    def matching(self, glob: str) -> tuple[Tool, ...]:
        """Give the tools whose public name matches a shell pattern, such as `git.*`; case counts."""
        fits = re.compile(translate(glob)).match
        return tuple(tool for tool in self._tools if fits(tool.public_name))

    def resolve(self, selector: str, *, separators: str = SEPARATORS) -> Tool:
        """Give the one tool this name means; see `trunkline.catalog.names.resolve`."""
        return resolve(selector, self._servers, self, separators=separators)

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools)

    def __repr__(self) -> str:
        return f"Catalog({len(self._tools)} tools of {len(self._servers)} servers)"


def _hidden(listing: Listing, servers: Collection[str]) -> dict[str, str]:
    """Give a warning for each tool name of this listing that one of these servers' names swallows."""
    prefix = f"{listing.server}."
    if not any(server.startswith(prefix) for server in servers):
        return {}
    known = {*servers, listing.server}
    owners = {tool.name: split_name(tool.public_name, known) for tool in listing.tools}
    return {
        name: f"server '{sanitize_text(listing.server)}': left out tool '{sanitize_text(name)}', "
        f"as its public name belongs to server '{sanitize_text(owner[0])}'; rename one of the two servers"
        for name, owner in owners.items()
        if owner is not None and owner[0] != listing.server
    }

"""What exists, under which public name: an immutable value, built anew when a list changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from fnmatch import translate

from trunkline.catalog.listing import Listing
from trunkline.catalog.names import SEPARATORS, Named, NameIndex, What, resolve, split_name
from trunkline.core.prompt import Prompt
from trunkline.core.resource import Resource, Template
from trunkline.core.tool import Tool
from trunkline.errors import AmbiguousNameError
from trunkline.security.sanitize import sanitize_text


class Catalog:
    """Everything all servers list, in a stable order: servers as configured, then as each one lists it."""

    __slots__ = ("_prompts", "_resources", "_servers", "_templates", "_tools", "_warnings")

    def __init__(
        self,
        tools: tuple[Tool, ...],
        servers: tuple[str, ...],
        warnings: tuple[str, ...],
        *,
        resources: tuple[Resource, ...] = (),
        templates: tuple[Template, ...] = (),
        prompts: tuple[Prompt, ...] = (),
    ) -> None:
        self._tools: NameIndex[Tool] = NameIndex(tools)
        self._servers = servers
        self._warnings = warnings
        self._resources = resources
        self._templates = templates
        self._prompts: NameIndex[Prompt] = NameIndex(prompts)

    @classmethod
    def build(cls, listings: Iterable[Listing], servers: Sequence[str]) -> Catalog:
        """Put the listings together.

        A tool or prompt whose public name leads to another server, because that server's configured name
        is a longer match, is left out with a warning: it could not be named without doubt. So is a listing
        of a server that is not configured.

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
        prompts: list[Prompt] = []
        found = [given[server] for server in order if server in given]
        for listing in found:
            warnings += listing.warnings
            tools += _reachable(listing, listing.tools, dotted, warnings, "tool")
            prompts += _reachable(listing, listing.prompts, dotted, warnings, "prompt")
        return cls(
            tuple(tools),
            tuple(order),
            tuple(warnings),
            resources=tuple(one for listing in found for one in listing.resources),
            templates=tuple(one for listing in found for one in listing.templates),
            prompts=tuple(prompts),
        )

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Every tool, in the stable order."""
        return self._tools.items

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Every resource, in the stable order; two servers may list one URI."""
        return self._resources

    @property
    def templates(self) -> tuple[Template, ...]:
        """Every template of resources, in the stable order."""
        return self._templates

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Every prompt, in the stable order."""
        return self._prompts.items

    @property
    def servers(self) -> tuple[str, ...]:
        """Every configured server, in configuration order, also those that listed nothing."""
        return self._servers

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each definition that was left out and each list that could not be read."""
        return self._warnings

    def get(self, public_name: str) -> Tool | None:
        """Give the tool with exactly this public name."""
        return self._tools.get(public_name)

    def prompt(self, public_name: str) -> Prompt | None:
        """Give the prompt with exactly this public name."""
        return self._prompts.get(public_name)

    def named(self, name: str) -> tuple[Tool, ...]:
        """Give the tools that their own servers call by this name."""
        return self._tools.named(name)

    def of_server(self, server: str) -> tuple[Tool, ...]:
        """Give the tools of one server, in its order."""
        return self._tools.of_server(server)

    def matching(self, glob: str) -> tuple[Tool, ...]:
        """Give the tools whose public name matches a shell pattern, such as `git.*`; case counts."""
        fits = re.compile(translate(glob)).match
        return tuple(tool for tool in self._tools.items if fits(tool.public_name))

    def resolve(self, selector: str, *, separators: str = SEPARATORS) -> Tool:
        """Give the one tool this name means; see `trunkline.catalog.names.resolve`.

        What is stale makes no name ambiguous.
        """
        with suppress(AmbiguousNameError):
            return resolve(selector, self._servers, self._tools, separators=separators)
        return resolve(selector, self._servers, _certain(self._tools), separators=separators)

    def resolve_prompt(self, selector: str, *, separators: str = SEPARATORS) -> Prompt:
        """Give the one prompt this name means, as `resolve` does."""
        with suppress(AmbiguousNameError):
            return resolve(selector, self._servers, self._prompts, separators=separators, what="prompt")
        certain = _certain(self._prompts)
        return resolve(selector, self._servers, certain, separators=separators, what="prompt")

    def __len__(self) -> int:
        return len(self._tools.items)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.items)

    def __repr__(self) -> str:
        return f"Catalog({len(self._tools.items)} tools of {len(self._servers)} servers)"


def _certain(names: NameIndex[Named]) -> NameIndex[Named]:
    return NameIndex(tuple(one for one in names if not one.stale))


def _reachable(
    listing: Listing, items: tuple[Named, ...], servers: Collection[str], warnings: list[str], what: What
) -> Iterable[Named]:
    """Give what no other server's name swallows, and add a warning for each that one does."""
    prefix = f"{listing.server}."
    if not any(server.startswith(prefix) for server in servers):
        return items
    known = {*servers, listing.server}
    kept: list[Named] = []
    for item in items:
        owner = split_name(item.public_name, known)
        if owner is None or owner[0] == listing.server:
            kept.append(item)
            continue
        warnings.append(
            f"server '{sanitize_text(listing.server)}': left out {what} '{sanitize_text(item.name)}', "
            f"as its public name belongs to server '{sanitize_text(owner[0])}'; rename one of the two servers"
        )
    return kept

"""Which tool a name means: the public name `server.tool`, or the bare name where it is unique.

A server is known by its configured name, which may hold any character, dots too. The longest configured
name that fits wins, and what follows it is looked up in that server only: a name never leads elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Protocol

from trunkline.catalog.nearest import nearest_names
from trunkline.core.tool import Tool
from trunkline.errors import AmbiguousNameError, NotFoundError
from trunkline.security.sanitize import sanitize_text

SEPARATORS = "."
"""What stands between server and tool in a program."""
CLI_SEPARATORS = "./:"
"""What may stand between server and tool on the command line."""
_NEAR = 3
_MAX_NAMED = 5
_MAX_SHOWN = 120


class Names(Protocol):
    """What resolving needs of a catalog."""

    @property
    def tools(self) -> tuple[Tool, ...]: ...

    def get(self, public_name: str) -> Tool | None: ...

    def of_server(self, server: str) -> tuple[Tool, ...]: ...

    def named(self, name: str) -> tuple[Tool, ...]: ...


def split_name(
    selector: str, servers: Collection[str], *, separators: str = SEPARATORS
) -> tuple[str, str] | None:
    """Give server and tool name of a selector, or None when it begins with no configured server.

    Args:
        servers: the configured names.
        separators: characters, any of which may stand between the two.
    """
    known = servers if isinstance(servers, (set, frozenset, dict)) else set(servers)
    for at in range(len(selector) - 2, -1, -1):
        if selector[at] in separators and selector[:at] in known:
            return selector[:at], selector[at + 1 :]
    return None


def resolve(selector: str, servers: Collection[str], catalog: Names, *, separators: str = SEPARATORS) -> Tool:
    """Give the one tool this name means.

    Raises:
        AmbiguousNameError: several servers have a tool of this bare name.
        NotFoundError: nothing has this name; `candidates` holds up to three that are near.
    """
    parts = split_name(selector, servers, separators=separators)
    if parts is not None:
        server, name = parts
        tool = catalog.get(f"{server}.{name}")
        if tool is None or tool.server != server:
            raise _unknown_tool(server, name, catalog)
        return tool
    owners = catalog.named(selector)
    if len(owners) > 1:
        raise _ambiguous(selector, owners)
    if owners:
        return owners[0]
    raise _only_a_server(selector, catalog) if selector in servers else _unknown_name(selector, catalog)


def _ambiguous(selector: str, owners: Sequence[Tool]) -> AmbiguousNameError:
    candidates = tuple(sorted(tool.public_name for tool in owners))
    return AmbiguousNameError(
        f"{len(owners)} servers have a tool of this name: {_listed(candidates)}",
        candidates=candidates,
        tool=_shown(selector),
        hint=f"Name the server too, such as {_shown(candidates[0])}.",
    )


def _unknown_tool(server: str, name: str, catalog: Names) -> NotFoundError:
    own = catalog.of_server(server)
    near = _near(name, own)
    near += [tool for tool in _near(name, catalog.tools) if tool.server != server][: _NEAR - len(near)]
    found = f"server '{_shown(server)}' has no tool '{_shown(name)}'"
    return NotFoundError(
        found if own else f"{found}, it lists no tools at all",
        candidates=tuple(tool.public_name for tool in near),
        server=server,
        tool=_shown(f"{server}.{name}"),
        hint=_hint(near, f"`trunkline tools {_shown(server)}` lists its tools."),
    )


def _only_a_server(selector: str, catalog: Names) -> NotFoundError:
    own = tuple(tool.public_name for tool in catalog.of_server(selector))
    has = f"its tools are {_listed(own)}" if own else "it lists no tools"
    return NotFoundError(
        f"this is the name of a server, not of a tool; {has}",
        candidates=own[:_NEAR],
        server=selector,
        hint=f"`trunkline tools {_shown(selector)}` lists its tools.",
    )


def _unknown_name(selector: str, catalog: Names) -> NotFoundError:
    near = _near_selector(selector, catalog.tools)
    return NotFoundError(
        "no server has a tool of this name",
        candidates=tuple(tool.public_name for tool in near),
        tool=_shown(selector),
        hint=_hint(near, "`trunkline tools` lists all tools."),
    )


def _near_selector(selector: str, tools: Sequence[Tool]) -> list[Tool]:
    """Where it holds a separator, the whole may be misspelled, or only the server's part be wrong."""
    bare = re.split(f"[{re.escape(CLI_SEPARATORS)}]", selector)[-1]
    if bare == selector:
        return _near(selector, tools)
    public_names = [tool.public_name for tool in tools]
    near = [tools[place] for place in nearest_names(selector, public_names, limit=_NEAR)]
    if len(near) < _NEAR:
        near += _near(bare, tools)
    return list({tool.public_name: tool for tool in near}.values())[:_NEAR]


def _near(name: str, tools: Sequence[Tool]) -> list[Tool]:
    return [tools[place] for place in nearest_names(name, [tool.name for tool in tools], limit=_NEAR)]


def _hint(near: Sequence[Tool], fallback: str) -> str:
    if not near:
        return fallback
    names = " or ".join(_shown(tool.public_name) for tool in near)
    return f"Did you mean {names}? {fallback}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(_shown(name) for name in names[:_MAX_NAMED])
    return shown if len(names) <= _MAX_NAMED else f"{shown} and {len(names) - _MAX_NAMED} more"


def _shown(name: str) -> str:
    shown = sanitize_text(name[:_MAX_SHOWN])
    return shown if len(name) <= _MAX_SHOWN else shown + "…"

"""Which tool or prompt a name means: the public name `server.tool`, or the bare name where it is unique.

A server is known by its configured name, which may hold any character, dots too. The longest configured
name that fits wins, and what follows it is looked up in that server only: a name never leads elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Generic, Literal, Protocol, TypeVar

from trunkline.catalog.nearest import nearest_names
from trunkline.core.prompt import Prompt
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


Named = TypeVar("Named", Tool, Prompt)
Named_co = TypeVar("Named_co", Tool, Prompt, covariant=True)
What = Literal["tool", "prompt"]


class Names(Protocol[Named_co]):
    """What resolving needs of a catalog."""

    def __iter__(self) -> Iterator[Named_co]: ...

    def get(self, public_name: str) -> Named_co | None: ...

    def of_server(self, server: str) -> tuple[Named_co, ...]: ...

    def named(self, name: str) -> tuple[Named_co, ...]: ...


class NameIndex(Generic[Named]):
    """Named things of all servers, in a stable order, to be found by either name."""

    __slots__ = ("_by_name", "_by_public_name", "_by_server", "items")

    def __init__(self, items: tuple[Named, ...]) -> None:
        self.items: tuple[Named, ...] = items
        self._by_public_name: dict[str, Named] = {item.public_name: item for item in items}
        self._by_server: dict[str, list[Named]] | None = None
        self._by_name: dict[str, list[Named]] | None = None

    def __iter__(self) -> Iterator[Named]:
        return iter(self.items)

    def get(self, public_name: str) -> Named | None:
        """Give what has exactly this public name."""
        return self._by_public_name.get(public_name)

    def named(self, name: str) -> tuple[Named, ...]:
        """Give what its own servers call by this name."""
        if self._by_name is None:
            self._by_name = {}
            for item in self.items:
                self._by_name.setdefault(item.name, []).append(item)
        return tuple(self._by_name.get(name, ()))

    def of_server(self, server: str) -> tuple[Named, ...]:
        """Give what one server lists, in its order."""
        if self._by_server is None:
            self._by_server = {}
            for item in self.items:
                self._by_server.setdefault(item.server, []).append(item)
        return tuple(self._by_server.get(server, ()))


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


def resolve(
    selector: str,
    servers: Collection[str],
    names: Names[Named],
    *,
    separators: str = SEPARATORS,
    what: What = "tool",
) -> Named:
    """Give the one tool, or prompt, this name means.

    Raises:
        AmbiguousNameError: several servers have one of this bare name.
        NotFoundError: nothing has this name; `candidates` holds up to three that are near.
    """
    parts = split_name(selector, servers, separators=separators)
    if parts is not None:
        server, name = parts
        item = names.get(f"{server}.{name}")
        if item is None or item.server != server:
            raise _unknown_item(server, name, names, what)
        return item
    owners = names.named(selector)
    if len(owners) > 1:
        raise _ambiguous(selector, owners, what)
    if owners:
        return owners[0]
    if selector in servers:
        raise _only_a_server(selector, names, what)
    raise _unknown_name(selector, names, what)


def _ambiguous(selector: str, owners: Sequence[Tool | Prompt], what: What) -> AmbiguousNameError:
    candidates = tuple(sorted(item.public_name for item in owners))
    return AmbiguousNameError(
        f"{len(owners)} servers have a {what} of this name: {_listed(candidates)}",
        candidates=candidates,
        tool=_shown(selector),
        hint=f"Name the server too, such as {_shown(candidates[0])}.",
    )


def _unknown_item(server: str, name: str, names: Names[Named], what: What) -> NotFoundError:
    own = names.of_server(server)
    near = _near(name, own)
    near += [item for item in _near(name, tuple(names)) if item.server != server][: _NEAR - len(near)]
    found = f"server '{_shown(server)}' has no {what} '{_shown(name)}'"
    return NotFoundError(
        found if own else f"{found}, it lists no {what}s at all",
        candidates=tuple(item.public_name for item in near),
        server=server,
        tool=_shown(f"{server}.{name}"),
        hint=_hint(near, _listing_command(what, server)),
    )


def _only_a_server(selector: str, names: Names[Named], what: What) -> NotFoundError:
    own = tuple(item.public_name for item in names.of_server(selector))
    has = f"its {what}s are {_listed(own)}" if own else f"it lists no {what}s"
    return NotFoundError(
        f"this is the name of a server, not of a {what}; {has}",
        candidates=own[:_NEAR],
        server=selector,
        hint=_listing_command(what, selector),
    )


def _unknown_name(selector: str, names: Names[Named], what: What) -> NotFoundError:
    near = _near_selector(selector, tuple(names))
    return NotFoundError(
        f"no server has a {what} of this name",
        candidates=tuple(item.public_name for item in near),
        tool=_shown(selector),
        hint=_hint(near, _listing_command(what)),
    )


def _listing_command(what: What, server: str | None = None) -> str:
    if what == "prompt":
        return "`trunkline prompt` lists all prompts."
    if server is None:
        return "`trunkline tools` lists all tools."
    return f"`trunkline tools {_shown(server)}` lists its tools."


def _near_selector(selector: str, items: Sequence[Named]) -> list[Named]:
    """Where it holds a separator, the whole may be misspelled, or only the server's part be wrong."""
    bare = re.split(f"[{re.escape(CLI_SEPARATORS)}]", selector)[-1]
    if bare == selector:
        return _near(selector, items)
    public_names = [item.public_name for item in items]
    near = [items[place] for place in nearest_names(selector, public_names, limit=_NEAR)]
    if len(near) < _NEAR:
        near += _near(bare, items)
    return list({item.public_name: item for item in near}.values())[:_NEAR]


def _near(name: str, items: Sequence[Named]) -> list[Named]:
    return [items[place] for place in nearest_names(name, [item.name for item in items], limit=_NEAR)]


def _hint(near: Sequence[Tool | Prompt], fallback: str) -> str:
    if not near:
        return fallback
    names = " or ".join(_shown(item.public_name) for item in near)
    return f"Did you mean {names}? {fallback}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(_shown(name) for name in names[:_MAX_NAMED])
    return shown if len(names) <= _MAX_NAMED else f"{shown} and {len(names) - _MAX_NAMED} more"


def _shown(name: str) -> str:
    shown = sanitize_text(name[:_MAX_SHOWN])
    return shown if len(name) <= _MAX_SHOWN else shown + "…"

"""Which tool a part of a name means, for people at a prompt; programs use whole names."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from trunkline.catalog.names import Names, resolve, split_name
from trunkline.core.tool import Tool
from trunkline.errors import AmbiguousNameError, NotFoundError
from trunkline.security.sanitize import sanitize_text

_MAX_NAMED = 5


def resolve_partial(selector: str, servers: Collection[str], catalog: Names[Tool]) -> Tool:
    """Give the one tool this name, or else this beginning, or else this part of a name, means.

    A part after a configured server's name is looked for in that server only. Case does not count in a
    part, and a whole name always wins over parts.

    Raises:
        AmbiguousNameError: it fits several tools; `candidates` holds all of them.
        NotFoundError: it fits none.
    """
    try:
        return resolve(selector, servers, catalog)
    except NotFoundError as missing:
        fitting = _fitting(selector, servers, catalog)
        if not fitting:
            raise
        if len(fitting) > 1:
            raise _ambiguous(selector, fitting) from missing
        return fitting[0]


def _fitting(selector: str, servers: Collection[str], catalog: Names[Tool]) -> Sequence[Tool]:
    pair = split_name(selector, servers)
    part = (selector if pair is None else pair[1]).lower()
    tools = tuple(catalog) if pair is None else catalog.of_server(pair[0])
    if not part or selector in servers:
        return ()
    beginning = [tool for tool in tools if tool.name.lower().startswith(part)]
    return beginning or [tool for tool in tools if part in tool.name.lower()]


def _ambiguous(selector: str, fitting: Sequence[Tool]) -> AmbiguousNameError:
    candidates = tuple(sorted(tool.public_name for tool in fitting))
    shown = ", ".join(sanitize_text(name) for name in candidates[:_MAX_NAMED])
    more = len(candidates) - _MAX_NAMED
    return AmbiguousNameError(
        f"{len(candidates)} tools fit this part of a name: {shown}{f' and {more} more' if more > 0 else ''}",
        candidates=candidates,
        tool=sanitize_text(selector),
        hint="Write more of the name, or the public name `server.tool`.",
    )

"""Reading the definitions a server lists, one by one: a bad one costs exactly itself."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, TypeVar

from trunkline.security.sanitize import sanitize_text

Item = TypeVar("Item")

Reading = Generator[None, None, tuple[tuple[Item, ...], tuple[str, ...]]]
"""Reads a list, pausing now and then, so that a server's list of any length holds nobody up.

What it returns are the items, and one sentence for each that was dropped.
"""

_MAX_SHOWN = 80
_MOST_WARNINGS = 1_000
_STEP = 100
"""Definitions between two pauses."""


def finish(reading: Reading[Item]) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Read without pauses."""
    while True:
        try:
            next(reading)
        except StopIteration as end:
            found: tuple[tuple[Item, ...], tuple[str, ...]] = end.value
            return found


def read_each(
    server: str,
    raw_items: Iterable[object],
    what: str,
    parse: Callable[[object], Item],
    identify: Callable[[Item], str],
    kind: str = "name",
) -> Reading[Item]:
    """Read a list of definitions, dropping each bad one with a warning.

    Of two with one identity the first is kept. Only so many warnings are written out.

    Args:
        what: the word for one of them, such as `tool`.
        parse: reads one definition; raises ValueError with the reason why it is malformed.
        identify: gives what must be unique in the list.
        kind: the word for that.
    """
    items: dict[str, Item] = {}
    warnings: list[str] = []
    dropped = 0
    for position, raw in enumerate(raw_items, 1):
        if position % _STEP == 0:
            yield
        try:
            item = parse(raw)
            if (identity := identify(item)) in items:
                raise ValueError(f"an earlier {what} has the same {kind}")
        except ValueError as reason:
            dropped += 1
            if dropped > _MOST_WARNINGS:
                continue
            name = f" {shown(given)}" if (given := named(raw)) else ""
            warnings.append(f"server {shown(server)}: dropped {what} {position}{name}: {cut(str(reason))}")
        else:
            items[identity] = item
    if dropped > _MOST_WARNINGS:
        warnings.append(f"server {shown(server)}: dropped {dropped - _MOST_WARNINGS:,} more")
    return tuple(items.values()), tuple(warnings)


def object_in(raw: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """Give a member that is an object, else None."""
    value = raw.get(key)
    return value if isinstance(value, Mapping) else None


def text_in(raw: Mapping[str, Any], key: str) -> str | None:
    """Give a member that is text and not empty, else None."""
    value = raw.get(key)
    return value if isinstance(value, str) and value else None


def named(raw: object) -> str | None:
    """Give the name a definition has, however malformed it is otherwise."""
    return text_in(raw, "name") if isinstance(raw, Mapping) else None


def shown(name: str) -> str:
    """Give a name as it stands in a message: quoted, harmless, not too long."""
    return f"'{cut(name)}'"


def cut(text: str) -> str:
    """Give text that a server wrote as it may stand in a message."""
    safe = sanitize_text(text[: 2 * _MAX_SHOWN])
    return safe if len(safe) <= _MAX_SHOWN else safe[: _MAX_SHOWN - 1] + "…"

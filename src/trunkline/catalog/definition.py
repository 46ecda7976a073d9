"""Reading the definitions a server lists, one by one: a bad one costs exactly itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from trunkline.security.sanitize import sanitize_text

Item = TypeVar("Item")

_MAX_SHOWN = 80


def parse_each(
    server: str,
    raw_items: Iterable[object],
    what: str,
    parse: Callable[[object], Item],
    identify: Callable[[Item], str],
    kind: str = "name",
) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Read a list of definitions, dropping each bad one with a warning.

    Of two with one identity the first is kept.

    Args:
        what: the word for one of them, such as `tool`.
        parse: reads one definition; raises ValueError with the reason why it is malformed.
        identify: gives what must be unique in the list.
        kind: the word for that.
    """
    items: dict[str, Item] = {}
    warnings: list[str] = []
    for position, raw in enumerate(raw_items, 1):
        try:
            item = parse(raw)
            if (identity := identify(item)) in items:
                raise ValueError(f"an earlier {what} has the same {kind}")
        except ValueError as reason:
            name = f" {shown(given)}" if (given := named(raw)) else ""
            warnings.append(f"server {shown(server)}: dropped {what} {position}{name}: {cut(str(reason))}")
        else:
            items[identity] = item
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

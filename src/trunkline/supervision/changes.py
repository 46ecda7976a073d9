"""What is different between two readings of one list. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.core.events import ListChanged
from trunkline.protocol.lists import Kind

_NAMES: dict[Kind, str] = {
    "tools": "name",
    "resources": "uri",
    "templates": "uriTemplate",
    "prompts": "name",
}


def compare_lists(
    server: str, kind: Kind, before: Iterable[object], after: Iterable[object]
) -> ListChanged | None:
    """Give the event that tells the difference, or None when there is none; another order is one too."""
    old, new = tuple(before), tuple(after)
    if old == new:
        return None
    was, now = _by_name(kind, old), _by_name(kind, new)
    return ListChanged(
        server=server,
        kind=kind,
        added=tuple(name for name in now if name not in was),
        removed=tuple(name for name in was if name not in now),
        changed=tuple(name for name, item in now.items() if name in was and was[name] != item),
    )


def _by_name(kind: Kind, items: tuple[object, ...]) -> dict[str, object]:
    """Give the definitions that have a name; what has none cannot be told apart."""
    key = _NAMES[kind]
    return {item[key]: item for item in items if isinstance(item, dict) and isinstance(item.get(key), str)}

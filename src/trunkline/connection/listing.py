"""All pages of a list, bounded: a cap on pages and items, and no cursor twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from trunkline.core.limits import Limits


class Pages(msgspec.Struct, frozen=True, kw_only=True):
    """What a paged list gave."""

    items: tuple[Any, ...]
    warnings: tuple[str, ...] = ()
    """Why the list may be incomplete; empty when it is whole."""


async def read_pages(
    ask: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]], key: str, limits: Limits
) -> Pages:
    """Read every page of a list; what is valid is kept when the server's paging is not.

    An empty cursor is a cursor (specification 2026-07-28, server/utilities/pagination), but none may
    come twice.

    Args:
        ask: sends one list request with these params and gives its result.
        key: the member that holds the items, such as `tools`.
    """
    items: list[Any] = []
    seen: set[str] = set()
    params: dict[str, Any] = {}
    for _ in range(limits.pages):
        result = await ask(params)
        page = result.get(key)
        if not isinstance(page, list):
            return _partial(items, f"a page of the list has no {key!r} array")
        items.extend(page)
        if len(items) > limits.items:
            return _partial(items[: limits.items], f"the list has more than {limits.items:,} items")
        cursor = result.get("nextCursor")
        if not isinstance(cursor, str):
            return Pages(items=tuple(items))
        if cursor in seen:
            return _partial(items, "the list repeats a cursor")
        seen.add(cursor)
        params = {"cursor": cursor}
    return _partial(items, f"the list has more than {limits.pages:,} pages")


def _partial(items: list[Any], reason: str) -> Pages:
    return Pages(items=tuple(items), warnings=(f"{reason}; what came before it is used",))

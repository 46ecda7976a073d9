"""All pages of a list, bounded: a cap on pages and items, a deadline, and no cursor twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from trunkline.core.limits import Limits
from trunkline.errors import ProtocolError, ServerError
from trunkline.protocol.eras import INVALID_PARAMS

Ask = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class Pages(msgspec.Struct, frozen=True, kw_only=True):
    """What a paged list gave."""

    items: tuple[Any, ...]
    warnings: tuple[str, ...] = ()
    """Why the list may be incomplete; empty when it is whole."""
    ttl_ms: int | None = None
    """Milliseconds for which the server calls all of it fresh, or None where it does not say."""
    scope: str | None = None
    """The server's `cacheScope`: `private` if any page says so, else `public`, or None."""
    cut: bool = False
    """Whether a page was refused or could not be read, so that asking again may give more."""


async def read_pages(ask: Ask, key: str, limits: Limits, deadline: float) -> Pages:
    """Read every page of a list; what is valid is kept when the server's paging is not.

    An empty cursor is a cursor (specification 2026-07-28, server/utilities/pagination), but none may
    come twice. A cursor that the server calls invalid means that the list has changed meanwhile: it is
    read from its beginning once more (server/utilities/caching, "Interaction with Pagination").

    Args:
        ask: sends one list request with these params and gives its result.
        key: the member that holds the items, such as `tools`.
        deadline: moment, on the clock of the running loop, at which no further page is waited for. The
            first one is the caller's to bound.

    Raises:
        CallError: the first page could not be read, or the link was lost.
    """
    reading = _Reading(ask, key, limits, deadline)
    pages = await reading.read()
    return await _Reading(ask, key, limits, deadline).read() if reading.outdated else pages


class _Reading:
    """One way through the pages of a list."""

    def __init__(self, ask: Ask, key: str, limits: Limits, deadline: float) -> None:
        self.outdated = False
        """Whether the server no longer knew one of its own cursors."""
        self._deadline = deadline
        self._ask = ask
        self._key = key
        self._limits = limits
        self._items: list[Any] = []
        self._ttls: list[int] = []
        self._scopes: set[str] = set()

    async def read(self) -> Pages:
        result = await self._ask({})
        seen: set[str] = set()
        while True:
            if (problem := self._take(result)) is not None:
                return self._give(problem)
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str):
                return self._give()
            if cursor in seen:
                return self._give("the list repeats a cursor")
            seen.add(cursor)
            if len(seen) >= self._limits.pages:
                return self._give(f"the list has more than {self._limits.pages:,} pages")
            try:
                async with asyncio.timeout_at(self._deadline):
                    result = await self._ask({"cursor": cursor})
            except TimeoutError:
                return self._give("its pages did not all come in time", cut=True)
            except (ServerError, ProtocolError) as error:
                self.outdated = isinstance(error, ServerError) and error.rpc_code == INVALID_PARAMS
                return self._give(f"a further page could not be read ({error.message})", cut=True)

    def _take(self, result: Mapping[str, Any]) -> str | None:
        """Add one page; give what is wrong with it, or None."""
        page = result.get(self._key)
        if not isinstance(page, list):
            return f"a page of the list has no {self._key!r} array"
        self._items.extend(page)
        if type(ttl := result.get("ttlMs")) is int:
            self._ttls.append(max(0, ttl))
        if (scope := result.get("cacheScope")) in ("public", "private"):
            self._scopes.add(scope)
        if len(self._items) > self._limits.items:
            del self._items[self._limits.items :]
            return f"the list has more than {self._limits.items:,} items"
        return None

    def _give(self, problem: str | None = None, *, cut: bool = False) -> Pages:
        return Pages(
            items=tuple(self._items),
            warnings=() if problem is None else (f"{problem}; what came before it is used",),
            ttl_ms=min(self._ttls, default=None),
            scope="private" if "private" in self._scopes else next(iter(self._scopes), None),
            cut=cut,
        )

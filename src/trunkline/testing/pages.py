"""How a fake cuts its lists into pages, in good order or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from trunkline.testing.eras import INVALID_PARAMS
from trunkline.testing.script import RpcError

Cursors = Literal["plain", "empty", "endless", "cyclic"]
"""How lists end.

`plain`: after the last item. `empty`: the same, and the cursor of the second page is the empty string, which
is a valid one. `endless`: empty pages with ever new cursors follow the last item. `cyclic`: the last page
points back to the first.
"""


def cut_page(
    items: Sequence[Any], cursor: Any, size: int | None, cursors: Cursors
) -> tuple[list[Any], str | None]:
    """Give one page and the cursor of the next, None after the last.

    Args:
        cursor: as it came from the client; None asks for the first page.

    Raises:
        RpcError: -32602, the cursor is not one of ours.
    """
    size = size or max(len(items), 1)
    start = 0 if cursor is None else _offset(cursor, size, cursors)
    page, following = list(items[start : start + size]), start + size
    if following < len(items) or cursors == "endless":
        return page, "" if cursors == "empty" and following == size else str(following)
    return page, "0" if cursors == "cyclic" else None


def _offset(cursor: Any, size: int, cursors: Cursors) -> int:
    if cursor == "" and cursors == "empty":
        return size
    if not (isinstance(cursor, str) and cursor.isascii() and cursor.isdigit()):
        raise RpcError(INVALID_PARAMS, f"invalid cursor: {cursor!r}")
    return int(cursor)

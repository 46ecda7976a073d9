"""What a place for answers outside of a runtime has to do, and the form in which it keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

VERSION = 1
SALT_BYTES = 32
_AHEAD = 60.0
"""Seconds that the clock of another machine may be ahead of ours."""


class Found(NamedTuple):
    """What a place for answers gave."""

    value: bytes | None
    """What is kept under the key, or None."""
    mark: int
    """Counts up whenever something of the server is forgotten."""


class ReplyStore(Protocol):
    """Keeps answers for other runs and other machines; what it gives is trusted no more than a server is.

    A key is made of parts with a colon between them, of which the first stands for the server. Whatever a
    method raises, or that it takes longer than half a second, costs no call: it is as if nothing were kept.
    """

    async def salt(self) -> bytes:
        """Give the 32 random bytes that keys are made with; the same to everybody who uses this place."""
        ...

    async def get(self, key: str) -> Found:
        """Give what is kept under a key."""
        ...

    async def put(self, key: str, value: bytes, keep_for: float, mark: int) -> bool:
        """Keep this for so many seconds, if the server's mark is still the one `get` gave; whether it is."""
        ...

    async def drop(self, server: str, concerned: Callable[[str], bool]) -> int:
        """Forget the answers of a server whose keys are meant, and move its mark; how many."""
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What stands before the answer itself, on a line of its own."""

    version: int = VERSION
    key: str
    """What it is kept under, so that nothing else is taken for it, whatever the place mixes up."""
    stored: float
    """When the answer came, in seconds since the epoch."""
    fresh_for: float
    keep_for: float
    era: str = ""
    transport: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Kept).decode


def write_kept(head: Kept, body: bytes) -> bytes:
    """Give the bytes that are kept."""
    return _encode(head) + b"\n" + body


def read_kept(data: bytes, key: str, now: float) -> tuple[Kept, bytes] | None:
    """Give what is kept, or None for what is not kept under this key, or no whole answer, or from the future.

    Args:
        now: seconds since the epoch.
    """
    head, mark, body = data.partition(b"\n")
    try:
        kept = _decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not mark or kept.version != VERSION or kept.key != key or kept.stored > now + _AHEAD:
        return None
    return (kept, body) if _is_answer(body) else None


def _is_answer(body: bytes) -> bool:
    """Whether it is a result such as is kept: no error, no task, nothing that more is to follow."""
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(raw, dict) or raw.get("isError") is True or "task" in raw:
        return False
    return bool(raw.get("resultType", "complete") == "complete")

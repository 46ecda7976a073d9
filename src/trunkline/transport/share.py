"""How much of one turn of the event loop the messages of one server may take.

Answers that somebody waits for are not counted: how many can come is for the callers to say. All else a
server sends as often as it likes, so after a share of it everybody else has a turn first.
"""

from __future__ import annotations

import asyncio

SHARE = 32
"""Messages that nobody asked for, taken in one turn."""
SLICE = 4 * 1024
"""Bytes of a stream that are a turn's work however many lines they hold."""
_LINES = 256
"""Lines of a piece of a stream above which it is cut into slices, each a turn's work."""
_WEIGHT = 8 * 1024
"""Bytes of a message that count as one message more."""


class Share:
    """Counts what one stream has taken of the loop; its reader asks after each message whether to rest."""

    __slots__ = ("taken", "total")

    def __init__(self) -> None:
        self.taken = 0
        """Messages counted since others had their turn."""
        self.total = 0
        """The same of what nobody asked for, over all time."""

    def take(self, size: int) -> None:
        """A message of so many bytes was taken, for which nobody waits."""
        weight = 1 + size // _WEIGHT
        self.taken += weight
        self.total += weight

    def fill(self, size: int, *, asked: bool = False) -> bool:
        """As `take`, or of what was asked for; gives whether the share is used up."""
        total = self.total
        self.take(size)
        if asked:
            self.total = total
        return self.taken >= SHARE

    def renew(self) -> None:
        """Others have had their turn."""
        self.taken = 0

    async def spend(self, size: int) -> None:
        """As `take`; then let others have a turn if the share is used up."""
        if self.fill(size):
            self.taken = 0
            await asyncio.sleep(0)


def cut_lines(chunk: bytes) -> list[bytes]:
    """Give a piece of a stream as it is, or in slices, for a turn each, where it holds very many lines."""
    if len(chunk) <= SLICE or chunk.count(b"\n") + chunk.count(b"\r") <= _LINES:
        return [chunk]
    return [chunk[start : start + SLICE] for start in range(0, len(chunk), SLICE)]

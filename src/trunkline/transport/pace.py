"""How much of the loop's time a server may take with what nobody asked it for; above that it is read less.

Answers are not counted: how many can come is for the callers to say. What is not read waits in the pipe, and
when that is full the server waits: it alone is slower then. `Pace` is pure; `Pacing` rests for those who read
in tasks.
"""

from __future__ import annotations

import asyncio

from trunkline.protocol.sse import Event, EventParser
from trunkline.transport.share import Share

PIECE = 32 * 1024
"""Bytes of a flood that are read at once: well below a millisecond's work."""
WHOLE = 256 * 1024
"""Bytes that are read at once else."""
_WINDOW = 1.0
"""Seconds over which messages are counted."""
_REST = 19
"""Rest after each piece of a flood, as a multiple of the time the piece took: a twentieth is left to it."""
_LEAST = 0.002
"""Seconds of the shortest such rest."""
_PIECE_SECONDS = 0.001
_PIECE_MESSAGES = 256
"""What is taken of a flood at once, where there are no pieces of bytes."""


class Pace:
    """Decides how one stream is read.

    Args:
        most: messages of one second that nobody asked for and that are read as they come.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._began = float("-inf")
        self._exceeded = False
        self.allowed = most
        """Messages that nobody asked for, over all time, above which `rest` is to be asked."""
        self.flooding = False
        """Whether there were too many in this second or the last."""

    def rest(self, unasked: int, began: float, now: float) -> float:
        """Give for how many seconds nothing is to be read.

        Args:
            unasked: messages so far that nobody asked for.
            began: when it was begun to take the last piece.
        """
        age = now - self._began
        if age >= _WINDOW:
            self.flooding, self._exceeded = self._exceeded and age < 2 * _WINDOW, False
            self._began, self.allowed = now, unasked + self._most
            return 0.0
        self.flooding = self._exceeded = True
        return max(_LEAST, _REST * (now - began))

    def has_ended(self, now: float) -> bool:
        """Whether a flood is over: there was none in this second, and none in the last."""
        if self.flooding and now - self._began >= 2 * _WINDOW:
            self.flooding = False
        return not self.flooding


class Pacing:
    """How tasks read the streams of one server, all of which together are one flood.

    Args:
        most: as of `Pace`.
        share: counts what nobody asked for.
    """

    def __init__(self, most: int, share: Share) -> None:
        self._pace = Pace(most)
        self._share = share
        self._time = asyncio.get_running_loop().time
        self.spent = 0.0
        """Seconds that were spent on what arrived, since the last rest; the readers add to it."""
        self.is_behind = False
        """Whether what was parsed last makes a rest due."""
        self._seen = 0
        self._until = 0.0

    @property
    def flooding(self) -> bool:
        """Whether there were too many messages in this second or the last."""
        return self._pace.flooding

    @property
    def due(self) -> bool:
        """Whether to rest before more is read."""
        unasked = self._share.total
        if unasked <= self._pace.allowed:
            self.spent = 0.0
            return False
        much = self.spent >= _PIECE_SECONDS or unasked - self._seen >= _PIECE_MESSAGES
        return much or not self._pace.flooding

    def parse(self, parser: EventParser, piece: bytes) -> list[Event]:
        """Parse a piece of an event stream: what is of no use in it, and the time, are a part of a flood."""
        began, idle = self._time(), parser.idle
        events = parser.feed(piece)
        if parser.idle > idle:
            self._share.total += parser.idle - idle
            self.is_behind = self.due
        self.spent += self._time() - began
        return events

    async def turn(self) -> None:
        """Let others have a turn, and more of them in a flood."""
        if self.due:
            await self.rest()
        else:
            await asyncio.sleep(0)

    async def rest(self) -> None:
        """Read nothing for a while, and longer where others rest already."""
        now, unasked = self._time(), self._share.total
        seconds = self._pace.rest(unasked, now - self.spent, now)
        self.spent, self._seen, self.is_behind = 0.0, unasked, False
        if seconds:
            self._until = max(self._until, now) + seconds
            await asyncio.sleep(self._until - now)

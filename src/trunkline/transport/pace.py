"""How much of the loop's time a server may take with what nobody asked it for; above that it is read less.

Answers are not counted: how many can come is for the callers to say. What is not read waits in the pipe, and
when that is full the server waits: it alone is slower then. Pure; the caller brings the clock.
"""

from __future__ import annotations

_WINDOW = 1.0
"""Seconds over which messages are counted."""
_REST = 19
"""Rest after each piece of a flood, as a multiple of the time the piece took: a twentieth is left to it."""
_LEAST = 0.002
"""Seconds of the shortest such rest."""
PIECE = 32 * 1024
"""Bytes of a flood that are read at once: well below a millisecond's work."""


class Pace:
    """Counts what one stream brings.

    Args:
        most: messages of one second that nobody asked for and that are read as they come.
    """

    __slots__ = ("_allowed", "_began", "_most", "flooding", "unasked")

    def __init__(self, most: int) -> None:
        self._most = most
        self._began = float("-inf")
        self._allowed = most
        self.unasked = 0
        """Messages so far that were no answers."""
        self.flooding = False
        """Whether there were more of them than `most` in this second or the last."""

    @property
    def exceeded(self) -> bool:
        """Whether `rest` has to be asked."""
        return self.unasked > self._allowed

    def rest(self, began: float, now: float) -> float:
        """Give for how many seconds nothing is to be read.

        Args:
            began: when the piece began to be taken that was taken now.
        """
        if now - self._began >= _WINDOW:
            self.flooding = self.flooding and self.unasked > self._allowed + self._most
            self._began, self._allowed = now, self.unasked + self._most
            return 0.0
        self.flooding = True
        return max(_LEAST, _REST * (now - began))

"""How much of the loop's time a server may take with what nobody asked it for; above that it is read less.

Answers are not counted: how many can come is for the callers to say. What is not read waits in the pipe, and
when that is full the server waits: it alone is slower then. Pure; the caller brings the clock.
"""

from __future__ import annotations

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


class Pace:
    """Decides how one stream is read.

    Args:
        most: messages of one second that nobody asked for and that are read as they come.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._began = float("-inf")
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
            self.flooding = self.flooding and age < 2 * _WINDOW
            self._began, self.allowed = now, unasked + self._most
            return 0.0
        self.flooding = True
        return max(_LEAST, _REST * (now - began))

"""An asyncio loop whose clock is virtual: an hour of timers runs in a millisecond, always in the same order.

For programs whose only waiting is on timers and on each other, such as a client and a fake server over
memory. It does not wait for other threads, processes or sockets: nothing real happens while time jumps.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class DeadlockError(RuntimeError):
    """Nothing is ready and no timer is set, so nothing could ever happen again."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer whenever nothing is ready.

    Use it as `asyncio.Runner(loop_factory=VirtualTimeLoop)`, or as anyio's backend
    `("asyncio", {"loop_factory": VirtualTimeLoop})`.

    Args:
        start: what the clock shows at the beginning, in seconds.

    Raises:
        DeadlockError: from whatever runs the loop, when every task waits for something no timer brings.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = float(start)
        super().__init__(_JumpingSelector(self._jump, self._describe_wait))

    def time(self) -> float:
        """Give the virtual moment, in seconds; it moves only when the loop has nothing else to do."""
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds

    def _describe_wait(self) -> str:
        waiting = sorted(f"{task.get_name()} in {_place(task)}" for task in asyncio.all_tasks(self))
        return "; ".join(waiting) or "no task at all"


class _JumpingSelector(selectors.DefaultSelector):
    """Looks at the descriptors without waiting, and moves the clock instead."""

    def __init__(self, jump: Callable[[float], None], describe_wait: Callable[[], str]) -> None:
        super().__init__()
        self._jump = jump
        self._describe_wait = describe_wait

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready now; else jump by `timeout`."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise DeadlockError(f"nothing is ready and no timer is set; waiting: {self._describe_wait()}")
        self._jump(timeout)
        return ready


def _place(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    if not frames:
        return "an unknown place"
    code = frames[-1].f_code
    return f"{code.co_qualname} (line {frames[-1].f_lineno})"

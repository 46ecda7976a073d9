"""The event loop of a command, and the signals that end it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

from trunkline.runtime.loop import loop_factory

_ENDINGS = ("SIGTERM", "SIGHUP")


def run_loop(work: Coroutine[Any, Any, int]) -> int:
    """Run one command to its end on uvloop where it is installed.

    Ctrl-C, SIGTERM and the end of the terminal cancel the work, which then closes what it opened; the
    same signal once more ends the process at once.

    Raises:
        KeyboardInterrupt: the work was ended from outside.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            return runner.run(_ended_by_signals(work))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _ended_by_signals(work: Coroutine[Any, Any, int]) -> int:
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    numbers = [number for name in _ENDINGS if (number := getattr(signal, name, None)) is not None]

    def end() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
        if task is not None:
            task.cancel()

    # Windows loops have no signal handlers.
    with contextlib.suppress(NotImplementedError):
        for number in numbers:
            loop.add_signal_handler(number, end)
    return await work

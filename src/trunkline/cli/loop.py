"""The event loop of a command, and the signals that end it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from trunkline.cli.exits import INTERRUPTED
from trunkline.runtime.loop import loop_factory

_ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")


def run_loop(work: Coroutine[Any, Any, int]) -> int:
    """Run one command to its end on uvloop where it is installed.

    Ctrl-C, SIGTERM and the end of the terminal cancel the work, which then closes what it opened. One
    more of them ends the process and the servers it started at once, with code 130.

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
            signal.signal(number, _leave)
        if task is not None:
            task.cancel()

    # Windows loops have no signal handlers.
    with contextlib.suppress(NotImplementedError):
        for number in numbers:
            loop.add_signal_handler(number, end)
    try:
        return await work
    finally:
        # A closed uvloop would leave a handler behind that does nothing.
        with contextlib.suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)


def _leave(*_: object) -> None:
    """End this process without cleaning up, and every child with its group where /proc names them."""
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in listing.read_text().split():
                os.killpg(int(child), signal.SIGKILL)
    os._exit(INTERRUPTED)

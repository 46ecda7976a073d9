"""Ending a child and everything in its process group, and saying how it ended.

Source: specification 2026-07-28, basic/transports/stdio, "Shutdown".
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

_LOOK_AGAIN = 0.02
"""Seconds between two looks at whether anybody is left in the group."""


async def end_process(pid: int, exited: asyncio.Future[int], grace: float, *, polite: bool) -> None:
    """Wait for a child whose input was closed, then SIGTERM, then SIGKILL its group; bounded.

    Args:
        pid: the child, which leads its own process group.
        exited: done when the child has exited.
        grace: seconds for each step.
        polite: wait for the child to see the end of its input; one that never spoke is not waited for.

    Whoever cuts this short leaves no process either: the group is killed at once.
    """
    try:
        await _end_in_steps(pid, exited, grace, polite=polite)
    except asyncio.CancelledError:
        signal_group(pid, signal.SIGKILL)
        raise


async def _end_in_steps(pid: int, exited: asyncio.Future[int], grace: float, *, polite: bool) -> None:
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number != signal.SIGKILL and is_stopped(pid):
            continue
        if number is not None:
            signal_group(pid, number)
        elif not polite:
            continue
        await asyncio.wait({exited}, timeout=grace)
        if exited.done():
            break
    await _end_group(pid, grace)


async def _end_group(pid: int, grace: float) -> None:
    """End what the child left behind in its group."""
    if not signal_group(pid, signal.SIGTERM):
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace
    while is_group_alive(pid):
        if loop.time() >= deadline:
            signal_group(pid, signal.SIGKILL)
            return
        await asyncio.sleep(_LOOK_AGAIN)


def signal_group(pid: int, number: int) -> bool:
    """Signal a process group; False when nobody is left in it."""
    if sys.platform == "win32":
        return False
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def is_group_alive(pid: int) -> bool:
    """Whether anybody lives in a process group; who only waits to be collected by its parent does not."""
    if not signal_group(pid, 0):
        return False
    try:
        others = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return True
    return not others or any(_lives_in(pid, name) for name in others)


def _lives_in(group: int, pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state, _, own, *_ = file.read().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return False
    return int(own) == group and state not in (b"Z", b"X")


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal; it takes none but SIGKILL and SIGCONT then. Linux only."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def describe_exit(code: int) -> str:
    """Say in words how a process ended."""
    if code >= 0:
        return f"its process exited with code {code}"
    name = str(-code)
    with contextlib.suppress(ValueError):
        name = signal.Signals(-code).name
    return f"its process was ended by {name}"

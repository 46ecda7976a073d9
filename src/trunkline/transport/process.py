"""Signals to a child and to everything in its process group, and words for how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys


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

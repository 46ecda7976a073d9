"""Holds a server's processes to their limits: a pure verdict, what the system holds, a look at the rest.

The system holds each process to its own share, also while nobody looks; what all of them take together is
looked at every quarter of a second.
"""

from __future__ import annotations

import asyncio
import math
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trunkline.config.process_support import COUNTS, HOLDS
from trunkline.core.process_limits import Exceeded, ProcessLimits
from trunkline.transport.census import Census, Tree, Usage

INTERVAL = 0.25
"""Seconds between two looks."""
HEADROOM = 4
"""How many times its `memory` one process may have reserved: the system's bound between two looks, far
enough for programs that reserve more than they use."""
_SECONDS_PER_GB = 1.0
"""Seconds between two exact measurements of memory, by what is measured; at most 1. They take some ms."""


def judge(limits: ProcessLimits, usage: Usage, exact: Callable[[], int]) -> Exceeded | None:
    """Say which limit a tree exceeds, if any.

    Args:
        exact: measures its memory with what processes share counted once; asked only if that decides.
    """
    if limits.memory and usage.memory > limits.memory:
        memory = usage.largest if usage.largest > limits.memory else exact()
        if memory > limits.memory:
            return Exceeded(limit="memory", allowed=limits.memory, taken=memory)
    if limits.processes and usage.processes > limits.processes:
        return Exceeded(limit="processes", allowed=limits.processes, taken=usage.processes)
    if limits.cpu_seconds and usage.cpu_seconds > limits.cpu_seconds:
        return Exceeded(limit="cpu_seconds", allowed=limits.cpu_seconds, taken=usage.cpu_seconds)
    return None


def bounded_command(
    command: Sequence[str], limits: ProcessLimits, environ: Mapping[str, str]
) -> tuple[str, ...]:
    """Give a command that takes upon itself what the system can hold it to, and becomes `command`."""
    held = ",".join(_held(limits))
    if not held or not HOLDS:
        return tuple(command)
    locale = f"={environ['LC_CTYPE']}" if "LC_CTYPE" in environ else ""
    return (sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), held, locale, *command)


def _held(limits: ProcessLimits) -> list[str]:
    held = []
    if limits.files:
        held.append(f"nofile={limits.files}")
    if limits.cpu_seconds:
        # Where all its processes are counted, the count comes first, and can say what happened.
        most = math.ceil(limits.cpu_seconds) + COUNTS
        held.append(f"cpu={most}:{most + 1}")
    if limits.memory and COUNTS:
        held.append(f"data={HEADROOM * limits.memory}")
    return held


class Bounds:
    """Watches over the processes of one server until it is closed or one limit is exceeded.

    Args:
        root: its process, which leads a session of its own.
        on_exceeded: called once, from the loop, when all its processes have been killed.
    """

    def __init__(self, limits: ProcessLimits, root: int, on_exceeded: Callable[[Exceeded], None]) -> None:
        self.tree = Tree(root)
        self._limits = limits
        self._on_exceeded = on_exceeded
        self._round = _round()
        self._next_exact = 0.0
        self._round.join(self)

    def close(self) -> None:
        """Watch no more."""
        self._round.leave(self)

    def look(self, now: float, census: Census) -> None:
        """End the tree if it takes more than it may."""
        exceeded = judge(self._limits, self.tree.usage(), lambda: self._measure(now))
        if exceeded is not None:
            census.end(self.tree)
            self.close()
            self._on_exceeded(exceeded)

    def _measure(self, now: float) -> int:
        if now < self._next_exact:
            return 0
        memory = self.tree.shared_memory()
        self._next_exact = now + min(1.0, _SECONDS_PER_GB * memory / 1e9)
        return memory


class _Round:
    """One look for all servers of a loop, as long as there are any; holds the loop only then."""

    def __init__(self) -> None:
        self._census = Census()
        self._watched: set[Bounds] = set()
        self._timer: asyncio.TimerHandle | None = None

    def join(self, bounds: Bounds) -> None:
        self._watched.add(bounds)
        self._census.trees.add(bounds.tree)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._look)

    def leave(self, bounds: Bounds) -> None:
        self._watched.discard(bounds)
        self._census.trees.discard(bounds.tree)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._census = Census()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(INTERVAL, self._look)
        census, now = self._census, loop.time()
        census.take()
        for bounds in tuple(self._watched):
            bounds.look(now, census)


_rounds: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Round] = weakref.WeakKeyDictionary()


def _round() -> _Round:
    loop = asyncio.get_running_loop()
    if (known := _rounds.get(loop)) is None:
        known = _rounds[loop] = _Round()
    return known

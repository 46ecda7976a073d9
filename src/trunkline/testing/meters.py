"""Meters for tests that hold figures: turns of the event loop, a fair clock, memory.

Linux tells what they need; elsewhere `fair_time` is the plain clock and `Memory` measures nothing. They
measure this process, so nothing else may run in it meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

_WAITS = threading.local()


def fair_time() -> float:
    """Give a moment, in seconds, on a clock that stands still while this thread waits for a processor.

    What other programs take of a busy machine is not in a span of it; what this thread does and sleeps is.
    """
    return time.perf_counter() - processor_wait()


def processor_wait() -> float:
    """Give the seconds for which this thread could have run and had no processor; 0.0 where nothing tells.

    Source: Linux, Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat".
    """
    descriptor: int | None = getattr(_WAITS, "descriptor", None)
    if descriptor is None:
        try:
            descriptor = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            descriptor = -1
        _WAITS.descriptor = descriptor
    return 0.0 if descriptor < 0 else int(os.pread(descriptor, 96, 0).split()[1]) / 1e9


def percentile(values: Sequence[float], percent: float) -> float:
    """Give the smallest value that so many percent do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -int(-len(ranked) * percent // 100) - 1))]


class Turns:
    """Measures every turn of the running loop while it is entered.

    Attributes:
        longest: seconds, on the fair clock, for which the loop did not look at its sockets and timers.
        longest_cpu: processor seconds of the longest turn.
        count: how many turns there were.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.longest_cpu = 0.0
        self.count = 0
        self._selector: Any = None
        self._began = self._began_cpu = 0.0

    def __enter__(self) -> Self:
        # Every turn of asyncio's own loop ends and begins in its selector; nothing public tells of turns.
        self._selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
        select: Callable[[float | None], Any] = self._selector.select

        def timed(timeout: float | None = None) -> Any:
            self._end_turn()
            events = select(timeout)
            self._begin_turn()
            return events

        self._selector.select = timed
        self._begin_turn()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_turn()
        del self._selector.select

    def _begin_turn(self) -> None:
        self._began, self._began_cpu = fair_time(), time.thread_time()

    def _end_turn(self) -> None:
        self.longest = max(self.longest, fair_time() - self._began)
        self.longest_cpu = max(self.longest_cpu, time.thread_time() - self._began_cpu)
        self.count += 1


class Memory:
    """The memory of this process, from its making on; what was free before is given back first."""

    def __init__(self) -> None:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        self._before = _peak()

    @property
    def growth(self) -> int:
        """Bytes by which the process was larger at its peak than when this was made."""
        return _peak() - self._before


def _peak() -> int:
    """Give the highest resident size since it was asked to be counted anew."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except OSError:
        return 0

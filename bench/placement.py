"""Which processor a process of the bench runs on.

Left alone, the scheduler sometimes puts a client and its server on one processor and sometimes on two, and
keeps to it for a whole run; waking the other side then costs one contender more than another by luck.
"""

from __future__ import annotations

import os


def choose() -> tuple[int, int] | None:
    """Give one processor for all clients and another for all servers, or None where that cannot be had."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else None


def pin(processor: int | None) -> None:
    """Keep this process, and what it starts, on one processor; None leaves it as it is."""
    if processor is not None:
        os.sched_setaffinity(0, {processor})


def describe() -> str:
    """Say where clients and servers run."""
    chosen = choose()
    if chosen is None:
        return "placement of small calls: left to the scheduler"
    return f"placement of small calls: clients on processor {chosen[0]}, servers on processor {chosen[1]}"

"""Ending a child, everything in its process group, and what it started outside that.

Source: specification 2026-07-28, basic/transports/stdio, "Shutdown".
"""

from __future__ import annotations

import asyncio
import signal

from trunkline.transport.kin import Kin
from trunkline.transport.process import is_group_alive, is_stopped, signal_group

_LOOK_AGAIN = 0.02
"""Seconds between two looks at whether anybody is left."""


async def end_process(kin: Kin, exited: asyncio.Future[int], grace: float, *, polite: bool) -> None:
    """Wait for a child whose input was closed, then SIGTERM, then SIGKILL its group; bounded.

    Args:
        kin: the child, which leads its own process group, and what it started outside that, as far as it
            was found while the child ran.
        exited: done when the child has exited.
        grace: seconds for each step.
        polite: wait for the child to see the end of its input; one that never spoke is not waited for.

    Whoever cuts this short leaves no process either: all are killed at once.
    """
    try:
        await _end_in_steps(kin, exited, grace, polite=polite)
    except asyncio.CancelledError:
        _strike(kin, signal.SIGKILL)
        raise


async def _end_in_steps(kin: Kin, exited: asyncio.Future[int], grace: float, *, polite: bool) -> None:
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number != signal.SIGKILL and is_stopped(kin.root):
            continue
        if number is not None:
            kin.look(root=not exited.done())
            signal_group(kin.root, number)
        elif not polite:
            continue
        await asyncio.wait({exited}, timeout=grace)
        if exited.done():
            break
    await _end_rest(kin, grace)


async def _end_rest(kin: Kin, grace: float) -> None:
    """End what the child left behind."""
    if not _strike(kin, signal.SIGTERM):
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + grace
    while kin.strike(0) or is_group_alive(kin.root):
        if loop.time() >= deadline:
            kin.look(root=False)
            _strike(kin, signal.SIGKILL)
            return
        await asyncio.sleep(_LOOK_AGAIN)


def _strike(kin: Kin, number: int) -> bool:
    """Signal all that are left; False when nobody is."""
    met = signal_group(kin.root, number)
    return kin.strike(number) or met

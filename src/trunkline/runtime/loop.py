"""Which event loop runs where Trunkline makes one: uvloop where it is installed, else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give what `asyncio.Runner` takes as its `loop_factory`."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop

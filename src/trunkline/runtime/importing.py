"""Imports a large module without holding up the loop and the calls in flight on it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from importlib import import_module


async def import_off_loop(name: str) -> None:
    """Import a module in a thread, so that the loop keeps turning meanwhile.

    Raises:
        ImportError: the module, or one it needs, cannot be imported.
    """
    if name in sys.modules:
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: ImportError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        error: ImportError | None = None
        try:
            import_module(name)
        except ImportError as cause:
            error = cause
        # The loop may have been closed while the module was read; then nobody waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, error)

    # No daemon: a program that ends in the middle of an import of native code may crash.
    threading.Thread(target=work, name=f"import {name}").start()
    await done

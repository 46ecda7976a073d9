"""Runs the application's functions for one server: sync ones in threads, a bounded number at a time."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import Any


class BusyError(Exception):
    """As many functions run as are allowed."""


class Workers:
    """Counts what runs. A cancelled sync function runs on in its thread, and counts until it returns.

    Args:
        most: functions that may run at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.busy = 0
        """How many functions run now."""

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function and give its result, awaited where it is awaitable.

        Raises:
            BusyError: too many run already.
            Exception: whatever the function raised.
        """
        if self.busy >= self._most:
            raise BusyError
        self.busy += 1
        if not is_async(function):
            result = await self._run_in_thread(function, arguments)
            return await result if inspect.isawaitable(result) else result
        try:
            return await function(*arguments)
        finally:
            self.busy -= 1

    async def _run_in_thread(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: Any, error: BaseException | None) -> None:
            self.busy -= 1
            if not outcome.done():
                outcome.set_result((result, error))

        def work() -> None:
            result, error = None, None
            try:
                result = context.run(function, *arguments)
            except BaseException as cause:  # boundary: raised again in the task that waits for the thread
                error = cause
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:  # the loop was closed meanwhile: nobody waits
                return

        # Not the loop's own pool: a person may take long to answer, and a pool is waited for at exit.
        threading.Thread(target=work, name="trunkline handler", daemon=True).start()
        result, error = await outcome
        if error is not None and not isinstance(error, Exception):
            raise RuntimeError(f"it raised {type(error).__name__}") from error
        if error is not None:
            raise error
        return result


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling a function at once gives an awaitable and holds nobody."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - asked for its kind, not whether it exists
    )

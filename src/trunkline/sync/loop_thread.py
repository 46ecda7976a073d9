"""One daemon thread with one event loop, for callers on any other thread.

Everything handed over runs as a task of one task group, and every caller gets an outcome, also when the
thread ends first.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import functools
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from trunkline.runtime.loop import loop_factory

Value = TypeVar("Value")

_FAREWELL = 2.0
"""Seconds an interrupted caller waits for its call to be cancelled at the server."""
_LAST_FAREWELL = 10.0
"""Seconds the end of the interpreter waits for servers to end."""


class LoopThread:
    """Runs work on its loop until `close`.

    Args:
        last: what to do before the loop ends, while it still runs what it was given.
    """

    def __init__(self, last: Callable[[], Awaitable[None]]) -> None:
        self._last = last
        self._open = True
        self._exiting = False
        self._running: dict[concurrent.futures.Future[Any], asyncio.Task[None]] = {}
        self._waiting: set[concurrent.futures.Future[Any]] = set()
        self._begun: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._main, name="trunkline", daemon=True)
        self._thread.start()
        atexit.register(self._end_with_interpreter)
        self._begun.result()

    def run(self, work: Callable[[], Awaitable[Value]]) -> Value:
        """Await something on the loop and give its result; an interrupted wait cancels it there.

        Raises:
            RuntimeError: it is closed, or the calling thread must not block.
        """
        self._refuse_blocking()
        outcome: concurrent.futures.Future[Value] = concurrent.futures.Future()
        try:
            self._hand_over(work, outcome)
            return outcome.result()
        except BaseException:
            if not outcome.done():
                self._interrupt(outcome)
            raise

    def ask(self, question: Callable[[], Value]) -> Value:
        """Call a function on the loop and give what it returns.

        Raises:
            RuntimeError: as `run`.
        """

        async def answer() -> Value:
            return question()

        return self.run(answer)

    def post(self, work: Callable[[], Awaitable[Value]]) -> concurrent.futures.Future[Value]:
        """Await something on the loop, in the context of the calling thread, without waiting for it."""
        outcome: concurrent.futures.Future[Value] = concurrent.futures.Future()
        self._hand_over(work, outcome)
        return outcome

    def close(self) -> None:
        """End everything and wait until the thread has ended; callable from any other thread, repeatedly."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a trunk cannot be closed by its own handlers")
        self._wake(self._stop)
        self._thread.join()

    def abandon(self) -> None:
        """End everything without waiting: nobody can use it any more."""
        self._wake(self._stop)

    def _end_with_interpreter(self) -> None:
        self._exiting = True
        if self._thread.is_alive():
            self._wake(self._stop)
            self._thread.join(_LAST_FAREWELL)

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve())
        except BaseException as cause:  # boundary: who waits for this thread must learn that it has failed
            if not self._begun.done():
                self._begun.set_exception(cause)
            elif not (self._exiting and isinstance(cause, RuntimeError)):
                # Python 3.12 starts no thread at its end, not even the one that ends asyncio's executor.
                raise
        finally:
            self._open = False
            for outcome in tuple(self._waiting):
                _settle(outcome, _closed())
            if not self._exiting:
                atexit.unregister(self._end_with_interpreter)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        async with asyncio.TaskGroup() as self._group:
            self._begun.set_result(None)
            await self._stopping.wait()
            try:
                await self._last()
            finally:
                for task in tuple(self._running.values()):
                    task.cancel()

    def _stop(self) -> None:
        self._open = False
        self._stopping.set()

    def _hand_over(
        self, work: Callable[[], Awaitable[Value]], outcome: concurrent.futures.Future[Value]
    ) -> None:
        self._waiting.add(outcome)
        outcome.add_done_callback(self._waiting.discard)
        if not self._open or not self._wake(self._spawn, work, outcome):
            _settle(outcome, _closed())

    def _wake(self, callback: Callable[..., object], *arguments: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            return False
        return True

    def _spawn(self, work: Callable[[], Awaitable[Any]], outcome: concurrent.futures.Future[Any]) -> None:
        if not self._open:
            _settle(outcome, _closed())
            return
        task = self._group.create_task(self._carry(work, outcome))
        self._running[outcome] = task
        task.add_done_callback(functools.partial(self._ended, outcome))

    def _ended(self, outcome: concurrent.futures.Future[Any], _: asyncio.Task[None]) -> None:
        del self._running[outcome]
        _settle(outcome, concurrent.futures.CancelledError() if self._open else _closed())

    async def _carry(
        self, work: Callable[[], Awaitable[Any]], outcome: concurrent.futures.Future[Any]
    ) -> None:
        try:
            _settle(outcome, None, await work())
        except asyncio.CancelledError as cause:
            if self._open:
                _settle(outcome, concurrent.futures.CancelledError(*cause.args))
            raise
        except Exception as error:  # boundary: what fails here is for the thread that waits for it
            _settle(outcome, error)

    def _interrupt(self, outcome: concurrent.futures.Future[Any]) -> None:
        self._wake(self._cancel, outcome)
        concurrent.futures.wait({outcome}, timeout=_FAREWELL)

    def _cancel(self, outcome: concurrent.futures.Future[Any]) -> None:
        if (task := self._running.get(outcome)) is not None:
            task.cancel()

    def _refuse_blocking(self) -> None:
        """Keep a caller from blocking an event loop, which would be this one or somebody else's."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return
        if running is self._loop:
            raise RuntimeError(
                "trunkline.sync was called on its own thread, by a handler; a handler must not wait for calls"
            )
        if not _in_notebook():
            raise RuntimeError(
                "trunkline.sync would block the event loop that runs in this thread; use "
                "`async with trunkline.connect(...)` and `await trunk.call(...)` here, or call this function "
                "with `await asyncio.to_thread(...)`"
            )


def _settle(outcome: concurrent.futures.Future[Any], error: BaseException | None, value: Any = None) -> None:
    if outcome.done():
        return
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        if error is None:
            outcome.set_result(value)
        else:
            outcome.set_exception(error)


def _closed() -> RuntimeError:
    return RuntimeError("this trunk is closed; call `connect` again for another")


def _in_notebook() -> bool:
    """Whether this is a Jupyter kernel, which runs cells inside a loop that is meant to wait for them."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None

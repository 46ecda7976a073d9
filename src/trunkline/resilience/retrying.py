"""Retries for coroutines of an application's own: `@trunkline.retry(...)`, and `async for attempt in ...`.

Calls of tools need none of this: the pipeline repeats those that may be repeated. Here the application
says what may be.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import os
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import msgspec

from trunkline.core.backoff import Backoff, bound
from trunkline.core.budget import Budget
from trunkline.errors import CallError

P = ParamSpec("P")
T = TypeVar("T")

On = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], object]
"""Which exceptions are worth another try: their types, or a function that gives whether one is, or, in place
of True, the seconds that the other side asks to wait, which may be 0."""

logger = logging.getLogger("trunkline.retry")


def _draw() -> float:
    """Give a random number from 0 to 1."""
    return int.from_bytes(os.urandom(4)) / 2**32


def retry(
    *,
    on: On | None = None,
    attempts: int = 3,
    timeout: float | None = None,
    delay: float = 0.1,
    delay_max: float = 2.0,
    retry_after_max: float = 30.0,
    budget: Budget | None = None,
    draw: Callable[[], float] = _draw,
) -> Retrying:
    """Try again what failed, with growing, random waits.

    As a decorator of a coroutine function, `@trunkline.retry(on=OSError)`, or around a block:

        async for attempt in trunkline.retry(on=OSError, timeout=20):
            with attempt:
                ...

    What is tried ends without an exception, or with one that is not worth another try, or when there are
    no tries, time or budget left: then its last exception is raised as it is. A cancellation is never
    retried.

    Args:
        on: what is worth another try. Without it a `CallError` whose `retryable` says that calling again
            may help and cannot repeat a side effect.
        attempts: how often it is tried in all.
        timeout: seconds from the first try on after which none begins, nor a wait that would not end
            before; it cuts no try short. None for no such limit.
        delay: longest wait before the second try, in seconds; it doubles with each further one. The wait
            is a random part of it.
        delay_max: no wait is longer than this, in seconds.
        retry_after_max: the same for what the other side asks for (`CallError.retry_after`, or a number
            given by `on`), which comes on top.
        budget: bounds the retries of all that share it; None for any number.
        draw: draws a number from 0 to 1.

    Raises:
        TypeError, ValueError: an argument cannot be used.
    """
    seconds = {"delay": delay, "delay_max": delay_max, "retry_after_max": retry_after_max}
    for name, given in (seconds | {"timeout": timeout or 0.0}).items():
        if not given >= 0:
            raise ValueError(f"`{name}` is a number of seconds, at least 0; got {given:g}")
    if attempts < 1:
        raise ValueError(f"`attempts` counts the first try too, so it is at least 1; got {attempts}")
    return Retrying(
        worth=_retryable if on is None else _judge(on),
        attempts=attempts,
        timeout=timeout,
        backoff=Backoff(first=delay, longest=delay_max),
        retry_after_max=retry_after_max,
        budget=budget,
        draw=draw,
    )


class Retrying(msgspec.Struct, frozen=True, kw_only=True):
    """What `retry` gives: a decorator, and an async iterable of tries. It may be used any number of times."""

    worth: Callable[[Exception], object]
    attempts: int
    timeout: float | None
    backoff: Backoff
    retry_after_max: float
    budget: Budget | None
    draw: Callable[[], float]

    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Give the function with retries; the tries of one call share nothing with those of another.

        Raises:
            TypeError: it is no coroutine function.
        """
        if not _is_coroutine_function(function):
            raise TypeError(
                f"`trunkline.retry` is for `async def` functions; {_name(function)} is none. Call it in one, "
                "by `asyncio.to_thread` where it waits for something."
            )

        @functools.wraps(function)
        async def retried(*args: P.args, **kwargs: P.kwargs) -> T:
            tries = Tries(self, _name(function))
            while True:
                attempt = await tries.__anext__()
                with attempt:
                    return await function(*args, **kwargs)

        return retried

    def __aiter__(self) -> Tries:
        """Begin to try."""
        return Tries(self, "a block")

    def wait(self, error: Exception, retry: int, elapsed: float, now: float) -> float | None:
        """Give the seconds to wait before a retry, or None where there is to be none.

        Args:
            retry: which one, from 1.
            elapsed: seconds since the first try began.
            now: moment on the loop's clock, for the budget.
        """
        if retry >= self.attempts:
            return None
        worth = self.worth(error)
        tells = isinstance(worth, int | float) and not isinstance(worth, bool)
        if not worth and not tells:
            return None
        asked = worth if tells else getattr(error, "retry_after", None)
        wait = self.backoff.delay(retry, self.draw())
        if isinstance(asked, int | float):
            wait += bound(asked, self.retry_after_max)
        if self.timeout is not None and elapsed + wait >= self.timeout:
            return None
        if self.budget is not None and not self.budget.take(now):
            return None
        return wait


class Tries:
    """The tries of one call or block; an async iterator of `Attempt`."""

    def __init__(self, settings: Retrying, name: str) -> None:
        self._settings = settings
        self._name = name
        self._number = 0
        self._began = 0.0
        self._cancelling = 0
        self._wait: float | None = 0.0

    def __aiter__(self) -> Tries:
        return self

    async def __anext__(self) -> Attempt:
        """Wait until it is time for the next try.

        Raises:
            StopAsyncIteration: the last one ended without an exception.
        """
        wait, self._wait = self._wait, None
        if wait is None:
            raise StopAsyncIteration
        if self._number == 0:
            self._begin(asyncio.get_running_loop().time())
        elif wait > 0:
            await asyncio.sleep(wait)
        self._number += 1
        return Attempt(self, self._number)

    def failed(self, error: BaseException) -> bool:
        """Note that a try failed; whether there will be another."""
        # Some libraries make an exception of their own of a cancellation.
        if not isinstance(error, Exception) or _cancelling() > self._cancelling:
            return False
        now = asyncio.get_running_loop().time()
        self._wait = self._settings.wait(error, self._number, now - self._began, now)
        if self._wait is None:
            return False
        what = type(error).__name__
        logger.info("%s failed with %s; retry %d in %.2f s", self._name, what, self._number, self._wait)
        return True

    def _begin(self, now: float) -> None:
        self._began, self._cancelling = now, _cancelling()
        if (budget := self._settings.budget) is not None:
            if now >= budget.until:
                budget.roll(now)
            budget.calls += 1


class Attempt:
    """One try, around which `with` stands; `number` counts from 1."""

    def __init__(self, tries: Tries, number: int) -> None:
        self._tries = tries
        self.number = number

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return error is not None and self._tries.failed(error)


def _cancelling() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def _retryable(error: Exception) -> bool:
    return isinstance(error, CallError) and error.retryable


def _judge(on: On) -> Callable[[Exception], object]:
    kinds = on if isinstance(on, tuple) else (on,)
    for kind in kinds:
        if isinstance(kind, type) and not issubclass(kind, Exception):
            raise TypeError(f"`on` takes kinds of Exception, and {kind.__name__} is none")
    if all(isinstance(kind, type) for kind in kinds):
        return lambda error: isinstance(error, kinds)  # type: ignore[arg-type]  # they are types
    if isinstance(on, tuple) or not callable(on):
        raise TypeError(f"`on` takes kinds of Exception, or a function of one; got {on!r}")
    return on


def _is_coroutine_function(function: Callable[..., object]) -> bool:
    called = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)

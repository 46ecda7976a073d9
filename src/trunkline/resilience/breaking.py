"""A breaker for coroutines of an application's own: `@trunkline.breaker(...)`, and `async with` it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import math
import os
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from trunkline.core.breaker import BreakerPhase, BreakerSettings, BreakerStatus
from trunkline.errors import CallError
from trunkline.pipeline.breaker import refusal
from trunkline.pipeline.breaker_state import REFUSED, BreakerState, OnChange
from trunkline.pipeline.breaker_verdict import fails

P = ParamSpec("P")
T = TypeVar("T")
logger = logging.getLogger("trunkline.breaker")

On = type[BaseException] | tuple[type[BaseException], ...]


class Breaking:
    """One breaker; every function it decorates and every block it guards counts in it.

    `@db` on a coroutine function, or `async with db:` around a block. While it is open both raise
    `RejectedError` with the code `breaker_open` and run nothing. A cancellation counts as nothing. It may be
    used by any number of tasks of one event loop.
    """

    def __init__(
        self, settings: BreakerSettings, *, name: str, on: On | None, on_change: OnChange | None
    ) -> None:
        self.name = name
        self._settings = settings
        self._on = on
        self._on_change = on_change
        self._state: BreakerState | None = None
        self._inside: dict[asyncio.Task[object] | None, list[int]] = {}

    def __call__(self, function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Guard a coroutine function; what it gives has its signature.

        Raises:
            TypeError: it is no coroutine function.
        """
        called = type(function).__call__
        if not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)):
            raise TypeError(f"`trunkline.breaker` is for `async def` functions; {function!r} is none")

        @functools.wraps(function)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            async with self:
                return await function(*args, **kwargs)

        return guarded

    async def __aenter__(self) -> Self:
        """Let the block run.

        Raises:
            RejectedError: the breaker is open.
        """
        state, now = self._known(), _now()
        ticket = state.admit(now)
        if ticket == REFUSED:
            error = refusal(state, "function", now)
            error.tool = self.name or None
            raise error
        self._inside.setdefault(asyncio.current_task(), []).append(ticket)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, state = asyncio.current_task(), self._known()
        tickets = self._inside[task]
        ticket = tickets.pop()
        if not tickets:
            del self._inside[task]
        failed = False if error is None else self._judge(error)
        if failed is None:
            state.release(ticket)
        elif failed:
            state.fail(_now(), ticket)
        else:
            state.succeed(_now(), ticket)

    @property
    def status(self) -> BreakerStatus:
        """How it is doing; to be asked within the event loop."""
        return self._known().status(_now())

    def force_open(self) -> None:
        """Let nothing run until `reset` or `force_closed`; what runs goes on."""
        self._force("forced_open")

    def force_closed(self) -> None:
        """Let everything run, however much fails, until `reset` or `force_open`."""
        self._force("forced_closed")

    def reset(self) -> None:
        """Close it and count anew."""
        self._force("closed")

    def __repr__(self) -> str:
        state = "closed" if self._state is None else self._state.state
        return f"<breaker {self.name!r} {state}>"

    def _force(self, state: BreakerPhase) -> None:
        self._known().force(state, _now())

    def _known(self) -> BreakerState:
        # Not made before the first use: there need be no event loop, and so no clock, until then.
        if self._state is None:
            self._state = BreakerState(self._settings, _now(), _draw, self._tell)
        return self._state

    def _tell(self, before: BreakerPhase, state: BreakerPhase, reason: str | None) -> None:
        if self._on_change is None:
            return
        try:
            self._on_change(before, state, reason)
        except Exception:  # boundary: a mistake in the application's function is none of what was guarded
            logger.exception("`on_change` of the breaker %r failed", self.name)

    def _judge(self, error: BaseException) -> bool | None:
        """Say whether a block that raised this has failed; None where that tells nothing."""
        if self._on is not None:
            return True if isinstance(error, self._on) else None
        if not isinstance(error, CallError):
            return True if isinstance(error, Exception) else None
        codes = self._settings.codes
        verdicts = [fails(error, scope, codes, sent=True) for scope in ("server", "tool")]
        return True if True in verdicts else verdicts[0]


def breaker(
    *,
    name: str = "",
    on: On | None = None,
    failure_rate: float = 0.8,
    least_calls: int = 50,
    window: float = 10.0,
    consecutive: int = 0,
    open_for: float = 5.0,
    jitter: bool = False,
    probe_timeout: float = 10.0,
    on_change: OnChange | None = None,
) -> Breaking:
    """Make a breaker for coroutines of your own: `@breaker(consecutive=5)`, or `async with db:`.

    Args:
        name: what errors call it.
        on: exceptions that count as failures; without any, every `Exception`, but of the errors of calls only
            those that speak of a broken server or tool.
        failure_rate: part of the calls within the window that must fail, above 0 and at most 1.
        least_calls: fewer calls than that within the window tell nothing.
        window: seconds over which calls are counted.
        consecutive: failures in a row that are enough; 0 for off.
        open_for: seconds without calls before one is let through to find out.
        jitter: whether it waits a random part of those seconds.
        probe_timeout: seconds after which that one makes room for another, ended or not.
        on_change: told the state before, the state now, and why; what it raises is logged.

    Raises:
        TypeError, ValueError: an argument cannot be used.
    """
    if on is not None and not _are_kinds(on):
        raise TypeError(f"`on` takes a kind of exception, or several; got {on!r}")
    _require("failure_rate", failure_rate, 0 < failure_rate <= 1, "above 0 and at most 1")
    _require("least_calls", least_calls, least_calls >= 1, "at least 1")
    _require("window", window, 0 < window < math.inf, "a number of seconds above 0")
    _require("consecutive", consecutive, consecutive >= 0, "at least 0, which is off")
    _require("open_for", open_for, open_for >= 0, "a number of seconds, at least 0")
    _require("probe_timeout", probe_timeout, probe_timeout > 0, "a number of seconds above 0")
    settings = BreakerSettings(
        failure_rate=failure_rate,
        least_calls=least_calls,
        window=window,
        consecutive=consecutive,
        open_for=open_for,
        jitter=jitter,
        probe_timeout=probe_timeout,
    )
    return Breaking(settings, name=name, on=on, on_change=on_change)


def _are_kinds(on: object) -> bool:
    kinds = on if isinstance(on, tuple) else (on,)
    return all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds)


def _require(name: str, given: float, fit: bool, what: str) -> None:
    if not fit:
        raise ValueError(f"`{name}` is {what}; got {given:g}")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _draw() -> float:
    return int.from_bytes(os.urandom(4)) / 2**32

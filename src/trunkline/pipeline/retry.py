"""Retry: sends a call again where that is safe, worth it, within its time and within the server's budget.

The only layer that does so. A call that was answered is never sent again, and a cancelled one neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

import msgspec

from trunkline.core.backoff import bound
from trunkline.core.budget import Budget
from trunkline.core.call import Call
from trunkline.core.reply import Reply
from trunkline.core.retry import RetrySettings
from trunkline.core.timing import note_failure
from trunkline.errors import CallError
from trunkline.pipeline.service import Service
from trunkline.pipeline.verdict import Safety, is_throttled, may_repeat


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the layer."""

    name: ClassVar[str] = "retry"

    settings: RetrySettings
    budget: Budget
    """What retries the server may get; one for all its tools."""
    safety: Callable[[Call], Safety]
    """Says what is known of repeating a call; asked after a failure only."""
    draw: Callable[[], float]
    """Draws a number from 0 to 1."""

    def wrap(self, inner: Service) -> Service:
        """Call `inner` once, and again after failures that allow it; the last failure is raised."""
        budget = self.budget

        async def retry(call: Call) -> Reply:
            if call.flight.started >= budget.until:
                budget.roll(call.flight.started)
            budget.calls += 1
            try:
                return await inner(call)
            except CallError as error:
                failure = error
            return await _Repeat(self, call, inner).after(failure)

        return retry

    def wait(self, error: CallError, retry: int) -> float:
        """Give the seconds to wait before a retry: full jitter, and what the server asks for, bounded."""
        throttled = is_throttled(error)
        if error.retry_after is not None:
            asked = bound(error.retry_after, self.settings.throttled_delay_max)
            return asked + self.draw() * self.settings.delay
        return self.settings.backoff(throttled=throttled).delay(retry, self.draw())


class _Repeat:
    """The retries of one call."""

    def __init__(self, layer: Retry, call: Call, inner: Service) -> None:
        self._layer = layer
        self._call = call
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._doubt: CallError | None = None
        """The last failure of a try that may have run."""
        self._refused = False
        self._last_chance = False

    async def after(self, failure: CallError) -> Reply:
        """Try again after a failure for as long as it makes sense."""
        retry = 0
        while True:
            retry += 1
            self._note(failure)
            wait = self._wait(failure, retry)
            if wait is None:
                raise self._told(failure)
            await self._rest(wait, retry)
            try:
                return await self._inner(self._call)
            except CallError as error:
                failure = error

    def _note(self, failure: CallError) -> None:
        """Remember what is known of this try."""
        if failure.delivery == "unknown":
            self._doubt = failure
            self._call.flight.doubtful = True
        self._refused = self._refused or failure.delivery == "refused"

    def _wait(self, failure: CallError, retry: int) -> float | None:
        """Give the seconds until the next try, or None for none."""
        layer, settings = self._layer, self._layer.settings
        if self._last_chance or retry >= settings.attempts:
            return None
        verdict = may_repeat(failure, layer.safety(self._call), settings.codes)
        if verdict in ("never", "elsewhere"):
            return None
        self._last_chance = verdict == "once_more"
        wait, now = layer.wait(failure, retry), self._loop.time()
        if now + wait >= self._call.deadline or not layer.budget.take(now):
            return None
        return wait

    async def _rest(self, wait: float, retry: int) -> None:
        flight, begun = self._call.flight, self._loop.time()
        note_failure(flight, begun)
        flight.phase = f"waiting for retry {retry}"
        # Nobody is silent who is not asked: the idle deadline begins with the next try.
        flight.answering += 1
        try:
            await asyncio.sleep(wait)
        finally:
            flight.answering -= 1
            flight.activity = now = self._loop.time()
            flight.paused += now - begun
        flight.delivery = "never_sent"

    def _told(self, failure: CallError) -> CallError:
        """Give the error that says what is known of all tries: an earlier one may have run."""
        if self._doubt is not None and failure.delivery in ("never_sent", "refused"):
            self._doubt.__cause__ = failure
            return self._doubt
        if self._refused and failure.delivery == "never_sent":
            failure.delivery = "refused"
        return failure

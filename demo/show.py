"""The open trunk of the demo: makes its calls, counts them by server, and holds it to what it claims."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from demo.page import Page
from trunkline import CallError, Progress, Reply, Trunk, TrunklineError


class NotShownError(Exception):
    """Something that the demo is there to show did not happen."""


class Show:
    """One performance.

    Attributes:
        ready_after: seconds until each server was ready.
        answered, failed: calls by server.
        jobs: the process ids that the server `jobs` has had.
    """

    def __init__(self, trunk: Trunk, page: Page, folder: str) -> None:
        self.trunk = trunk
        self.page = page
        self.folder = folder
        self.ready_after: dict[str, float] = {}
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.jobs: list[int] = []

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float = 60,  # noqa: ASYNC109 - handed on
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Reply:
        """Make a call that has to succeed."""
        outcome = await self.attempt(tool, arguments, timeout=timeout, on_progress=on_progress)
        if isinstance(outcome, CallError):
            raise outcome
        expect(not outcome.is_error, f"{tool} reports: {outcome.text}")
        return outcome

    async def attempt(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float = 60,  # noqa: ASYNC109 - handed on
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Reply | CallError:
        """Make a call that may fail."""
        try:
            reply = await self.trunk.call(tool, arguments, timeout=timeout, on_progress=on_progress)
        except CallError as error:
            self._count(error)
            return error
        self._count(reply)
        return reply

    async def call_many(self, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Reply]:
        """Make calls at once, all of which have to succeed."""
        outcomes = await self.trunk.call_many(calls, max_concurrency=len(calls))
        replies = []
        for (tool, _), outcome in zip(calls, outcomes, strict=True):
            self._count(outcome)
            if isinstance(outcome, TrunklineError):
                raise outcome
            expect(not outcome.is_error, f"{tool} reports: {outcome.text}")
            replies.append(outcome)
        return replies

    def _count(self, outcome: Reply | TrunklineError) -> None:
        if isinstance(outcome, Reply):
            self.answered[outcome.server] += 1
        elif isinstance(outcome, CallError):
            self.failed[outcome.server or ""] += 1


def expect(happened: object, what: str) -> None:
    """Hold the demo to a claim.

    Raises:
        NotShownError: it did not happen.
    """
    if not happened:
        raise NotShownError(what)


def now() -> float:
    """Give the moment on the clock of the running loop."""
    return asyncio.get_running_loop().time()

"""Batch: calls that are collected in a block and leave together, each with a fate of its own."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from trunkline.core.batch import Bundle
from trunkline.core.call import Flight, Progress
from trunkline.core.reply import Reply
from trunkline.errors import CallError
from trunkline.runtime.feed import Feed
from trunkline.runtime.handle import Handle

Start = Callable[[Handle, Callable[[], Awaitable[Reply]]], None]
"""Carries a call in a task of its own."""
Prepare = Callable[
    [Handle, Mapping[str, Any] | None, float | None, "Bundles"], Callable[[], Awaitable[Reply]]
]
"""Gives what makes a call, marked as one of its server's bundle."""


class Bundles:
    """The bundle of each server in one sending.

    Args:
        size: gives the most calls in one message of a server.
    """

    def __init__(self, size: Callable[[str], int]) -> None:
        self._size = size
        self._of: dict[str, Bundle] = {}

    def find(self, server: str) -> Bundle:
        """Give a server's bundle, the same every time."""
        if (bundle := self._of.get(server)) is None:
            bundle = self._of[server] = Bundle(self._size(server))
        return bundle


class BatchedCall(Handle):
    """One call of a batch; awaiting it gives its Reply, and within the block sends what is collected."""

    def __init__(
        self, batch: Batch, call_id: str, tool: str, flight: Flight, progress: Feed[Progress]
    ) -> None:
        super().__init__(call_id, tool, flight, progress)
        self._batch = batch

    def cancel(self, reason: str = "the caller cancelled the call") -> bool:
        """End this call and no other of the batch; False when it has ended already.

        One that was not sent yet is never sent.
        """
        if self._task is not None or self.done:
            return super().cancel(reason)
        self.flight.cancel_reason = reason
        self.lapse()
        return True

    async def result(self) -> Reply:
        """Wait for the end of the call and give its reply; within the block, send what is collected first.

        Raises:
            CallError: the call failed, or the trunk was closed before it ended.
            CancelledError: it was cancelled, or the block was left by an exception before it was sent.
        """
        if self._task is None and not self.done:
            self._batch.send()
        return await super().result()

    async def ended(self) -> None:
        """Wait for the end of the call, however it ends."""
        await asyncio.wait({self._outcome})


class Batch:
    """Collects calls within `async with`, made by `Trunk.batch`; leaving the block sends them and waits."""

    def __init__(
        self,
        start: Start,
        make: Callable[[Batch, str], BatchedCall],
        prepare: Prepare,
        size: Callable[[str], int],
    ) -> None:
        self._start = start
        self._make = make
        self._prepare = prepare
        self._size = size
        self._calls: list[BatchedCall] = []
        self._collected: list[tuple[BatchedCall, Callable[[Bundles], None]]] = []
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        try:
            if error is None:
                self.send()
                for call in self._calls:
                    await call.ended()
        finally:
            self._collected.clear()
            for call in self._calls:
                call.cancel("the block of its batch was left")

    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> BatchedCall:
        """Add a call; what it gives can be awaited after the block, as often as wanted.

        Args:
            arguments: as in `Trunk.call`; copied at once.
            timeout: seconds for this call, counted from when the batch is sent; without it the policy's.

        Raises:
            RuntimeError: the block has been left.
        """
        if self._closed:
            raise RuntimeError("the block of this batch has been left; calls are added within it")
        handle = self._make(self, tool)
        given = None if arguments is None else dict(arguments)
        # Whatever the caller's context says, such as for whom the call is made, is that of this moment.
        context = contextvars.copy_context()

        def begin(bundles: Bundles) -> None:
            context.run(self._start, handle, self._prepare(handle, given, timeout, bundles))

        self._calls.append(handle)
        self._collected.append((handle, begin))
        return handle

    def send(self) -> None:
        """Send what is collected now, without waiting for answers; more can be added afterwards."""
        collected, self._collected = self._collected, []
        bundles = Bundles(self._size)
        for handle, begin in collected:
            if handle.done:
                continue
            try:
                begin(bundles)
            except CallError as error:
                handle.fail(error)

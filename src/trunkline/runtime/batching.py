"""The half of the front door that sends several calls at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from trunkline.core.call import Call, Flight
from trunkline.core.reply import Reply
from trunkline.runtime.feed import Feed
from trunkline.runtime.handle import Handle, Handles
from trunkline.runtime.routes import Route, Routes

if TYPE_CHECKING:
    from trunkline.runtime.batch import Batch, BatchedCall, Bundles


class Batching:
    """What `Trunk` does with batches; it sets the attributes below when it is entered."""

    _loop: asyncio.AbstractEventLoop
    _routes: Routes
    _handles: Handles
    _call_ids: Iterator[str]

    def batch(self) -> Batch:
        """Collect calls and send them together: `async with trunk.batch() as b: one = b.call("git.log")`.

        Leaving the block sends them all at once, those of one server as one JSON-RPC batch where its
        revision has batches (2025-03-26) and it reads them, and waits until each has ended. Awaiting
        what `b.call` gave then gives its Reply or raises its error: no call fails for another, and one
        can be cancelled alone. `b.send()`, and awaiting a call within the block, send what is collected
        so far. A block that ends with an exception sends nothing more and cancels what runs.
        """
        from trunkline.runtime.batch import Batch

        return Batch(self._handles.start, self._make_batched, self._prepare_batched, self._routes.batch_size)

    def _make_batched(self, batch: Batch, tool: str) -> BatchedCall:
        from trunkline.runtime.batch import BatchedCall

        return BatchedCall(batch, next(self._call_ids), tool, Flight(self._loop.time()), Feed())

    def _prepare_batched(
        self, handle: Handle, arguments: Mapping[str, Any] | None, timeout: float | None, bundles: Bundles
    ) -> Callable[[], Awaitable[Reply]]:
        flight = handle.flight
        flight.started = flight.activity = self._loop.time()

        async def call() -> Reply:
            route = self._routes.recall(handle.tool) or await self._routes.find(handle.tool, timeout)
            flight.activity = self._loop.time()
            flight.bundle = bundles.find(route.server)
            made = self._make_call(route, arguments, timeout, flight.started, flight, None, None)
            return await route.service(replace(made, id=handle.call_id))

        return call

    def _make_call(
        self,
        route: Route,
        arguments: Mapping[str, Any] | None,
        timeout: float | None,
        asked: float,
        flight: Flight,
        priority: int | None,
        max_age: float | None,
    ) -> Call:
        raise NotImplementedError

"""Whether a server reads batches: asked before the first one, since many that should do not.

A revision that has batches obliges servers to read them (2025-03-26, basic, "Batching"). Servers that
cannot leave an array on a stream unanswered for ever, so no call is risked: two pings in one array tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.core.batch import Bundle
from trunkline.core.call import Flight
from trunkline.errors import OutcomeUnknownError, UnavailableError
from trunkline.transport.link import Link, Request

_PATIENCE = 1.0
"""Seconds in which a server that reads batches answers two pings."""


class Batches:
    """What is known of one connection's batches, and the one attempt to learn it.

    Args:
        has_batches: whether the revision in use has them.
        encode: gives a request by its method.
    """

    def __init__(
        self, link: Link, has_batches: Callable[[], bool], encode: Callable[[str, Flight], Request]
    ) -> None:
        self._link = link
        self._has_batches = has_batches
        self._encode = encode
        self._reads: bool | None = None
        self._asking: asyncio.Task[None] | None = None

    async def admit(self, flight: Flight) -> None:
        """Take the mark of a bundle off a call, unless the server reads batches; waits to know it."""
        if self._has_batches() and self._reads is None:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.get_running_loop().create_task(self._ask())
            flight.phase = "finding out whether the server reads batches"
            await asyncio.wait({self._asking})
            flight.activity = asyncio.get_running_loop().time()
        if not (self._has_batches() and self._reads):
            flight.bundle = None

    async def end(self) -> None:
        """End an attempt that is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _ask(self) -> None:
        loop, bundle = asyncio.get_running_loop(), Bundle(2)
        pings = set()
        for _ in range(bundle.size):
            flight = Flight(loop.time())
            flight.bundle = bundle
            pings.add(loop.create_task(self._ping(self._encode("ping", flight))))
        try:
            await asyncio.wait(pings, timeout=_PATIENCE)
            told = [ping.result() if ping.done() else False for ping in pings]
            self._reads = None if None in told else all(told)
        finally:
            for ping in pings:
                ping.cancel()
            await asyncio.wait(pings)

    async def _ping(self, request: Request) -> bool | None:
        """Say whether it was answered; None where the link was lost, which tells nothing of batches."""
        try:
            frame = await self._link.request(request)
        except (OutcomeUnknownError, UnavailableError) as error:
            return None if error.status is None else False
        except Exception:  # boundary: whatever goes wrong, calls are sent one by one and meet it themselves
            return False
        # An error that names no request is about the array as a whole.
        return frame.id == request.id

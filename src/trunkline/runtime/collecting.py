"""A collecting window: holds back the calls of one server for a moment, so that they leave together."""

from __future__ import annotations

import asyncio

from trunkline.core.batch import BatchSettings, Bundle
from trunkline.core.call import Call, Flight
from trunkline.core.reply import Reply
from trunkline.pipeline.service import Service


class Window:
    """The calls that wait for others of the same server.

    It opens when `size` of them wait, or `milliseconds` after the first, whichever comes first; those that
    wait then go on in the same turn of the loop.
    """

    def __init__(self, settings: BatchSettings) -> None:
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Flight, asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def join(self, flight: Flight) -> None:
        """Wait until the window opens; who is cancelled meanwhile leaves without the others."""
        opened: asyncio.Future[None] = self._loop.create_future()
        entry = flight, opened
        self._waiting.append(entry)
        if len(self._waiting) >= self.settings.size:
            self._open()
        elif self._timer is None:
            self._timer = self._loop.call_later(self.settings.milliseconds / 1000, self._open)
        flight.phase = "waiting for others to leave with"
        begun = self._loop.time()
        try:
            await opened
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            raise
        finally:
            flight.activity = now = self._loop.time()
            flight.queued += now - begun

    def _open(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        bundle = Bundle(self.settings.size)
        for flight, opened in waiting:
            if not opened.done():
                flight.bundle = bundle
                opened.set_result(None)


def collect(window: Window, inner: Service) -> Service:
    """Give a service whose calls pass a window first, unless they belong to a batch already."""

    async def collected(call: Call) -> Reply:
        if call.flight.bundle is None:
            await window.join(call.flight)
        return await inner(call)

    return collected

"""A fake server in memory that a test can end at any moment; every new connection finds it alive again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.testing.fake import FakeServer


class Mortal:
    """Stands in for a server among the entries of `connect`.

    Args:
        server: what is served; its ledger goes on over all lives.
    """

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.lives = 0
        """How many connections were opened."""
        self.taken_along: list[Callable[[], object]] = []
        """Called when it is killed: what else is lost with it."""
        self._killed = asyncio.Event()

    async def serve(self, receive: Callable[[], Awaitable[bytes]], send: Callable[[bytes], None]) -> None:
        """Serve one connection until it ends, or until the server is killed."""
        self.lives += 1
        serving = asyncio.ensure_future(self.server.serve(receive, send))
        dying = asyncio.ensure_future(self._killed.wait())
        try:
            await asyncio.wait({serving, dying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._killed.clear()
            for task in (serving, dying):
                task.cancel()
            await asyncio.wait({serving, dying})

    def kill(self) -> None:
        """End the connection there is, as if the server had exited; without one, end the next."""
        self._killed.set()
        for lose in self.taken_along:
            lose()

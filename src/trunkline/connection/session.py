"""A legacy session that the server has forgotten: opened again, once for all who lost the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trunkline.connection.leased import lost_lease
from trunkline.core.call import Flight
from trunkline.errors import CallError, Delivery, UnavailableError
from trunkline.protocol.frames import Frame
from trunkline.transport.link import Link, Request, SessionLostError


class Session:
    """Knows whether a session is missing, and owns the one attempt to open a new one.

    Args:
        reopen: shakes hands again on the same link.
        timeout: seconds one attempt may take.
    """

    def __init__(
        self, server: str, link: Link, reopen: Callable[[], Awaitable[None]], timeout: float
    ) -> None:
        self._server = server
        self._link = link
        self._reopen = reopen
        self._timeout = timeout
        self.number = 1
        """How many were opened so far."""
        self.missing = False
        """Whether there is no session now, because one was lost and no new one is open yet."""
        self._attempt: asyncio.Future[CallError | None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def enter(self, flight: Flight) -> None:
        """Have the session that a request is to be sent in.

        Raises:
            UnavailableError: there is none; `LeaseLostError` where only a lost one would do.
        """
        if flight.session is not None and (self.missing or flight.session != self.number):
            raise lost_lease(self._server, "never_sent")
        if self.missing:
            await self._restore("never_sent")

    async def send_again(
        self, encode: Callable[[], Request], lost: SessionLostError, flight: Flight
    ) -> Frame:
        """Send a request that met a lost session once more, in a new one, and give its response."""
        # The server refused an unknown session, so it ran nothing.
        flight.delivery = "refused"
        if flight.session is not None:
            if lost.current:
                self._give_up()
            raise lost_lease(self._server, "refused", 404) from lost
        await self._restore("refused", lost=lost.current)
        try:
            return await self._link.request(encode())
        except SessionLostError as cause:
            if cause.current:
                self._give_up()
            raise UnavailableError(
                "the server lost the session again at once",
                code="session_lost",
                server=self._server,
                delivery="refused",
                status=404,
                hint="Ask the server's operator why it forgets sessions.",
            ) from cause

    async def end(self) -> None:
        """End an attempt that is under way; whoever waits for it is told."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _restore(self, delivery: Delivery, *, lost: bool = False) -> None:
        """Return once there is a session; an attempt that failed is repeated by the next who asks.

        Args:
            delivery: what is known of the call that waits, should there be no session.
            lost: the session in use was lost just now.

        Raises:
            UnavailableError: there is no session; `__cause__` is the reason.
        """
        if (lost and not self.missing) or (self._attempt is not None and self._attempt.done()):
            self._attempt = asyncio.get_running_loop().create_future()
            self.missing = True
            self._task = asyncio.ensure_future(self._try(self._attempt))
        if self._attempt is None:
            return
        error = await asyncio.shield(self._attempt)
        if error is not None:
            raise UnavailableError(
                f"a new session could not be opened: {error.message}",
                code="session_lost",
                server=self._server,
                delivery=delivery,
                status=error.status,
                retry_after=error.retry_after,
                hint=error.hint,
            ) from error

    def _give_up(self) -> None:
        """The session in use was lost; opening a new one is left to the next who asks."""
        if self._attempt is None:
            self._attempt = asyncio.get_running_loop().create_future()
            self._attempt.set_result(None)
            self.missing = True

    async def _try(self, attempt: asyncio.Future[CallError | None]) -> None:
        error: CallError | None = UnavailableError("the connection was closed", server=self._server)
        try:
            async with asyncio.timeout(self._timeout):
                await self._reopen()
            error = self._attempt = None
            self.missing = False
            self.number += 1
        except TimeoutError:
            error = UnavailableError(f"no answer to `initialize` within {self._timeout:g} s")
        except CallError as cause:
            error = cause
        finally:
            attempt.set_result(error)

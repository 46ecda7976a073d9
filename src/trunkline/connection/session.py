"""A legacy session that the server has forgotten: opened again, once for all who lost the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from trunkline.errors import CallError, Delivery, UnavailableError


class Session:
    """Knows whether a session is missing, and owns the one attempt to open a new one.

    Args:
        reopen: shakes hands again on the same link.
        timeout: seconds one attempt may take.
    """

    def __init__(self, server: str, reopen: Callable[[], Awaitable[None]], timeout: float) -> None:
        self._server = server
        self._reopen = reopen
        self._timeout = timeout
        self._attempt: asyncio.Future[CallError | None] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def missing(self) -> bool:
        """Whether there is no session now, because one was lost and no new one is open yet."""
        return self._attempt is not None

    async def restore(self, delivery: Delivery, *, lost: bool = False) -> None:
        """Return once there is a session; an attempt that failed is repeated by the next who asks.

        Args:
            delivery: what is known of the call that waits, should there be no session.
            lost: the session in use was lost just now.

        Raises:
            UnavailableError: there is no session; `__cause__` is the reason.
        """
        if (lost and not self.missing) or (self._attempt is not None and self._attempt.done()):
            self._attempt = asyncio.get_running_loop().create_future()
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

    def give_up(self) -> None:
        """The session in use was lost; opening a new one is left to the next who asks."""
        if self._attempt is None:
            self._attempt = asyncio.get_running_loop().create_future()
            self._attempt.set_result(None)

    async def end(self) -> None:
        """End an attempt that is under way; whoever waits for it is told."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _try(self, attempt: asyncio.Future[CallError | None]) -> None:
        error: CallError | None = UnavailableError("the connection was closed", server=self._server)
        try:
            async with asyncio.timeout(self._timeout):
                await self._reopen()
            error = self._attempt = None
        except TimeoutError:
            error = UnavailableError(f"no answer to `initialize` within {self._timeout:g} s")
        except CallError as cause:
            error = cause
        finally:
            attempt.set_result(error)

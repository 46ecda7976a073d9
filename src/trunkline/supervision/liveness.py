"""Finds out that a server which is connected no longer answers; a process that is stopped, sooner.

A server that works on calls may be too busy to answer, so it is only doubted then; one that has nothing to
do has no such excuse. One of which each request stands alone is only doubted: every call finds out anew.

Source: specification 2025-11-25, basic/utilities/ping ("Implementation Considerations"); 2026-07-28 has no
ping, and `server/discover` takes its place.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from trunkline.connection.connection import Connection
from trunkline.errors import CallError, OutcomeUnknownError, UnavailableError

_APART = 1.0
"""Seconds between two questions that failures are the reason of."""


class Liveness:
    """Asks one connection for a sign of life, twice in every interval, until it gives none.

    Args:
        interval: seconds within which a frozen server is noticed; 0 for no checks.
        draw: gives a number from 0 to 1, so that the checks of many clients do not come together.
        doubt: told that the server does not answer while it works on calls.
        trust: told of every answer.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        interval: float,
        draw: Callable[[], float],
        doubt: Callable[[str], None],
        trust: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._half = interval / 2
        self._draw = draw
        self._doubt = doubt
        self._trust = trust
        self._suspicious = asyncio.Event()
        self._asked = -math.inf
        self._method = "ping" if connection.agreed.era.family == "legacy" else "server/discover"

    def suspect(self) -> None:
        """Ask at once: something has just failed. Where much fails, that is once a second."""
        if self._half and asyncio.get_running_loop().time() - self._asked >= _APART:
            self._suspicious.set()

    def adjust(self, interval: float) -> None:
        """Ask in another interval from now on."""
        self._half = interval / 2
        self._suspicious.set()

    async def run(self) -> str:
        """Ask until the server is as good as lost; give the reason in words."""
        while True:
            await self._rest()
            self._asked = asyncio.get_running_loop().time()
            silence = await self._ask() if self._half else None
            if silence is None:
                self._trust()
            elif self._is_excused():
                self._connection.link.distrust()
                self._doubt(silence)
            else:
                return silence

    async def _rest(self) -> None:
        """Wait for the next check: at most half an interval, and one that is suspected is asked at once."""
        try:
            async with asyncio.timeout(self._half * (0.75 + self._draw() / 4) if self._half else None):
                await self._suspicious.wait()
        except TimeoutError:
            return
        finally:
            self._suspicious.clear()

    async def _ask(self) -> str | None:
        """Give why there was no sign of life, or None if there was one; a refusal is one too."""
        try:
            async with asyncio.timeout(self._half or None):
                await self._connection.request(self._method)
        except TimeoutError:
            return f"it did not answer a health check within {self._half:g} s"
        except (UnavailableError, OutcomeUnknownError) as error:
            return f"it cannot be reached: {error.message}"
        except CallError:
            return None
        return None

    def _is_excused(self) -> bool:
        link = self._connection.link
        return link.kind == "http" or (bool(self._connection.calls) and not link.frozen())

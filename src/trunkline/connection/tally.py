"""How often a server asked a person or model during each call in flight; and whose question it is. Pure."""

from __future__ import annotations

import msgspec

from trunkline.core.call import Flight


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """In the course of which calls a question came."""

    flights: tuple[Flight, ...] = ()
    """The call it belongs to; several where a stream is shared and it could be any of them."""
    tool: str | None = None
    """Public name of the tool, where there is one call only."""


class Tally:
    """Counts questions by call.

    Args:
        most: questions that one call may lead to.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.counts: dict[Flight, int] = {}
        """The calls that led to a question."""

    def charge(self, source: Source) -> bool:
        """Count one question against the call that was asked least; False when each was asked enough."""
        least = min(source.flights, key=lambda flight: self.counts.get(flight, 0), default=None)
        if least is None or (count := self.counts.get(least, 0)) >= self._most:
            return False
        self.counts[least] = count + 1
        return True

    def forget(self, flight: Flight) -> None:
        """A call has ended."""
        self.counts.pop(flight, None)

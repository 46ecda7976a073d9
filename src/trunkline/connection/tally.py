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
        """The calls in flight that a question may belong to."""

    def charge(self, source: Source) -> bool:
        """Count one question against the call that was asked least; False when each was asked enough."""
        counts = self.counts
        for flight in source.flights:
            counts.setdefault(flight, 0)
        least = min(source.flights, key=counts.__getitem__, default=None)
        if least is None or counts[least] >= self._most:
            return False
        counts[least] += 1
        return True

    def forget(self, flight: Flight) -> None:
        """A call has ended."""
        self.counts.pop(flight, None)

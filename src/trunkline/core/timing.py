"""Where the time of one call went: measured on its way, told in parts that make the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trunkline.core.call import Flight


_LONGEST = 4096
"""Characters of a header that are read."""


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the way of a call."""

    name: str
    """What happened in it, in words."""
    seconds: float


class Timing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The parts of one call's time, in seconds; waiting is that of all attempts together."""

    total: float
    """From the caller's call to its end."""
    queue: float = 0.0
    """Waited for its turn: for a limit, for a batch to be collected, for a peer that reads slowly."""
    connect: float = 0.0
    """Waited for its server to be started and negotiated with, and for a network connection of its own."""
    pauses: float = 0.0
    """Waited between attempts."""
    earlier: float = 0.0
    """Spent by attempts before the last, from their first byte to their failure."""
    sent_after: float | None = None
    """When the first byte of the last attempt left, counted from the caller's call; None if none did."""
    exchange: float | None = None
    """From that byte to the answer: the wire and the server together; None where none came."""
    server: float | None = None
    """What the server says it took (`Server-Timing`), as part of `exchange`; None where it says nothing."""

    @property
    def wire(self) -> float | None:
        """`exchange` without `server`: both ways on the network and in its buffers; None if not known."""
        if self.exchange is None or self.server is None:
            return None
        return max(0.0, self.exchange - self.server)

    @property
    def own(self) -> float:
        """Spent in this process: checking, encoding, reading, and what else its loop did meanwhile."""
        waited = self.queue + self.connect + self.pauses + self.earlier
        if self.exchange is None and self.sent_after is not None:
            # Unanswered: the server had it from then on.
            return max(0.0, self.sent_after - waited)
        return max(0.0, self.total - waited - (self.exchange or 0.0))

    def to_hops(self, *, answered: bool = True) -> tuple[Hop, ...]:
        """Give the parts in order, without those that took no time; together they take `total`.

        Args:
            answered: whether the last attempt had an answer.
        """
        waited = self.queue + self.connect + self.pauses + self.earlier
        sent_after = self.total if self.sent_after is None else self.sent_after
        before = {
            "waited for its turn": self.queue,
            "waited for a connection": self.connect,
            "attempts before the last": self.earlier,
            "paused between attempts": self.pauses,
        }
        hops = [Hop(name="prepared", seconds=max(0.0, sent_after - waited))]
        hops += [Hop(name=name, seconds=seconds) for name, seconds in before.items() if seconds]
        if self.sent_after is None:
            return tuple(hops)
        exchange = self.total - sent_after if self.exchange is None else self.exchange
        if not answered:
            return (*hops, Hop(name="with the server, unanswered", seconds=exchange))
        if self.wire is None or self.server is None:
            hops.append(Hop(name="with the server", seconds=exchange))
        else:
            hops.append(Hop(name="on the wire", seconds=self.wire))
            hops.append(Hop(name="at the server, as it says", seconds=exchange - self.wire))
        if self.exchange is not None:
            hops.append(
                Hop(name="handed to the caller", seconds=max(0.0, self.total - sent_after - exchange))
            )
        return tuple(hops)


def measure(flight: Flight, total: float) -> Timing:
    """Give the parts of a call that has run for `total` seconds, whether or not it has ended."""
    left = flight.wrote or flight.sent
    return Timing(
        total=total,
        queue=flight.queued,
        connect=flight.connected,
        pauses=flight.paused,
        earlier=flight.earlier,
        sent_after=left - flight.started if left else None,
        exchange=flight.answered - left if flight.answered and left else None,
        server=flight.server,
    )


def waits_of(flight: Flight, now: float | None = None) -> tuple[float, ...]:
    """Give what it has waited so far: for its turn, for a connection, between attempts, in earlier ones.

    Args:
        now: counts the attempt that is under way as an earlier one; None does not.
    """
    left = flight.wrote or flight.sent
    under_way = now - left if left and now is not None else 0.0
    return flight.queued, flight.connected, flight.paused, flight.earlier + under_way


def take_over(own: Flight, shared: Flight, before: Sequence[float], now: float) -> None:
    """Tell a call where the time of the request went that it shared, from the moment it was asked on.

    Args:
        before: what the request had waited when the call joined it.
    """
    own.sent, own.wrote, own.answered = shared.sent, shared.wrote, shared.answered
    own.server = shared.server
    waits = [max(0.0, after - earlier) for after, earlier in zip(waits_of(shared), before, strict=True)]
    left = shared.wrote or shared.sent
    if left and own.started > left:
        # It joined what was sent already: for it, the exchange began with its call, and nothing before.
        waits, own.sent, own.wrote = [0.0] * len(waits), own.started, 0.0
    elif (excess := sum(waits) - ((left or now) - own.started)) > 0:
        # The wait that was under way when it joined, which is none of the short ones, counts from then on.
        longest = waits.index(max(waits))
        waits[longest] = max(0.0, waits[longest] - excess)
    own.queued, own.connected, own.paused, own.earlier = waits


def note_failure(flight: Flight, now: float) -> None:
    """An attempt has failed and another one may follow: what it took is that of an earlier one then."""
    if left := flight.wrote or flight.sent:
        flight.earlier += now - left
    flight.sent = flight.wrote = flight.answered = 0.0
    flight.server = None


def read_server_timing(header: str) -> float | None:
    """Give the seconds a server says it took: its metric `total`, else its longest one, or None.

    Source: Server Timing (W3C Working Draft), section 3, "The Server-Timing Header Field": durations in ms.
    """
    found: dict[str, float] = {}
    for metric in header[:_LONGEST].split(","):
        name, *params = (part.strip() for part in metric.split(";"))
        for param in params:
            key, _, value = param.partition("=")
            if key.strip().lower() == "dur" and (ms := _number(value.strip().strip('"'))) is not None:
                found[name.lower()] = ms / 1000
    return found.get("total", max(found.values(), default=None)) if found else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e12 else None

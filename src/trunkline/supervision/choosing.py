"""Which of a server's connections a call is given to. Pure: it reads, decides, and changes nothing.

Where the server keeps state for a connection (over stdio, streams and legacy sessions) calls stay at one
endpoint and, while that one is free, at one connection. Where every request stands alone they spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Candidate(Protocol):
    """What is looked at of one connection."""

    @property
    def endpoint(self) -> int:
        """Which of the server's endpoints it leads to."""
        ...

    @property
    def weight(self) -> float:
        """Its share of calls that may go anywhere."""
        ...

    @property
    def rank(self) -> int | None:
        """How well it is, 0 is best; None while it is not connected."""
        ...

    @property
    def load(self) -> int:
        """Calls that were given to it and have not ended."""
        ...

    @property
    def leased(self) -> bool:
        """Whether it is kept for one holder."""
        ...

    @property
    def spare(self) -> bool:
        """Whether it is opened when the others are busy only."""
        ...

    @property
    def trying(self) -> bool:
        """Whether it is being connected."""
        ...

    @property
    def startable(self) -> bool:
        """Whether asking for it begins an attempt."""
        ...

    @property
    def sour(self) -> bool:
        """Whether the last attempt to connect it failed."""
        ...


class Choice(NamedTuple):
    """What to do with one call, or one who wants a lease."""

    member: int | None = None
    """Take this one now; None is to wait."""
    start: tuple[int, ...] = ()
    """Have these connected, whether or not one is taken."""


WAIT = Choice()


def choose(
    members: Sequence[Candidate],
    *,
    home: int,
    stateless: bool,
    at_home: bool = False,
    waiting: int = 1,
    turn: int = 0,
    avoid: Sequence[int] = (),
) -> Choice:
    """Say where a call goes.

    Args:
        home: the connection that what belongs to one only is at.
        stateless: whether every request stands alone at this server.
        at_home: the call is of what belongs to one connection only.
        waiting: how many calls wait for a connection, this one included.
        turn: a number that grows, for those that are alike.
        avoid: where the call has failed already; others that are as well are preferred, where every
            request stands alone.
    """
    if len(members) == 1:
        return WAIT if members[0].leased else Choice(0)
    if at_home and not stateless and members[home].rank is not None:
        return WAIT if members[home].leased else Choice(home)
    free = [at for at, one in enumerate(members) if not one.leased]
    able = _best(members, free)
    if not able:
        return _connect(members, free, home)
    if stateless:
        return Choice(_lightest(members, [at for at in able if at not in avoid] or able, turn))
    endpoint = members[home if home in able else able[0]].endpoint
    able = [at for at in able if members[at].endpoint == endpoint]
    idle = [at for at in able if not members[at].load]
    if idle:
        return Choice(home if home in idle else idle[0])
    room = [at for at in free if members[at].endpoint == endpoint]
    return _grow(members, room, waiting) or Choice(
        _lightest(members, able, 0), tuple(at for at in room if members[at].startable)[:1]
    )


def follow(members: Sequence[Candidate], order: Sequence[int], *, avoid: Sequence[int] = ()) -> Choice:
    """Say where a call goes whose order of places is given, best first, those that are not connected last.

    One more connection is begun, and not waited for, where the one that is taken is busy already.

    Args:
        order: not empty.
        avoid: where the call has failed already; any other that is connected is preferred.
    """
    free = [at for at in order if not members[at].leased]
    able = [at for at in free if members[at].rank is not None]
    able = [at for at in able if at not in avoid] or able
    if not able:
        return _connect(members, free, order[0])
    first = members[able[0]]
    more = [at for at in free if members[at].endpoint == first.endpoint and members[at].startable]
    return Choice(able[0], tuple(more[:1]) if first.load else ())


def choose_lease(members: Sequence[Candidate], *, home: int, waiting: int = 1) -> Choice:
    """Say which connection is kept for one holder; it may have calls that must end first.

    What is at home stays undisturbed where another connection can be had.

    Args:
        waiting: how many wait for a connection, this one included.
    """
    if len(members) == 1:
        return WAIT if members[0].leased else Choice(0)
    free = [at for at, one in enumerate(members) if not one.leased]
    able = _best(members, free)
    if not able:
        return _connect(members, free, home)
    others = [at for at in able if at != home]
    idle = [at for at in others if not members[at].load]
    if idle:
        near = [at for at in idle if members[at].endpoint == members[home].endpoint]
        return Choice((near or idle)[0])
    if (grown := _grow(members, free, waiting)) is not None:
        return grown
    return Choice(_lightest(members, able, 0))


def _best(members: Sequence[Candidate], places: Sequence[int]) -> list[int]:
    """Give those of the best rank there is; what is worse is left aside."""
    ranks = {at: rank for at in places if (rank := members[at].rank) is not None}
    best = min(ranks.values(), default=0)
    return [at for at, rank in ranks.items() if rank == best]


def _lightest(members: Sequence[Candidate], places: Sequence[int], turn: int) -> int:
    loads = {at: (members[at].load + 1) / members[at].weight for at in places}
    least = min(loads.values())
    alike = [at for at, load in loads.items() if load == least]
    return alike[turn % len(alike)]


def _grow(members: Sequence[Candidate], room: Sequence[int], waiting: int) -> Choice | None:
    """Wait for one more connection where one is on its way, or can be; one that failed is not waited for."""
    down = [at for at in room if members[at].rank is None and not members[at].sour]
    coming = sum(members[at].trying for at in down)
    startable = tuple(at for at in down if members[at].startable)
    if coming >= waiting:
        return WAIT
    if startable:
        return Choice(start=startable[:1])
    return WAIT if coming else None


def _connect(members: Sequence[Candidate], free: Sequence[int], home: int) -> Choice:
    """Nothing is connected: have it connected, and wait for the first that is."""
    startable = [at for at in free if members[at].startable]
    first = tuple(at for at in startable if not members[at].spare)
    if first or any(members[at].trying for at in free):
        return Choice(start=first)
    if startable or any(one.leased for one in members):
        return Choice(start=tuple(startable[:1]))
    # It cannot be had now, and says why to who asks for it.
    return Choice(home)

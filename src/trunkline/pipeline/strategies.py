"""The order in which the replicas of one tool are tried. Pure: health in, places out.

Whatever the strategy, a replica that is well comes before one that is not, and one that lacks what is
needed does not come at all.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

from trunkline.core.health import Health
from trunkline.core.needs import meets
from trunkline.core.routing import RouteSettings

Draw = Callable[[], float]
"""Gives a number from 0 to 1, drawn anew each time."""
Cost = Callable[[int], object]

_DOWN = 9
_SMALLEST = 2.0**-64


def arrange(
    settings: RouteSettings, replicas: Sequence[Health], *, key: str, draw: Draw, turn: int = 0
) -> tuple[int, ...]:
    """Give the places of the replicas that may have a call, the best first.

    Args:
        key: whom or what `sticky` keeps together.
        turn: a number that grows, for replicas that are alike.
    """
    places = range(len(replicas))
    if settings.needs:
        places = [at for at in places if meets(replicas[at], settings.needs)]  # type: ignore[assignment]
    cost = _cost(settings, replicas, key, draw, turn)
    order = sorted(places, key=lambda at: (_tier(replicas[at]), cost(at)))
    if settings.strategy == "latency":
        return _of_two(order, replicas, draw)
    return tuple(order)


def _tier(replica: Health) -> int:
    return _DOWN if replica.rank is None else replica.rank


def _cost(settings: RouteSettings, replicas: Sequence[Health], key: str, draw: Draw, turn: int) -> Cost:
    count = len(replicas)

    def load(at: int) -> tuple[float, int]:
        one = replicas[at]
        return (one.load + 1) / one.weight, (at - turn) % count

    match settings.strategy:
        case "latency":
            return lambda at: slowness(replicas[at])
        case "weighted":
            return lambda at: -math.log(max(draw(), _SMALLEST)) / replicas[at].weight
        case "sticky":
            return lambda at: (replicas[at].spare, distance(key, replicas[at]))
        case "geography":
            near = {region: at for at, region in reversed(tuple(enumerate(settings.regions)))}
            return lambda at: (near.get(replicas[at].region, len(near)), *load(at))
        case "failover":
            return lambda at: (replicas[at].place, *load(at))
        case "least_loaded" | "capability":
            return load


def slowness(replica: Health) -> float:
    """Give what a further call would take here, as it looks; one not measured yet is tried, with one call."""
    if replica.latency is None:
        return math.inf if replica.load else 0.0
    return replica.latency * (replica.load + 1) / replica.weight


def distance(key: str, replica: Health) -> float:
    """Give how far a replica is from a key: always the same, and so for each pair alone.

    The nearest is whose share of all keys is as its weight; when a replica comes or goes, only keys that
    move to it or from it change their place (weighted rendezvous hashing).
    """
    pair = f"{len(key)}:{key}{replica.name}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(pair, digest_size=8)
    part = (int.from_bytes(digest.digest()) + 1) / (2.0**64 + 1)
    return -math.log(part) / replica.weight


def _of_two(order: Sequence[int], replicas: Sequence[Health], draw: Draw) -> tuple[int, ...]:
    """Put the better of two drawn by lot first, so that many clients do not all run to the best one."""
    best = [at for at in order if _tier(replicas[at]) == _tier(replicas[order[0]])] if order else []
    if len(best) < 3:
        return tuple(order)
    one = int(draw() * len(best)) % len(best)
    other = (one + 1 + int(draw() * (len(best) - 1)) % (len(best) - 1)) % len(best)
    first = best[min(one, other)]
    return (first, *(at for at in order if at != first))

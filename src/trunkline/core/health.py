"""How well one replica is, as a value: what supervision knows of it and routing chooses by."""

from __future__ import annotations

import msgspec


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one replica at one moment."""

    name: str
    """What it is called for as long as it is configured, so that who stays with it finds it again."""
    spare: bool = False
    """Whether it is there while the others are busy only, so that nothing can stay with it."""
    place: int = 0
    """Its place in the order of the configuration; several connections of one endpoint share it."""
    rank: int | None = 0
    """How well it is: 0 is best, 1 was not reached lately, 2 gives no sign of life, 3 is ejected; None
    while it is not connected."""
    load: int = 0
    """Calls that were given to it and have not ended."""
    weight: float = 1.0
    """Its share of the calls, beside the weights of the others."""
    latency: float | None = None
    """Seconds an answer takes, as measured lately with peaks kept in mind; None before the first."""
    region: str = ""
    """Where it stands, in the words of the configuration."""
    tags: tuple[str, ...] = ()
    """What it is marked with in the configuration."""
    features: frozenset[str] = frozenset()
    """Capabilities and extensions it declared."""
    era: str = ""
    """Protocol revision it speaks; "" before that is known."""
    version: str = ""
    """Version of the server as it says itself, so a claim; "" before that is known."""

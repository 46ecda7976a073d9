"""Whether calls that are likely to come next are made before they come."""

from __future__ import annotations

import msgspec


class PrefetchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What may be fetched for calls that are expected; nothing, unless it is switched on."""

    enabled: bool = False
    """Whether calls are expected at all. What is fetched is kept as `cache` says, so that has to keep it."""
    confidence: float = 0.5
    """How often a call must have followed another one to be expected after it, from 0 to 1."""
    least: int = 3
    """How many times it must have followed before it is expected."""
    budget: float = 0.25
    """Most requests made for expected calls, as a part of the calls that were made."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is likely to come."""

    name: str
    """The server's own name of the tool."""
    arguments: dict[str, object]

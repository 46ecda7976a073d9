"""Settings of how calls are spread: strategy, ejection of replicas that fail, hedging of slow calls."""

from __future__ import annotations

from typing import Literal

import msgspec

Strategy = Literal["least_loaded", "latency", "weighted", "sticky", "capability", "geography", "failover"]
"""How one of several replicas that are well is chosen."""


class RouteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which replica a call goes to."""

    strategy: Strategy = "least_loaded"
    """`least_loaded`: fewest calls for its weight; `latency`: quickest of two drawn by lot; `weighted`: by
    lot, as the weights say; `sticky`: one caller, or one value of an argument, stays with one;
    `capability`: fewest calls among those that have all in `needs`; `geography`: nearest region first;
    `failover`: the first in the order of the configuration that is well."""
    by: str = "principal"
    """What `sticky` goes by: `principal`, or `argument:NAME` for the value of an argument."""
    regions: tuple[str, ...] = ()
    """Regions for `geography`, nearest first; others come last."""
    needs: tuple[str, ...] = ()
    """What a replica must have, whatever the strategy: a capability such as `tasks`, `tag:gpu`,
    `era>=2025-11-25`, `version>=2.1`."""

    @property
    def is_plain(self) -> bool:
        """Whether calls go where they would go without any setting."""
        return self.strategy == "least_loaded" and not self.needs


class EjectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a replica that fails is left out for a while, although it is connected."""

    failures: int = 5
    """Failures in a row after which it is left out; 0 for never."""
    seconds: float = 5.0
    """For how long the first time; it doubles each time until it has stayed well for as long."""
    seconds_max: float = 300.0
    """Longest time, in seconds."""
    share: float = 0.5
    """At most this part of the replicas is left out at a time; the others must bear the calls."""


class HedgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Asking a second replica where the first is slow; for read-only tools of trusted servers only."""

    share: float = 0.0
    """Second requests for each call, at most; 0 for none. 0.02 is 2 % more load."""
    quantile: float = 0.95
    """A second request is sent when a call has taken longer than this part of the calls before it."""

    @property
    def is_on(self) -> bool:
        """Whether there are second requests at all."""
        return self.share > 0

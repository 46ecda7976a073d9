"""How long the calls of one tool take, and from when on one of them is slow. Pure."""

from __future__ import annotations

from collections import deque

from trunkline.core.routing import HedgeSettings

FEWEST = 50
"""Calls to be measured before anything is called slow."""
_KEPT = 1000
_EVERY = 20
_FAR = 3.0
"""How many times the usual slowness something must be to be a matter of its own."""
_MARGIN = 1.01
"""What is as slow as the quantile itself, as all calls of an even server are, is not slow."""
_BURST = 2.0
"""Second requests that may be sent at once."""


class Latencies:
    """The calls measured last; says when a second request is sent, and whether there is one to spend."""

    def __init__(self, settings: HedgeSettings) -> None:
        self._settings = settings
        self._kept: deque[float] = deque(maxlen=_KEPT)
        self._new = 0
        self._spendable = 0.0
        self.delay: float | None = None
        """Seconds after which a call is slow; None while too few are known."""

    def add(self, seconds: float) -> None:
        """Take in what one call took, or how long it had taken when it was given up for a quicker one."""
        self._spendable = min(_BURST, self._spendable + self._settings.share)
        self._kept.append(seconds)
        self._new += 1
        if len(self._kept) >= FEWEST and (self.delay is None or self._new >= _EVERY):
            self._new = 0
            self.delay = self._decide()

    def spend(self) -> bool:
        """Take one second request out of what `share` allows, if there is one."""
        if self._spendable < 1:
            return False
        self._spendable -= 1
        return True

    def _decide(self) -> float:
        """Wait longer than `quantile` says where that alone would be more requests than `share` allows.

        Else they would be spent on calls that are about to be answered. Where the slow ones are more than
        `share`, waiting for them to be few would be waiting for nothing.
        """
        measured = sorted(self._kept)
        usual = _quantile(measured, self._settings.quantile)
        rare = _quantile(measured, max(self._settings.quantile, 1 - self._settings.share))
        return _MARGIN * (rare if rare <= _FAR * usual else usual)


def _quantile(measured: list[float], part: float) -> float:
    return measured[min(len(measured) - 1, int(part * len(measured)))]

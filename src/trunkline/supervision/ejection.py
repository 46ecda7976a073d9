"""When a replica that fails again and again is left out, and when it is tried again. Pure.

Its connection may be well: what counts is what becomes of calls. Envoy's outlier detection is the example.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.core.routing import EjectionSettings

PROBE_EVERY = 1.0
"""Seconds between two calls that try a replica which was left out."""


class Ejection:
    """Whether one replica is left out.

    Args:
        all: those of all replicas of the server, this one among them, for the share that may be left out.
    """

    __slots__ = ("_all", "_probing", "_restored", "_settings", "_span", "_times", "failures", "out", "until")

    def __init__(self, settings: EjectionSettings, all: Sequence[Ejection] = ()) -> None:
        self._settings = settings
        self._all = all
        self.out = False
        """Whether it was left out and has not answered since."""
        self.until = 0.0
        """Moment from which it may be tried with one call."""
        self.failures = 0
        """Calls that failed in a row."""
        self._probing = False
        self._times = 0
        self._span = 0.0
        self._restored = 0.0

    def adjust(self, settings: EjectionSettings) -> None:
        """Follow other settings from the next failure on."""
        self._settings = settings

    def is_out(self, now: float) -> bool:
        """Whether calls are to go elsewhere."""
        return self.out and now < self.until

    def take(self, now: float) -> None:
        """A call is given to it; while it is left out, that is the only one for a second."""
        if self.out:
            self._probing = True
            self.until = max(self.until, now + PROBE_EVERY)

    def succeed(self, now: float) -> None:
        """A call was answered."""
        self.failures = 0
        if self.out:
            self.out = self._probing = False
            self._restored = now

    def fail(self, now: float) -> bool:
        """A call failed in a way that speaks against it; give whether it is left out anew from now on."""
        self.failures += 1
        settings = self._settings
        if self.out:
            # The end of a call that began before it was left out tells nothing new.
            if not self._probing:
                return False
        elif not 0 < settings.failures <= self.failures or not self._is_room():
            return False
        elif now - self._restored > self._span:
            self._times = 0
        self._times += 1
        self._span = min(settings.seconds_max, settings.seconds * 2.0 ** min(self._times - 1, 32))
        self.out, self._probing, self.until = True, False, now + self._span
        return True

    def _is_room(self) -> bool:
        """Whether one more may be left out."""
        return sum(one.out for one in self._all) + 1 <= self._settings.share * len(self._all)

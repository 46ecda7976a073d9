"""Keeps how far the examination of one server came: which phase took how long, and what was wrong."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.runtime.doctor.checkup import PHASES, Outcome, Phase, PhaseResult, Trouble

MOST_TROUBLES = 20
"""Troubles of one phase that are told one by one."""


class Chart:
    """The phases of one server, in order.

    Args:
        transport: which phases there are, see `PHASES`.
        clock: gives the moment, in seconds.
    """

    def __init__(self, transport: str, clock: Callable[[], float]) -> None:
        self.names = PHASES[transport]
        self.current: Phase = self.names[0]
        self._clock = clock
        self._since = clock()
        self._began = self._since
        self._results: dict[Phase, PhaseResult] = {}
        self._troubles: list[Trouble] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the first phase began."""
        return self._clock() - self._began

    def begin(self, name: Phase) -> None:
        """Enter a phase; its time begins."""
        self.current, self._since = name, self._clock()

    def end(self, detail: str = "", *, failed: bool = False) -> None:
        """End the current phase."""
        self._put(self.current, detail, failed=failed)

    def skip(self, name: Phase, detail: str) -> None:
        """Say why there is nothing to examine."""
        self._results[name] = PhaseResult(name=name, outcome="skipped", detail=detail)

    def split(self, name: Phase, following: Phase, moment: float, detail: str) -> None:
        """End the current phase at a moment that has passed, as `name`; what came after is `following`."""
        seconds = min(max(0.0, moment - self._since), self._clock() - self._since)
        self._results[name] = PhaseResult(name=name, outcome="ok", seconds=seconds, detail=detail)
        self.current, self._since = following, self._since + seconds

    def pass_over(self, name: Phase, detail: str) -> None:
        """Note a phase that was passed without time of its own."""
        self._results[name] = PhaseResult(name=name, outcome="ok", seconds=0.0, detail=detail)

    def fail(self, trouble: Trouble, detail: str = "") -> None:
        """End with an error, in the current phase or an earlier one; what comes after it is not reached.

        Args:
            detail: of the phase, where it has none yet.
        """
        at = self.names.index(trouble.phase)
        for name in self.names[at + 1 :]:
            self._results.pop(name, None)
        known = self._results.get(trouble.phase)
        if trouble.phase == self.current or known is None or known.seconds is None:
            self._put(trouble.phase, detail, failed=True)
        else:
            self._results[trouble.phase] = PhaseResult(
                name=trouble.phase, outcome="failed", seconds=known.seconds, detail=known.detail
            )
        self._troubles.append(trouble)

    def add(self, trouble: Trouble) -> None:
        """Note something that does not end the examination."""
        self._troubles.append(trouble)

    def phases(self) -> tuple[PhaseResult, ...]:
        """Give every phase."""
        return tuple(
            self._results.get(name, PhaseResult(name=name, outcome="not_reached")) for name in self.names
        )

    def troubles(self) -> tuple[Trouble, ...]:
        """Give what was noted, errors first."""
        return tuple(sorted(self._troubles, key=lambda trouble: trouble.severity == "warning"))

    def _put(self, name: Phase, detail: str, *, failed: bool) -> None:
        outcome: Outcome = "failed" if failed else "ok"
        seconds = self._clock() - self._since
        self._results[name] = PhaseResult(name=name, outcome=outcome, seconds=seconds, detail=detail)

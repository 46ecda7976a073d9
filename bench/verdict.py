"""The budgets of ARCHITECTURE.md as data, and the verdict on one measured value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One measured value against its budget."""

    what: str
    value: float | None
    """None when it could not be measured; `note` says why."""
    unit: str
    must: float | None = None
    aim: float | None = None
    at_least: bool = False
    """Whether the value must reach the budget from below, as a rate does."""
    note: str = ""
    skipped: bool = False
    """Whether there is a good reason that it was not measured, so that this is no failure."""

    @property
    def passed(self) -> bool | None:
        """Whether the `must` holds; None when there is none, or when it was skipped."""
        if self.must is None or self.skipped:
            return None
        return self.value is not None and self._meets(self.must)

    @property
    def word(self) -> str:
        """`PASS`, `PASS, aim`, `FAIL`, or `skipped`."""
        if self.passed is None:
            return "skipped" if self.skipped else "no budget"
        if not self.passed:
            return "FAIL"
        return "PASS, aim" if self.aim is not None and self._meets(self.aim) else "PASS"

    def _meets(self, limit: float) -> bool:
        assert self.value is not None
        return self.value >= limit if self.at_least else self.value <= limit


CALL_BUDGETS: dict[tuple[str, str, bool], tuple[float, float]] = {
    ("stdio", "sdk", False): (0.40, 0.28),
    ("stdio", "sdk", True): (0.15, 0.10),
    ("http", "sdk", False): (0.30, 0.20),
    ("http", "sdk", True): (0.20, 0.12),
    ("stdio", "floor", False): (2.5, 1.5),
    ("stdio", "floor", True): (2.5, 1.5),
    ("http", "floor", False): (6.0, 4.0),
    ("http", "floor", True): (6.0, 4.0),
}
"""Must and aim of CPU per call: (transport, divided by, more than one in flight)."""

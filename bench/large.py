"""One large result over stdio: MB/s from its first byte to its decoded text, and linearity."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.tally import Tally
from bench.target import stdio_target
from bench.verdict import Verdict
from bench.worker import Worker, WorkerError, last_line

SIZES = (12_500_000, 25_000_000, 50_000_000)
SDK_SIZES = (2_000_000, 4_000_000, 8_000_000)
"""The SDK's time grows with the square of the size: at 50 MB it would take longer than all else together."""
_LINEAR = 0.5
"""At four times the size a quadratic reader keeps a quarter of its rate; memory itself costs some."""


@dataclass(frozen=True, kw_only=True)
class LargeResult:
    """Seconds of one contender for each size in bytes, one entry per round, or why there are none."""

    contender: str
    seconds: dict[int, list[float]] = field(default_factory=dict)
    invalid: str = ""

    def rate(self, size: int) -> float:
        """Megabytes (10**6 bytes) per second at that size, in the best round.

        This is wall time of two processes side by side, which whatever else runs can only make longer.
        """
        return size / 1e6 / min(self.seconds[size])

    def describe(self) -> str:
        """Give one line for people."""
        if self.invalid:
            return f"{self.contender:<12} INVALID: {last_line(self.invalid)}"
        cells = (f"{size / 1e6:g} MB at {self.rate(size):.0f} MB/s" for size in self.seconds)
        return f"{self.contender:<12} {'; '.join(cells)} (best of {len(next(iter(self.seconds.values())))})"


def measure(contenders: list[str], *, rounds: int, uvloop: bool) -> list[LargeResult]:
    """Run every contender; the rounds of all sizes and contenders alternate."""
    results = []
    with ExitStack() as stack:
        lanes = {}
        for name in contenders:
            try:
                lanes[name] = _Lane(name, stack, uvloop)
            except WorkerError as error:
                results.append(LargeResult(contender=name, invalid=str(error)))
        for _ in range(rounds):
            for lane in lanes.values():
                lane.run()
        results += [lane.result() for lane in lanes.values()]
    return results


def judge(results: list[LargeResult]) -> list[Verdict]:
    """Hold Trunkline's rate and linearity against their budget."""
    found = next((result for result in results if result.contender == "trunkline"), None)
    if found is None:
        return []
    note = last_line(found.invalid)
    rate = None if note else found.rate(SIZES[-1])
    linear = None if note else found.rate(SIZES[-1]) / found.rate(SIZES[0])
    what = "50 MB result over stdio, first byte to decoded, best"
    line = "rate at 50 MB / rate at 12.5 MB (1 = linear)"
    return [
        Verdict(what=what, value=rate, unit="MB/s", must=100, at_least=True, note=note),
        Verdict(what=line, value=linear, unit="x", must=_LINEAR, at_least=True, note=note),
    ]


class _Lane:
    def __init__(self, contender: str, stack: ExitStack, uvloop: bool) -> None:
        self._contender = contender
        self._sizes = SDK_SIZES if contender in ("sdk", "fastmcp") else SIZES
        self._samples: dict[int, list[float]] = {size: [] for size in self._sizes}
        self._invalid = ""
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._tally = Tally.create(place / "tally")
        target = stdio_target("legacy", tally=place / "tally")
        self._worker = stack.enter_context(Worker("large", contender=contender, target=target, uvloop=uvloop))
        self._worker.wait_ready()

    def run(self) -> None:
        """Fetch each size once."""
        for size in self._sizes:
            if self._invalid:
                return
            try:
                answer = self._worker.ask(size=size)
            except WorkerError as error:
                self._invalid = str(error)
                return
            if answer["size"] != size:
                self._invalid = f"got {answer['size']} characters instead of {size}"
            self._samples[size].append(answer["done"] - self._tally.first_byte)

    def result(self) -> LargeResult:
        """Give what was measured."""
        return LargeResult(contender=self._contender, seconds=self._samples, invalid=self._invalid)

"""CPU and wall time of one small call, for every contender, in rounds that alternate within one run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.answers import Family
from bench.placement import choose
from bench.tally import Tally
from bench.target import Kind, Target, serve_url, stdio_target
from bench.verdict import CALL_BUDGETS, Verdict
from bench.worker import Worker, WorkerError, last_line

_MASK = (1 << 64) - 1
_WARM_ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is measured: transport, family, and how many calls are open at any time."""

    kind: Kind
    family: Family
    in_flight: int

    @property
    def label(self) -> str:
        """Such as `stdio legacy x100`."""
        return f"{self.kind} {self.family} x{self.in_flight}"


_KINDS: tuple[tuple[Kind, int], ...] = (("stdio", 100), ("http", 50), ("sse", 50), ("websocket", 100))
_FAMILIES: tuple[Family, ...] = ("legacy", "modern")
ROWS = tuple(
    Row(kind=kind, family=family, in_flight=in_flight)
    for kind, many in _KINDS
    for in_flight in (1, many)
    for family in _FAMILIES
    if (kind, family) != ("sse", "modern")
)
_WITHOUT_WEBSOCKET = ("sdk", "fastmcp")
"""Contenders that have no WebSocket client."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All rounds of one contender in one row; one entry per round, microseconds per call."""

    calls: int
    loop: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """One row: what each contender needed, or why the row is invalid."""

    row: Row
    measured: dict[str, Measured] = field(default_factory=dict)
    invalid: str = ""

    def ratio(self, contender: str, base: str) -> float | None:
        """Median over the rounds of CPU per call of one contender divided by that of another."""
        if contender not in self.measured or base not in self.measured:
            return None
        pairs = zip(self.measured[contender].cpu, self.measured[base].cpu, strict=True)
        return median(mine / other for mine, other in pairs)


class Lane:
    """One contender in one row: its process, its server, and the server's own count."""

    def __init__(self, worker: Worker, tally: Tally) -> None:
        self._worker = worker
        self._tally = tally
        self._calls = 0
        self._total = 0

    @property
    def loop(self) -> str:
        """The event loop class of the contender's process."""
        return self._worker.loop

    def wait_ready(self) -> None:
        """Wait until the contender is connected."""
        self._worker.wait_ready()

    def run(self, calls: int, in_flight: int) -> dict[str, Any]:
        """Run one round and give the child's answer: `cpu` and `wall` are seconds of the whole round.

        Raises WorkerError when the server did not answer exactly the calls that were claimed.
        """
        answer = self._worker.ask(calls=calls, in_flight=in_flight)
        self._calls += calls
        self._total = (self._total + answer["total"]) & _MASK
        if (self._tally.calls, self._tally.total) != (self._calls, self._total):
            raise WorkerError(
                f"the client made {self._calls} calls with arguments adding up to {self._total}; "
                f"the server counts {self._tally.calls} and {self._tally.total}"
            )
        return answer


def measure_row(
    row: Row, contenders: Sequence[str], *, rounds: int, round_seconds: float, uvloop: bool
) -> RowResult:
    """Run one row; a contender that fails or miscounts makes the row invalid."""
    try:
        with ExitStack() as stack:
            lanes = {
                name: stack.enter_context(_open_lane(row, name.partition(":")[0], uvloop))
                for name in contenders
                if row.kind != "websocket" or name not in _WITHOUT_WEBSOCKET
            }
            if not lanes:
                return RowResult(row=row)
            for lane in lanes.values():
                lane.wait_ready()
            return _interleave(row, lanes, rounds, round_seconds)
    except WorkerError as error:
        return RowResult(row=row, invalid=str(error))


def judge(results: Sequence[RowResult], contender: str = "trunkline") -> list[Verdict]:
    """Hold the ratios of one contender against their budgets."""
    verdicts = []
    for base in ("sdk", "floor"):
        for result in results:
            if base not in result.measured and not result.invalid:
                continue
            row = result.row
            must, aim = CALL_BUDGETS.get((row.kind, base, row.in_flight > 1), (None, None))
            ratio = result.ratio(contender, base)
            note = last_line(result.invalid)
            what = f"{row.label}: CPU per call / {base}"
            verdicts.append(Verdict(what=what, value=ratio, unit="x", must=must, aim=aim, note=note))
    return verdicts


@contextmanager
def _open_lane(row: Row, contender: str, uvloop: bool) -> Iterator[Lane]:
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tally = Tally.create(place / "tally")
        stack.callback(tally.close)
        client, server = choose() or (None, None)
        target = _target(row, place / "tally", server, stack)
        spec = {"contender": contender, "target": target, "processor": client, "uvloop": uvloop}
        yield Lane(stack.enter_context(Worker("calls", **spec)), tally)


def _target(row: Row, tally: Path, processor: int | None, stack: ExitStack) -> Target:
    if row.kind == "stdio":
        return stdio_target(row.family, tally=tally, processor=processor)
    return stack.enter_context(serve_url(row.kind, row.family, tally, processor))


def _interleave(row: Row, lanes: dict[str, Lane], rounds: int, round_seconds: float) -> RowResult:
    counts = {name: _calibrate(lane, row.in_flight, round_seconds) for name, lane in lanes.items()}
    measured = {name: Measured(calls=counts[name], loop=lane.loop) for name, lane in lanes.items()}
    names = list(lanes)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            answer = lanes[name].run(counts[name], row.in_flight)
            measured[name].cpu.append(answer["cpu"] / counts[name] * 1e6)
            measured[name].wall.append(answer["wall"] / counts[name] * 1e6)
    return RowResult(row=row, measured=measured)


def _calibrate(lane: Lane, in_flight: int, round_seconds: float) -> int:
    """Warm the contender up and give the number of calls that fills one round."""
    calls = max(50, 2 * in_flight)
    for _ in range(_WARM_ROUNDS):
        wall = lane.run(calls, in_flight)["wall"] / calls
        calls = max(2 * in_flight, int(round_seconds / wall))
    return calls

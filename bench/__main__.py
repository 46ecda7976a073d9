"""`python -m bench`: run the benchmarks, print the tables, and fail when a budget's `must` does not hold."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench import attached, calls, catalog, fleet, large, layers, memory, neighbor, report, startup
from bench.contenders import CONTENDERS
from bench.target import ROOT
from bench.verdict import Verdict

RESULTS = ROOT / "bench" / "results" / "latest.json"
SELF_CHECK = ("floor", "floor:twin", "sdk")
_TOLERANCE = 0.10


class Run:
    """One run: its options, and what has been found so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.contenders: list[str] = list(SELF_CHECK) if options.self_check else options.contenders.split(",")
        self.rows: list[calls.RowResult] = []
        self.verdicts: list[Verdict] = []
        self.sections: dict[str, Any] = {}

    def measure_calls(self) -> None:
        rounds, seconds = (11, 0.05) if self.options.quick else (31, 0.12)
        print(report.row_head())
        for row in calls.ROWS:
            if self.options.rows not in row.label:
                continue
            result = calls.measure_row(
                row, self.contenders, rounds=rounds, round_seconds=seconds, uvloop=self.options.uvloop
            )
            self.rows.append(result)
            print(report.format_row(result), flush=True)
        print("\n" + report.format_ratios(self.rows))
        if self.options.self_check:
            self.verdicts += _self_check(self.rows)
        elif "trunkline" in self.contenders:
            self.verdicts += calls.judge(self.rows)

    def measure_large(self) -> None:
        rounds = 2 if self.options.quick else 5
        found = large.measure(self.contenders, rounds=rounds, uvloop=self.options.uvloop)
        print("\n".join(result.describe() for result in found))
        self._keep("large", found, large.judge(found))

    def measure_startup(self) -> None:
        found = startup.measure(rounds=15)
        print(f"`trunkline --help` as {found.command}\n{found.describe()}")
        self._keep("startup", found, startup.judge(found))

    def measure_attached(self) -> None:
        found = attached.measure(rounds=9)
        print(found.describe())
        self._keep("attached", found, attached.judge(found))

    def measure_fleet(self) -> None:
        found = fleet.measure(rounds=3 if self.options.quick else 5, uvloop=self.options.uvloop)
        print(found.describe())
        self._keep("fleet", found, fleet.judge(found))

    def measure_neighbor(self) -> None:
        rounds = 8 if self.options.quick else 20
        found = [neighbor.measure(kind, rounds=rounds, uvloop=self.options.uvloop) for kind in neighbor.KINDS]
        print("\n".join(result.describe() for result in found))
        self._keep("neighbor", found, [verdict for result in found for verdict in neighbor.judge(result)])

    def measure_memory(self) -> None:
        count = 1_000_000 if self.options.soak else 30_000 if self.options.quick else 100_000
        found = memory.measure(calls=count, uvloop=self.options.uvloop)
        print(found.describe())
        self._keep("memory", found, memory.judge(found))

    def measure_catalog(self) -> None:
        found = catalog.measure(searches=300 if self.options.quick else 1000, uvloop=self.options.uvloop)
        print(found.describe())
        self._keep("catalog", found, catalog.judge(found))

    def measure_layers(self) -> None:
        found = layers.measure()
        print(f"{layers.format_table(found)}\nthe unit takes {layers.measure_unit():.1f} us here")
        if "layers" in self.options.sections:
            layers.write_page(found)
            print(f"written: {layers.PAGE.relative_to(ROOT)}")
        self._keep("layers", found, layers.judge(found))

    def _keep(self, section: str, found: Any, verdicts: Sequence[Verdict]) -> None:
        self.sections[section] = found
        self.verdicts += verdicts


def main() -> int:
    options = _options()
    run = Run(options)
    loop = "uvloop" if options.uvloop else "asyncio default"
    facts = report.environment(
        loop, [CONTENDERS[name.partition(":")[0]].version() for name in run.contenders]
    )
    print(f"{report.HEAD}\n{facts}{report.busy()}")
    for name, (title, measure) in _sections(run).items():
        wanted = [*options.sections, *filter(None, options.only.split(","))]
        if wanted and name not in wanted:
            continue
        print(f"\n== {title}", flush=True)
        start = time.perf_counter()
        measure()
        print(f"({time.perf_counter() - start:.0f} s)")
    print(f"\n== Budgets\n{report.busy()}{report.format_verdicts(run.verdicts)}")
    report.write_json(RESULTS, run.rows, run.verdicts, facts, run.sections)
    print(f"\nwritten: {RESULTS.relative_to(ROOT)}")
    failed = [verdict.what for verdict in run.verdicts if verdict.passed is False]
    failed += [f"{row.row.label} is invalid" for row in run.rows if row.invalid]
    print(f"FAILED: {'; '.join(failed)}" if failed else "every budget that was measured holds")
    return 1 if failed and not options.no_gate else 0


def _sections(run: Run) -> dict[str, tuple[str, Callable[[], None]]]:
    every = {
        "calls": ("Small calls: CPU and wall time", run.measure_calls),
        "layers": ("What each layer costs", run.measure_layers),
        "large": ("One large result over stdio", run.measure_large),
        "startup": ("Start-up, bytecode compiled beforehand", run.measure_startup),
        "attached": ("A call on servers kept warm", run.measure_attached),
        "fleet": ("Twenty servers, three of them sick", run.measure_fleet),
        "neighbor": ("A healthy server beside a sick one", run.measure_neighbor),
        "memory": ("Memory over many calls", run.measure_memory),
        "catalog": ("A catalog of 5,000 tools", run.measure_catalog),
    }
    if run.options.self_check:
        return {"calls": every["calls"]}
    if "trunkline" not in run.contenders:
        return {name: every[name] for name in ("calls", "large")}
    return {"memory": every["memory"]} if run.options.soak else every


def _self_check(rows: Sequence[calls.RowResult]) -> list[Verdict]:
    """Hold the floor against itself: whatever differs from 1 is the error of the measurement."""
    verdicts = []
    for row in rows:
        ratio = row.ratio("floor:twin", "floor")
        error = None if ratio is None else abs(ratio - 1)
        what = f"{row.row.label}: error of the floor against itself"
        verdicts.append(Verdict(what=what, value=error, unit="", must=_TOLERANCE, note=row.invalid))
    return verdicts


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", help="as --only; `layers` alone writes its table into the docs"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under about 90 s")
    parser.add_argument("--soak", action="store_true", help="only memory, over a million calls")
    parser.add_argument("--self-check", action="store_true", help="only calls: the floor against itself")
    parser.add_argument("--uvloop", action="store_true", help="all contenders on uvloop")
    parser.add_argument("--no-gate", action="store_true", help="exit 0 whatever the verdicts are")
    parser.add_argument(
        "--only",
        default="",
        help="sections: calls,layers,large,startup,attached,fleet,neighbor,memory,catalog",
    )
    parser.add_argument("--rows", default="", help="only calls whose label contains this")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help=f"default: {','.join(CONTENDERS)}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

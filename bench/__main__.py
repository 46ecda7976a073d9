"""`python -m bench`: run the benchmarks, print the tables, and fail when a budget's `must` does not hold."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bench import calls, report
from bench.contenders import CONTENDERS
from bench.target import ROOT
from bench.verdict import Verdict

RESULTS = ROOT / "bench" / "results" / "latest.json"


def main() -> int:
    options = _options()
    names = options.contenders.split(",")
    print(report.HEAD)
    versions = [CONTENDERS[name.partition(":")[0]].version() for name in names]
    print(report.environment("uvloop" if options.uvloop else "asyncio default", versions))
    rounds, seconds = (9, 0.08) if options.quick else (31, 0.12)
    rows, verdicts = [], []
    print(report.row_head())
    for row in calls.ROWS:
        if options.rows in row.label:
            rows.append(calls.measure_row(row, names, rounds=rounds, round_seconds=seconds, uvloop=options.uvloop))
            print(report.format_row(rows[-1]), flush=True)
    if "trunkline" in names:
        verdicts += calls.judge(rows)
        print(report.format_verdicts(verdicts))
    for row in rows:
        print(row.row.label, {(a,b): round(row.ratio(a, b) or 0,3) for a in names for b in names if a!=b})
    report.write_json(RESULTS, rows, verdicts, {})
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under about 90 s")
    parser.add_argument("--uvloop", action="store_true", help="every contender on uvloop, not on the default loop")
    parser.add_argument("--rows", default="", help="only rows whose label contains this, such as `stdio`")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

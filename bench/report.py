"""Tables for people, and the same numbers as JSON for programs."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import placement
from bench.calls import RowResult
from bench.verdict import Verdict
from bench.worker import last_line

HEAD = """\
Trunkline benchmarks. What is measured:
- CPU per call: CPU time of the client's own process (all its threads, user and system) divided by the calls
  made. The server, the bench, and helper processes a client may start are not in it.
  Wall: seconds of the whole round divided by the calls made.
- Each contender connects once, in a process of its own, to its own copy of one neutral server written without
  any MCP library, and runs rounds that alternate with the others' rounds. Every call has other arguments,
  every answer is compared, and after every round the server's own count and the sum of the arguments it saw
  must equal the client's; otherwise the row is invalid and the run fails.
- Numbers are medians of the rounds, (lowest to highest) behind; a ratio is the median of the rounds' ratios.
- Every contender runs with its default settings and Python's default garbage collection. The floor is plain
  asyncio and json; it validates, limits, times and retries nothing.
- Absolute numbers belong to this machine at this moment. Compare only ratios, and only within one run.
"""


def environment(loop: str, versions: Iterable[str]) -> str:
    """Give the lines that say where the run took place."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} CPUs, load {load}\n"
        f"event loop: {loop}; {placement.describe()}\n"
        f"contenders: {', '.join(versions)}\n"
    )


def busy() -> str:
    """Warn when other work competes for the processors, or give ""."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load < processors / 2:
        return ""
    return (
        f"This machine is busy (load {load:.1f} on {processors} CPUs). Ratios of CPU per call hold roughly;\n"
        "what is measured in wall time (large result, start-up) can only look worse than it is.\n"
    )


def format_row(result: RowResult) -> str:
    """Give one line per contender: CPU and wall per call."""
    if result.invalid:
        return f"{result.row.label:<22} INVALID: {last_line(result.invalid)}"
    lines: list[str] = []
    for name, measured in result.measured.items():
        label = result.row.label if not lines else ""
        lines.append(f"{label:<22} {name:<12} {_spread(measured.cpu):>28} {_spread(measured.wall):>28}")
    return "\n".join(lines)


def row_head() -> str:
    """Give the heading above `format_row`."""
    return f"{'row':<22} {'contender':<12} {'CPU us per call':>28} {'wall us per call':>28}"


def format_ratios(results: Sequence[RowResult]) -> str:
    """Give CPU per call of each contender divided by that of each one after it."""
    lines = []
    for result in results:
        pairs = itertools.combinations(result.measured, 2)
        cells = (f"{mine}/{base} {result.ratio(mine, base):.2f}" for mine, base in pairs)
        lines.append(f"{result.row.label:<22} {'  '.join(cells)}")
    return "\n".join(["ratios of CPU per call", *lines])


def format_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Give the table of budgets."""
    width = max((len(verdict.what) for verdict in verdicts), default=4)
    lines = [f"{'budget':<{width}}  {'measured':>12}  {'must':>10}  {'aim':>8}  verdict"]
    for verdict in verdicts:
        value = "-" if verdict.value is None else f"{verdict.value:.2f} {verdict.unit}"
        sign = ">=" if verdict.at_least else "<="
        limits = (verdict.must, verdict.aim)
        must, aim = (f"{sign} {limit:g}" if limit is not None else "-" for limit in limits)
        note = f"  ({verdict.note})" if verdict.note else ""
        lines.append(f"{verdict.what:<{width}}  {value:>12}  {must:>10}  {aim:>8}  {verdict.word}{note}")
    return "\n".join(lines)


def write_json(
    path: Path,
    rows: Sequence[RowResult],
    verdicts: Sequence[Verdict],
    facts: str,
    sections: Mapping[str, Any],
) -> None:
    """Write all rounds and verdicts."""
    document = {
        "facts": facts.splitlines(),
        "rows": rows,
        **sections,
        "verdicts": [{**dataclasses.asdict(verdict), "verdict": verdict.word} for verdict in verdicts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, default=dataclasses.asdict) + "\n")


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"

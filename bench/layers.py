"""What each layer of the pipeline costs: CPU per call with nothing within it, also in units of this machine.

`python -m bench layers` prints the table and writes it into the docs. Layers are those that
`trunkline.connect` compiles for a policy. The unit is fixed work of the same kind, so that a budget in
microseconds holds alike on slow machines: where the unit takes longer than on the machine that the budgets
are for, so may a layer.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import trunkline
from bench.target import ROOT
from bench.verdict import Verdict
from trunkline.core.call import Call, Flight
from trunkline.core.principal import LOCAL
from trunkline.core.reply import Reply
from trunkline.testing import FakeServer

PAGE = ROOT / "docs" / "reference" / "layer-costs.md"
UNIT_US = 20.0
"""What the unit takes on the machine that the budgets are for, in microseconds."""
_CALLS = 400
_ROUNDS = 25
_TOOL = {"type": "object", "properties": {"n": {"type": "integer"}, "text": {"type": "string"}}}
_RESULT = {"content": [{"type": "text", "text": "row"}], "isError": False}

Service = Callable[[Call], Awaitable[Reply]]


class Row(NamedTuple):
    """One layer, in one situation."""

    layer: str
    """Its name in the stack."""
    about: str
    server: Mapping[str, Any] = {}
    """What policy says of the server, so that there is such a layer."""
    tool: Mapping[str, Any] = {}
    varies: bool = False
    """Whether each call has other arguments."""
    must_us: float | None = None
    """Most microseconds, on the machine that the budgets are for."""


ROWS = (
    Row("observe", "times the call, keeps it in the journal"),
    Row("deadline", "sets and ends one alarm, as the only call in flight"),
    Row("validate", "checks two arguments against the schema"),
    Row("call", "one function of the application, `return await next(call)`"),
    Row("fallback", "an alternative that is not needed", tool={"fallback": ["db.other"]}),
    Row("cache", "a hit", tool={"read_only": True, "cache": {"ttl": 3600}}, must_us=15.0),
    Row("cache", "a miss, kept", tool={"read_only": True, "cache": {"ttl": 3600}}, varies=True),
    Row("coalesce", "nothing to share", tool={"read_only": True, "coalesce": True}, varies=True),
    Row("retry", "the first try is answered"),
    Row(
        "route",
        "least loaded, with a hedge that is not needed",
        tool={"read_only": True, "hedge": {"share": 0.02}},
    ),
    Row("breaker", "closed, of the server and of the tool", must_us=2.0),
    Row(
        "limit",
        "concurrency and rate, nobody waits",
        server={"limit": {"concurrency": 100, "rate": 1_000_000}},
    ),
)


class Result(NamedTuple):
    """What one row came to."""

    layer: str
    about: str
    us: float
    units: float
    """Parts of the unit."""
    must_us: float | None


def measure(rows: tuple[Row, ...] = ROWS) -> list[Result]:
    """Give what each row costs over a service that does nothing, the best of many rounds."""
    unit = measure_unit()
    costs = [asyncio.run(_measure(row)) for row in rows]
    return [
        Result(row.layer, row.about, cost, cost / unit, row.must_us)
        for row, cost in zip(rows, costs, strict=True)
    ]


def measure_unit() -> float:
    """Give what a fixed piece of work takes here, in microseconds: calls, dicts and a little JSON."""
    document = {"jsonrpc": "2.0", "id": 7, "params": {"name": "get", "arguments": {"n": 1, "text": "x" * 40}}}

    def work() -> None:
        for _ in range(2):
            found = json.loads(json.dumps(document))
            found["params"] = {**found["params"], "more": list(range(20))}

    return min(_spent(lambda: [work() for _ in range(100)]) / 100 for _ in range(_ROUNDS))


def judge(found: list[Result]) -> list[Verdict]:
    """Hold the rows that have a budget against it, on slow machines in units."""
    return [
        Verdict(
            what=f"{one.layer}: {one.about}",
            value=min(one.us, one.units * UNIT_US),
            unit="us",
            must=one.must_us,
        )
        for one in found
        if one.must_us is not None
    ]


def format_table(found: list[Result]) -> str:
    """Give the table of the docs."""
    lines = ["| layer | what it does here | us | units | at most |", "| --- | --- | --- | --- | --- |"]
    for one in found:
        most = "-" if one.must_us is None else f"{one.must_us:g} us"
        lines.append(f"| {one.layer} | {one.about} | {one.us:.1f} | {one.units:.2f} | {most} |")
    return "\n".join(lines)


def write_page(found: list[Result], page: Path = PAGE) -> None:
    """Put the table into the docs, in place of the one that is there."""
    before, begin, rest = page.read_text(encoding="utf-8").partition("<!-- table -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    page.write_text(f"{before}{begin}{format_table(found)}\n{end}{after}", encoding="utf-8")


async def _measure(row: Row) -> float:
    server = FakeServer("db")
    for name in ("get", "other"):
        server.tool(name, schema=_TOOL, returns="row")
    policy = {"servers": {"db": dict(row.server)}, "tools": {"db.get": dict(row.tool)}}
    async with trunkline.connect({"db": server}, policy=policy, middleware=[_pass_on]) as trunk:
        await trunk.ready()
        layer = next(one for one in trunk.layers("db", "get") if one.name == row.layer)
        bare, wrapped = _answer, layer.wrap(_answer)
        await _run(wrapped, _calls(row, 0))
        spent = {bare: float("inf"), wrapped: float("inf")}
        for number in range(1, _ROUNDS):
            for service in spent:
                calls = _calls(row, number)
                begun = time.process_time_ns()
                await _run(service, calls)
                spent[service] = min(spent[service], (time.process_time_ns() - begun) / 1000 / _CALLS)
        return max(0.0, spent[wrapped] - spent[bare])


async def _run(service: Service, calls: list[Call]) -> None:
    for call in calls:
        await service(call)


def _calls(row: Row, number: int) -> list[Call]:
    now = asyncio.get_running_loop().time()
    return [_call(now, number * _CALLS + place if row.varies else 1) for place in range(_CALLS)]


def _call(now: float, number: int) -> Call:
    return Call(
        id=f"bench-{number:x}",
        server="db",
        name="get",
        public_name="db.get",
        arguments={"n": number, "text": f"call {number}"},
        principal=LOCAL,
        deadline=now + 600,
        idle=60,
        flight=Flight(now),
    )


async def _answer(call: Call) -> Reply:
    flight = call.flight
    flight.sent = flight.answered = flight.started
    return Reply(raw=_RESULT, server="db", tool="db.get", call_id=call.id)


async def _pass_on(call: Call, inner: Service) -> Reply:
    return await inner(call)


def _spent(work: Callable[[], object]) -> float:
    begun = time.process_time_ns()
    work()
    return (time.process_time_ns() - begun) / 1000


def layers_of(page: Path = PAGE) -> Iterator[str]:
    """Give the layers that the docs name."""
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0] not in ("layer", "---"):
            yield cells[0]

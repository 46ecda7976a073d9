"""The bench refuses what would make its numbers untrue, and its servers are right for every client."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from bench import __main__ as command
from bench import calls, report, websocket
from bench.answers import Answers, Family
from bench.calls import Lane, Measured, Row, RowResult
from bench.child import run_round
from bench.contenders import Connection
from bench.tally import Tally
from bench.target import ROOT, Kind, serve_url
from bench.verdict import Verdict
from bench.worker import Worker, WorkerError, last_line

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Claimant:
    """Stands in for a contender's process that says what it did without doing it."""

    loop = ""

    def ask(self, *, calls: int, in_flight: int) -> dict[str, Any]:
        return {"calls": calls, "total": sum(range(calls)), "cpu": 1.0, "wall": float(in_flight)}


@pytest.fixture
def tally(tmp_path: Path) -> Iterator[Tally]:
    opened = Tally.create(tmp_path / "tally")
    yield opened
    opened.close()


@pytest.fixture
def lane(tally: Tally) -> Lane:
    return Lane(cast(Worker, Claimant()), tally)


def test_a_round_whose_calls_all_reached_the_server_is_valid(lane: Lane, tally: Tally) -> None:
    for number in range(5):
        tally.add(number)
    assert lane.run(5, 1)["cpu"] == 1.0


def test_a_call_that_never_reached_the_server_makes_the_row_invalid(lane: Lane, tally: Tally) -> None:
    for number in range(4):
        tally.add(number)
    with pytest.raises(WorkerError, match="the server counts 4"):
        lane.run(5, 1)


def test_a_repeated_argument_makes_the_row_invalid(lane: Lane, tally: Tally) -> None:
    for number in (0, 1, 2, 3, 3):
        tally.add(number)
    with pytest.raises(WorkerError, match="the server counts 5 and 9"):
        lane.run(5, 1)


@pytest.mark.anyio
async def test_an_answer_that_belongs_to_another_call_ends_the_round() -> None:
    async def confuse(_tool: str, _arguments: Mapping[str, Any]) -> str:
        return "the text of somebody else"

    with pytest.raises(RuntimeError, match="the text of another call"):
        await run_round(Connection(call=confuse, revision=""), itertools.count(1), 3, 1)


@pytest.mark.anyio
async def test_every_call_of_a_round_has_another_argument() -> None:
    seen = []

    async def echo(_tool: str, arguments: Mapping[str, Any]) -> str:
        seen.append(arguments["n"])
        return str(arguments["text"])

    connection, numbers = Connection(call=echo, revision=""), itertools.count(1)
    first = await run_round(connection, numbers, 10, 3)
    await run_round(connection, numbers, 10, 3)
    assert sorted(seen) == list(range(1, 21))
    assert first["total"] == sum(range(1, 11))


@pytest.mark.parametrize(
    ("kind", "family"),
    [("stdio", "legacy"), ("stdio", "modern"), ("http", "legacy"), ("http", "modern"), ("sse", "legacy")],
)
def test_the_sdk_and_the_floor_are_counted_alike_on_both_families(kind: Kind, family: Family) -> None:
    row = Row(kind=kind, family=family, in_flight=2)
    result = calls.measure_row(row, ("sdk", "floor"), rounds=2, round_seconds=0.01, uvloop=False)
    assert result.invalid == ""
    assert {name: len(measured.cpu) for name, measured in result.measured.items()} == {"sdk": 2, "floor": 2}


@pytest.mark.parametrize("family", ["legacy", "modern"])
def test_the_websocket_server_counts_calls_and_contenders_without_such_a_client_are_left_out(
    family: Family,
) -> None:
    row = Row(kind="websocket", family=family, in_flight=3)
    result = calls.measure_row(row, ("trunkline", "sdk", "floor"), rounds=1, round_seconds=0.01, uvloop=False)
    assert (result.invalid, list(result.measured)) == ("", ["trunkline", "floor"])
    alone = calls.measure_row(row, ("sdk",), rounds=1, round_seconds=0.01, uvloop=False)
    assert (alone.invalid, alone.measured) == ("", {})


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("mask", [b"", b"\x01\x80\xff\x00"])
def test_the_servers_frames_survive_any_cut(size: int, mask: bytes) -> None:
    payload = bytes(index % 251 for index in range(size))
    data = websocket.encode_frame(1, payload, mask)
    half, rest = websocket.split_frames(data[: len(data) // 2])
    whole, left = websocket.split_frames(rest + data[len(data) // 2 :] + data[:1])
    assert (half + whole, left) == ([(1, payload)], data[:1])


@pytest.mark.parametrize(("kind", "family"), [("stdio", "legacy"), ("http", "modern"), ("sse", "legacy")])
def test_fastmcp_is_counted_over_every_transport_it_has(kind: Kind, family: Family) -> None:
    row = Row(kind=kind, family=family, in_flight=1)
    result = calls.measure_row(row, ("fastmcp",), rounds=1, round_seconds=0.01, uvloop=False)
    assert (result.invalid, len(result.measured["fastmcp"].cpu)) == ("", 1)


def test_a_contender_that_cannot_start_makes_the_row_invalid_and_says_why() -> None:
    with pytest.raises(WorkerError) as caught, Worker("calls", contender="nobody", target={}) as worker:
        worker.wait_ready()
    assert last_line(str(caught.value)).startswith("TypeError")


def test_a_modern_server_refuses_a_request_without_its_version(tally: Tally) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    arguments = {"name": "echo", "arguments": {"n": 1, "text": "x"}}
    answers = Answers("modern", tally)
    assert _code(answers.respond({**request, "params": arguments})) == -32602
    assert tally.calls == 0
    assert _code(answers.respond({**request, "params": {**arguments, "_meta": META}})) is None
    assert tally.calls == 1


@pytest.mark.parametrize(("family", "method"), [("legacy", "server/discover"), ("modern", "initialize")])
def test_a_server_does_not_speak_the_other_family(family: Family, method: str) -> None:
    answers = Answers(family)
    response = answers.respond({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": META}})
    assert _code(response) == -32601


def test_all_pages_of_a_long_list_add_up() -> None:
    answers, names, cursor = Answers("legacy", tools=1234), set(), None
    while True:
        params: dict[str, Any] = {"cursor": cursor} if cursor else {}
        page = answers.respond({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params})
        assert page is not None
        names |= {tool["name"] for tool in page["result"]["tools"]}
        cursor = page["result"].get("nextCursor")
        if cursor is None:
            break
    assert len(names) == 1234


@pytest.mark.parametrize(
    ("family", "method", "headers", "status"),
    [
        ("legacy", "GET", {}, 405),
        ("legacy", "DELETE", {}, 200),
        ("modern", "DELETE", {}, 405),
        ("legacy", "POST", {}, 400),
        ("modern", "POST", {"Mcp-Method": "notifications/x"}, 400),
        ("modern", "POST", {"Mcp-Method": "notifications/x", "MCP-Protocol-Version": "2026-07-28"}, 202),
    ],
)
def test_the_http_server_answers_with_the_status_the_specification_asks_for(
    family: Family, method: str, headers: Mapping[str, str], status: int, tmp_path: Path
) -> None:
    Tally.create(tmp_path / "tally").close()
    body = json.dumps({"jsonrpc": "2.0", "method": "notifications/x"}).encode() if method == "POST" else None
    with serve_url("http", family, tmp_path / "tally") as target:
        request = urllib.request.Request(target.url, data=body, headers=dict(headers), method=method)
        assert _status(request) == status


def test_a_ratio_is_the_median_of_the_rounds_and_not_of_the_sums() -> None:
    result = _result(trunkline=[1.0, 2.0, 90.0], sdk=[10.0, 10.0, 100.0])
    assert result.ratio("trunkline", "sdk") == 0.2


def test_a_row_that_is_invalid_fails_its_budgets() -> None:
    broken = RowResult(row=Row(kind="stdio", family="legacy", in_flight=1), invalid="it fell over")
    assert [verdict.word for verdict in calls.judge([broken])] == ["FAIL", "FAIL"]


@pytest.mark.parametrize(
    ("value", "word"), [(0.2, "PASS, aim"), (0.35, "PASS"), (0.41, "FAIL"), (None, "FAIL")]
)
def test_a_verdict_says_whether_must_and_aim_hold(value: float | None, word: str) -> None:
    assert Verdict(what="", value=value, unit="x", must=0.40, aim=0.28).word == word


def test_a_rate_has_to_reach_its_budget_from_below() -> None:
    assert Verdict(what="", value=99.0, unit="MB/s", must=100, at_least=True).passed is False
    assert Verdict(what="", value=101.0, unit="MB/s", must=100, at_least=True).passed is True


@pytest.mark.parametrize(("arguments", "status"), [([], 1), (["--no-gate"], 0)])
def test_a_failed_must_ends_the_run_with_status_1_unless_told_otherwise(
    arguments: list[str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "write_json", lambda *_: None)
    monkeypatch.setattr(calls, "ROWS", ())
    monkeypatch.setattr(calls, "judge", lambda _: [Verdict(what="cost", value=2.0, unit="x", must=1.0)])
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "calls", *arguments])
    assert command.main() == status


def test_the_page_has_a_ratio_for_every_row() -> None:
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert [row.label for row in calls.ROWS if page.count(f"\n| {row.label} |") != 1] == []


def test_the_command_explains_itself() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], cwd=ROOT, check=True, capture_output=True, timeout=30
    )
    assert b"--quick" in shown.stdout


def _code(response: dict[str, Any] | None) -> int | None:
    assert response is not None
    return cast(dict[str, int], response.get("error", {})).get("code")


def _status(request: urllib.request.Request) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _result(**cpu: list[float]) -> RowResult:
    measured = {name: Measured(calls=1, loop="", cpu=values, wall=values) for name, values in cpu.items()}
    return RowResult(row=Row(kind="stdio", family="legacy", in_flight=1), measured=measured)

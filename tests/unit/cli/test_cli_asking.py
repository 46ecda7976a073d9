"""`logs`, `restart`, `why` and `status --all`: what they print of what a running runtime says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from trunkline.cli import runtimes
from trunkline.core.journal import CallRecord, Hop, LogLine
from trunkline.core.status import ServerStatus
from trunkline.core.why import Why
from trunkline.errors import NotFoundError, UnavailableError
from trunkline.runtime.control_messages import Said
from trunkline.runtime.control_record import Record
from trunkline.supervision.restarting import Restarted

UP = Record(name="n1", pid=7, sources=("/here/mcp.json",), folder="/here", version="1")
CALL = CallRecord(
    call_id="abcdef-1",
    server="git",
    tool="git.log",
    age=65.0,
    elapsed=0.25,
    code="outcome_unknown",
    delivery="unknown",
    message="the link was lost",
    hops=(Hop(name="prepared", seconds=0.05), Hop(name="with the server, unanswered", seconds=0.2)),
)


def said(number: int, text: str, **facts: Any) -> LogLine:
    count = facts.pop("count", number)
    return LogLine(
        **({"number": number, "count": count, "server": "git", "time": 0.0, "source": "stderr"} | facts),
        text=text,
    )


class FakeInspector:
    """Answers from values."""

    def __init__(self) -> None:
        self.statuses = {"git": ServerStatus(state="ready", since=1.0, tools=2)}
        self.said: list[Any] = []
        self.whys: dict[str, Why] = {}
        self.journal: tuple[CallRecord, ...] = ()
        self.restarts: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.error: Exception | None = None

    def status(self) -> dict[str, ServerStatus]:
        if self.error is not None:
            raise self.error
        return self.statuses

    def logs(self, only: tuple[str, ...] = (), **options: Any) -> Said:
        self.asked.append((only, options))
        if not self.said:
            raise UnavailableError("the runtime of process 7 has ended")
        lines = self.said.pop(0)
        return Said(lines=tuple(lines), newest=lines[-1].number if lines else 0, servers=("git",))

    def calls(self, most: int) -> tuple[CallRecord, ...]:
        return self.journal[-most:]

    def why(self, word: str) -> Why:
        if word not in self.whys:
            raise NotFoundError("the journal has no such call", code="no_such_call")
        return self.whys[word]

    def restart(self, server: str, *, grace: float, timeout: float) -> Restarted:
        self.asked.append((server, grace, timeout))
        if isinstance(outcome := self.restarts[server], Exception):
            raise outcome
        return Restarted(server=server, **outcome)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> FakeInspector:
    inspector = FakeInspector()

    @contextmanager
    def asking(_: Record) -> Iterator[FakeInspector]:
        yield inspector

    monkeypatch.setattr(runtimes, "choose", lambda *_: UP)
    monkeypatch.setattr(runtimes, "running", lambda: [UP])
    monkeypatch.setattr(runtimes, "asking", asking)
    return inspector


Run = Callable[..., Any]


def test_logs_are_lines_with_time_server_and_source(trunkline: Run, asked: FakeInspector):
    asked.said = [
        [
            said(1, "red \x1b[31mtext"),
            said(2, "low", source="log", level="warning", logger="ink"),
            said(3, "failed: gone", source="state"),
        ]
    ]
    run = trunkline("logs", "git")
    assert run.code == 0
    assert [line.split(" ", 2)[2] for line in run.out.splitlines()] == [
        "git stderr: red text",
        "git log warning: ink: low",
        "git state: failed: gone",
    ]
    assert asked.asked == [(("git",), {"most": None})]


def test_logs_as_json_are_one_object_a_line(trunkline: Run, asked: FakeInspector):
    asked.said = [[said(1, "one"), said(2, "two", source="log", level="error", time=1.5)]]
    documents = [json.loads(line) for line in trunkline("logs", "--json", "-n", "5").out.splitlines()]
    assert documents[1] == {
        "event": "log",
        "time": "1970-01-01T00:00:01.500Z",
        "server": "git",
        "source": "log",
        "level": "error",
        "logger": None,
        "text": "two",
    }
    assert asked.asked == [((), {"most": 5})]


def test_following_goes_on_from_the_newest_line_and_counts_what_was_missed(
    trunkline: Run, asked: FakeInspector
):
    asked.said = [[said(4, "a", count=3)], [said(9, "b", count=7)], []]
    run = trunkline("logs", "-f")
    assert [line.rpartition(" ")[2] for line in run.out.splitlines()] == ["a", "b"]
    assert "3 lines of git came too fast" in run.err
    assert run.code == 4
    assert "the runtime of process 7 has ended" in run.err
    assert [options.get("after") for _, options in asked.asked] == [None, 4, 9, 0]


def test_following_ends_with_the_time(trunkline: Run, asked: FakeInspector):
    asked.said = [[said(1, "a")]]
    assert trunkline("logs", "-f", "--timeout", "1e-9").code == 0
    assert asked.asked == [((), {"most": 10})]


def test_a_server_there_is_not_is_named_with_those_that_are(trunkline: Run, asked: FakeInspector):
    asked.said = [[]]
    run = trunkline("logs", "gitt")
    assert run.code == 5
    assert "has no server 'gitt'" in run.err
    assert "Did you mean git?" in run.err


def test_silence_is_told(trunkline: Run, asked: FakeInspector):
    asked.said = [[]]
    run = trunkline("logs")
    assert (run.code, run.out, run.err) == (0, "", "trunkline: nothing was said yet\n")


def test_a_restart_tells_what_became_of_calls_in_flight(trunkline: Run, asked: FakeInspector):
    asked.restarts = {"git": {"finished": 2, "cut": 1}}
    run = trunkline("restart", "git", "--grace", "1.5")
    assert run.code == 0
    assert run.out.startswith("git: ready again after ")
    assert run.out.endswith("; 2 calls ended before; 1 call was cut: outcome unknown\n")
    assert asked.asked == [("git", 1.5, 61.5)]


def test_one_restart_that_fails_does_not_stop_the_others(trunkline: Run, asked: FakeInspector):
    asked.statuses |= {"time": ServerStatus(state="failed", since=1.0)}
    asked.restarts = {"git": UnavailableError("no such command", server="git"), "time": {}}
    run = trunkline("restart", "--all", "--json")
    assert run.code == 4
    assert run.document["ok"] is False
    first, second = run.document["restarted"]
    assert (first["server"], first["ok"], first["error"]["message"]) == (
        "git",
        False,
        "git: no such command",
    )
    assert (second["server"], second["ok"], second["cut"]) == ("time", True, 0)


@pytest.mark.parametrize("argv", [["restart"], ["restart", "--all", "git"]])
def test_what_to_restart_is_said_once(trunkline: Run, asked: FakeInspector, argv: list[str]):
    assert trunkline(*argv).code == 2
    assert asked.asked == []


def test_an_unknown_name_restarts_nothing(trunkline: Run, asked: FakeInspector):
    run = trunkline("restart", "git", "tme")
    assert run.code == 5
    assert asked.asked == []


def test_why_gives_the_reason_the_way_and_the_last_words(trunkline: Run, asked: FakeInspector):
    status = ServerStatus(state="backoff", since=1.0, last_error="it exited", stderr="one\ntwo \x1b[2J")
    asked.whys["git"] = Why(
        about="server",
        name="git",
        summary="backoff for 1 s: it exited",
        notes=("it is tried again in 3 s",),
        hint="Look.",
        status=status,
        call=CALL,
        calls=(CALL,),
    )
    run = trunkline("why", "git")
    assert run.code == 0
    assert run.out.splitlines() == [
        "git: backoff for 1 s: it exited",
        "  it is tried again in 3 s",
        "  its way:",
        "        50.0 ms  prepared",
        "       200.0 ms  with the server, unanswered",
        "  hint: Look.",
        "  the server's last words:",
        "    one",
        "    two",
        "  last calls:",
        "    CALL      TOOL     AGO   TOOK      OUTCOME          DELIVERY",
        "    abcdef-1  git.log  65 s  250.0 ms  outcome_unknown  unknown",
    ]
    assert trunkline("why", "git", "--json").document["why"]["calls"][0]["call_id"] == "abcdef-1"


def test_a_call_is_looked_for_in_every_runtime(
    trunkline: Run, asked: FakeInspector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runtimes, "choose", lambda *_: pytest.fail("no runtime need be chosen"))
    asked.whys["abcdef-1"] = Why(about="call", name="abcdef-1", summary="it ran", call=CALL)
    assert trunkline("why", "abcdef-1").out.startswith("abcdef-1: it ran\n")
    run = trunkline("why", "abcdef-2")
    assert run.code == 5
    assert "no runtime that runs knows the call abcdef-2" in run.err


def test_without_a_word_the_last_calls_are_listed(trunkline: Run, asked: FakeInspector):
    assert trunkline("why").err == "trunkline: no call was made yet\n"
    asked.journal = (CALL, CALL)
    assert len(trunkline("why", "-n", "1").out.splitlines()) == 2
    assert len(trunkline("why", "--json").document["calls"]) == 2


def test_status_of_all_shows_each_runtime_and_warns_of_a_silent_one(trunkline: Run, asked: FakeInspector):
    run = trunkline("status", "--all")
    assert run.out.splitlines()[0] == "process 7 (trunkline up) of /here/mcp.json"
    assert run.out.splitlines()[2].startswith("git")
    asked.error = UnavailableError("process 7 does not answer")
    run = trunkline("status", "--all")
    assert (run.code, "process 7 does not answer" in run.err) == (0, True)
    document = trunkline("status", "--all", "--json").document
    assert (document["runtimes"][0]["pid"], document["runtimes"][0]["servers"]) == (7, [])


def test_status_asks_the_runtime_that_is_named(trunkline: Run, asked: FakeInspector, world: Any):
    run = trunkline("status", "--runtime", "7", "--json")
    assert [server["name"] for server in run.document["servers"]] == ["git"]
    assert world.started == []
    run = trunkline("status", "--runtime", "7", "--watch", "--interval", "0.1", "--timeout", "0.01", "--json")
    assert run.code == 0
    assert run.document["server"]["name"] == "git"
    assert asked.error is None


@pytest.mark.parametrize("more", [["--watch"], ["--runtime", "7"]])
def test_status_of_all_takes_no_choice(trunkline: Run, asked: FakeInspector, more: list[str]):
    assert trunkline("status", "--all", *more).code == 2
    assert asked.asked == []


def test_status_of_what_goes_on_says_when_a_server_is_tried_again(trunkline: Run, asked: FakeInspector):
    asked.statuses["gone"] = ServerStatus(state="failed", since=1.0, last_error="no", retry_in=12.34)
    assert "  tried again in 12.3 s, or by a call\n" in trunkline("status", "--runtime", "7").out
    assert "tried again" not in trunkline("status").out

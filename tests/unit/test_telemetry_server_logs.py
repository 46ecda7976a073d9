"""What servers said: kept in order, cleaned, bounded for each server, and followed without being held up."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from trunkline.core.events import NOBODY, LogMessage, ServerChanged
from trunkline.telemetry.server_logs import ServerLogs, Witness, hearing

pytestmark = pytest.mark.anyio


def make_logs(**options: Any) -> ServerLogs:
    clock = itertools.count(1000.0)
    return ServerLogs(lambda: next(clock), lambda text: text.replace("secret", "***"), **options)


def texts(logs: ServerLogs, *servers: str, **options: Any) -> list[str]:
    return [line.text for line in logs.lines(servers or None, **options)]


def test_lines_of_all_servers_come_in_order_with_their_time_and_without_secrets():
    logs = make_logs()
    logs.add("a", "stderr", "one secret")
    logs.add("b", "log", "two", level="warning", logger="secret logger")
    logs.add("a", "state", "ready")
    assert texts(logs) == ["one ***", "two", "ready"]
    assert texts(logs, "a") == ["one ***", "ready"]
    assert texts(logs, most=1) == ["ready"]
    assert texts(logs, after=2) == ["ready"]
    assert [(line.time, line.number, line.count) for line in logs.lines()] == [
        (1000.0, 1, 1),
        (1001.0, 2, 1),
        (1002.0, 3, 2),
    ]
    assert (logs.lines(["b"])[0].level, logs.lines(["b"])[0].logger) == ("warning", "*** logger")


def test_a_loud_server_loses_its_own_oldest_lines_only():
    logs = make_logs(most=3, most_characters=20)
    logs.add("quiet", "stderr", "still here")
    for number in range(100):
        logs.add("loud", "stderr", f"line {number}")
    assert texts(logs, "loud") == ["line 98", "line 99"], "20 characters"
    assert logs.lines(["loud"])[0].count == 99, "the gap can be counted"
    assert texts(logs, "quiet") == ["still here"]
    logs.add("loud", "stderr", "x" * 10_000)
    assert texts(logs, "loud") == ["x" * 2_000]


def test_events_become_lines_and_go_on():
    logs, seen = make_logs(), []
    sink = type("Sink", (), {"watched": False, "put": lambda _, event: seen.append(event)})()
    witness = Witness(logs, sink)
    events = [
        ServerChanged(server="a", state="backoff", before="ready", reason="it exited"),
        ServerChanged(server="a", state="ready", before="connecting"),
        LogMessage(server="a", level="error", logger="db", data={"x": 1}, text="disk full"),
    ]
    for event in events:
        witness.put(event)
    assert texts(logs) == ["backoff: it exited", "ready", "disk full"]
    assert seen == events
    assert witness.watched, "else nobody would make the events"
    Witness(logs, NOBODY).put(events[0])


def test_standard_error_is_heard_after_it_was_cleaned():
    logs = make_logs()
    clean = hearing(str.strip, "a", logs)
    assert clean("  said  ") == "said"
    assert clean("   ") == ""
    assert texts(logs) == ["said"]
    assert hearing(str.strip, "a", None) is str.strip


async def test_a_follower_gets_each_new_line_and_no_old_one():
    logs = make_logs()
    logs.add("a", "stderr", "before")
    following = logs.follow(["a"])
    first = asyncio.create_task(anext(following))
    await asyncio.sleep(0)
    for text in ("one", "two"):
        logs.add("a", "stderr", text)
    logs.add("b", "stderr", "of another")
    async with asyncio.timeout(5):
        assert [(await first).text, (await anext(following)).text] == ["one", "two"]
    waiting = asyncio.create_task(anext(following))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    logs.add("a", "stderr", "nobody waits any more")


async def test_a_slow_follower_misses_the_oldest_and_can_count_them():
    logs = make_logs(most=2)
    following = logs.follow()
    first = asyncio.create_task(anext(following))
    await asyncio.sleep(0)
    for number in range(10):
        logs.add("a", "stderr", str(number))
    async with asyncio.timeout(5):
        line = await first
    assert (line.text, line.count) == ("8", 9)


async def test_who_waits_for_one_server_is_not_woken_by_another():
    logs = make_logs()
    waiting = asyncio.create_task(logs.wait(0, ["a"]))
    for _ in range(3):
        logs.add("loud", "stderr", "x")
        await asyncio.sleep(0)
    assert not waiting.done()
    logs.add("a", "stderr", "x")
    async with asyncio.timeout(5):
        await waiting

"""`trunkline list` and `trunkline status`: what is shown, and that a sick server fails neither."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.errors import (
    DeadlineExceededError,
)

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


@pytest.mark.parametrize("argv", [(), ("list",)])
def test_list_shows_servers_with_their_tools_beneath(trunkline: Trunkline, argv: tuple[str, ...]) -> None:
    run = trunkline(*argv)
    lines = run.out.splitlines()
    assert run.code == 0
    assert run.err == ""
    assert lines[0].split() == ["git", "ready", "2025-11-25", "stdio", "2", "tools"]
    assert lines[1].startswith("  log(")
    assert lines[2].startswith("  status(")
    assert lines[3].split()[0] == "time"
    assert lines[4].startswith("  now(")


def test_list_with_a_sick_server_shows_why_and_exits_zero_with_one_warning(
    trunkline: Trunkline, world: Any
) -> None:
    world.sicken("time")
    run = trunkline("list")
    assert run.code == 0
    assert "  error: exited with 1\n  hint: Look.\n" in run.out
    assert run.err == "trunkline: warning: 1 of 2 servers is not ready: time\n"


def test_list_as_json_has_a_stable_shape(trunkline: Trunkline, world: Any) -> None:
    world.sicken("time")
    document = trunkline("--json").document
    assert document["ok"] is True
    assert [server["name"] for server in document["servers"]] == ["git", "time"]
    assert set(document["servers"][1]) == {
        *("name", "state", "since", "era", "transport", "last_error", "hint", "stderr"),
        *("tools", "resources", "templates", "prompts", "restarts", "latency_ms", "last_check", "breaker"),
        *("dropped_notifications", "retry_in", "asleep", "waiting", "members"),
        *("breaker_reason", "open_tools"),
    }
    assert [tool["public_name"] for tool in document["tools"]] == ["git.log", "git.status", "time.now"]
    assert set(document["tools"][0]) == {
        *("name", "public_name", "server", "title", "description"),
        *("input_schema", "output_schema", "annotations", "stale"),
    }


def test_list_still_shows_what_is_there_when_the_time_is_up(trunkline: Trunkline, world: Any) -> None:
    world.not_ready = DeadlineExceededError("not ready")
    world.sicken("git", state="connecting", last_error=None)
    run = trunkline("list", "--timeout", "2")
    assert run.code == 0
    assert "connecting" in run.out
    assert world.waited == [(None, 2.0)]
    assert run.err.count("\n") == 1


def test_an_empty_file_lists_nothing_and_says_so(trunkline: Trunkline, world: Any) -> None:
    world.configure()
    run = trunkline("list", "--json")
    assert run.document == {"ok": True, "servers": [], "tools": []}
    assert run.err == "trunkline: warning: no server is configured in mcp.json\n"
    assert trunkline("list").out == ""


def test_status_is_a_table(trunkline: Trunkline, world: Any) -> None:
    world.sicken("time", since=300, restarts=3)
    run = trunkline("status")
    lines = run.out.splitlines()
    assert lines[0].split()[:4] == ["SERVER", "STATE", "FOR", "ERA"]
    assert lines[1].split()[:4] == ["git", "ready", "1.0", "s"]
    assert "5 min" in lines[2]
    assert lines[3] == "  error: exited with 1"
    assert run.code == 0


def test_status_names_each_breaker_that_is_not_closed(trunkline: Trunkline, world: Any) -> None:
    world.sicken(
        "git",
        state="ready",
        breaker="open",
        breaker_reason="5 of 5 calls",
        open_tools={"lo\x1bg": "half_open: 4 of 4 calls"},
    )
    lines = trunkline("status").out.splitlines()
    assert lines[1].split()[-1] == "open"
    assert lines[2] == "  breaker open: 5 of 5 calls"
    assert "\x1b" not in lines[3]
    assert lines[3].endswith("half_open: 4 of 4 calls")


def test_status_as_json_lists_the_servers(trunkline: Trunkline) -> None:
    document = trunkline("status", "--json").document
    assert document["ok"] is True
    assert document["servers"][0]["state"] == "ready"

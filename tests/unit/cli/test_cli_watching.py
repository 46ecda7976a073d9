"""`status --watch`: what counts as a change, and what is printed for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from trunkline.cli.watching import find_changes
from trunkline.core.status import ServerStatus
from trunkline.testing.virtual_time import VirtualTimeLoop

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""
READY = ServerStatus(state="ready", since=1.0, tools=2)


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({}, False),
        ({"since": 9.0, "latency_ms": 3.0, "last_check": 1.0}, False),
        ({"state": "failed"}, True),
        ({"tools": 3}, True),
        ({"restarts": 1}, True),
        ({"last_error": "gone"}, True),
    ],
)
def test_only_what_lasts_is_a_change(changes: dict[str, Any], seen: bool) -> None:
    now = {"a": READY, "b": msgspec.structs.replace(READY, **changes)}
    assert list(find_changes({"a": READY, "b": READY}, now)) == (["b"] if seen else [])


def test_a_new_server_is_a_change_and_a_removed_one_is_none() -> None:
    assert list(find_changes({"old": READY}, {"new": READY})) == ["new"]


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch, world: Any) -> list[int]:
    """Let `time` fail at the third look, in virtual time; gives the looks."""
    monkeypatch.setattr("trunkline.cli.loop.loop_factory", lambda: VirtualTimeLoop)
    looks: list[int] = []
    opened = world.open

    def open_trunk(config: Any, handlers: Any = None) -> Any:  # noqa: ARG001
        trunk = opened(config)
        status = trunk.status

        def look() -> Any:
            looks.append(1)
            if len(looks) == 3:
                world.sicken("time")
            return status()

        trunk.status = look
        return trunk

    monkeypatch.setattr("trunkline.cli.session.open_trunk", open_trunk)
    return looks


def test_a_pipe_gets_a_line_for_each_change_only(trunkline: Trunkline, changing: list[int]) -> None:
    run = trunkline("status", "--watch", "--interval", "1", "--timeout", "60.5")
    assert run.code == 0
    assert len(changing) == 62
    assert run.out.splitlines() == [
        "git  ready  2025-11-25  2 tools  0 restarts",
        "time  ready  2025-11-25  2 tools  0 restarts",
        "time  failed  exited with 1",
    ]


def test_json_gets_an_object_for_each_change_only(trunkline: Trunkline, changing: list[int]) -> None:
    run = trunkline("status", "--watch", "--timeout", "59", "--json")
    documents = [json.loads(line) for line in run.out.splitlines()]
    assert len(changing) == 31
    assert [(one["event"], one["server"]["name"], one["server"]["state"]) for one in documents] == [
        ("status", "git", "ready"),
        ("status", "time", "ready"),
        ("status", "time", "failed"),
    ]


def test_looks_are_never_closer_than_a_tenth_of_a_second(trunkline: Trunkline, changing: list[int]) -> None:
    assert trunkline("status", "--watch", "--interval", "0.0001", "--timeout", "10").code == 0
    assert 100 <= len(changing) <= 102


def test_an_interval_without_watching_is_refused(trunkline: Trunkline) -> None:
    run = trunkline("status", "--interval", "1")
    assert (run.code, run.err) == (2, "trunkline: error: --interval needs --watch\n")

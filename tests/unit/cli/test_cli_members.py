"""The table of `trunkline status` shows each connection of a server that has several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from trunkline.cli.render import render_status
from trunkline.cli.style import plain
from trunkline.cli.watching import find_changes
from trunkline.core.status import MemberStatus, ServerStatus

Trunkline = Callable[..., Any]

WELL = MemberStatus(
    name="1", state="ready", healthy=True, since=3.0, endpoint="https://eu.example/mcp", region="eu", calls=2
)
ILL = MemberStatus(
    name="2",
    state="failed",
    healthy=False,
    since=3.0,
    endpoint="https://us.example/mcp",
    last_error="refused \x1b[31m",
)
SHARED = ServerStatus(state="ready", since=3.0, transport="http", tools=4, members=(WELL, ILL), waiting=1)


@pytest.mark.parametrize(
    ("words", "connects"), [(["list"], True), (["tools"], True), (["search", "x"], True), (["status"], False)]
)
def test_what_lists_connects_lazy_servers_and_status_does_not(
    trunkline: Trunkline, world: Any, words: list[str], connects: bool
):
    assert trunkline(*words).code == 0
    assert world.lazy is connects


def test_each_connection_and_what_waits_stand_beneath_the_server():
    lines = render_status({"db": SHARED, "git": ServerStatus(state="ready", since=1.0)}, plain).splitlines()
    assert [line.rstrip() for line in lines[2:5]] == [
        "  1  ready   2 calls  eu  https://eu.example/mcp",
        "  2  failed  0 calls  -   https://us.example/mcp  error: refused",
        "  1 call waits",
    ]
    assert lines[5].startswith("git")


def test_a_single_connection_is_shown_while_it_is_leased_only():
    alone = replace(SHARED, members=(WELL,), waiting=0)
    assert len(render_status({"db": alone}, plain).splitlines()) == 2
    leased = replace(alone, members=(replace(WELL, leased=True),))
    assert "leased" in render_status({"db": leased}, plain).splitlines()[2]


def test_a_replica_that_is_left_out_says_so():
    left_out = replace(SHARED, members=(replace(WELL, healthy=False, ejected=True), ILL))
    assert "  1  ready   ejected  eu" in render_status({"db": left_out}, plain)


def test_watching_tells_of_a_connection_that_went_down_and_of_no_passing_of_time():
    later = replace(SHARED, members=(replace(WELL, since=5.0, calls=0), replace(ILL, since=5.0)))
    assert list(find_changes({"db": SHARED}, {"db": later})) == []
    down = replace(SHARED, members=(replace(WELL, state="backoff"), ILL))
    assert list(find_changes({"db": SHARED}, {"db": down})) == ["db"]

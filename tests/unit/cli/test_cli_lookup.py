"""`trunkline tools`, `info` and `search`: which tools are shown, and which servers are started for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.errors import (
    NotFoundError,
    UnavailableError,
)

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


def test_tools_gives_signatures_and_first_sentences(trunkline: Trunkline) -> None:
    run = trunkline("tools")
    assert run.out.splitlines()[1] == "    Show commits."
    assert run.out.splitlines()[0].startswith("git.log(")


@pytest.mark.parametrize(
    ("query", "expected", "started"),
    [
        ("git", ["git.log", "git.status"], ["git"]),
        ("git.*", ["git.log", "git.status"], ["git"]),
        ("git/sta", ["git.status"], ["git"]),
        ("*o*", ["git.log", "time.now"], ["git", "time"]),
        ("LOG", ["git.log"], ["git", "time"]),
        ("nothing", [], ["git", "time"]),
    ],
)
def test_tools_can_be_narrowed(
    trunkline: Trunkline, world: Any, query: str, expected: list[str], started: list[str]
) -> None:
    run = trunkline("tools", query, "--json")
    assert run.code == 0
    assert [tool["public_name"] for tool in run.document["tools"]] == expected
    assert world.started == started
    assert ("no tool fits" in run.err) is (not expected)


@pytest.mark.parametrize("words", [("git.log",), ("git/log",), ("git:log",), ("git", "log")])
def test_info_describes_a_tool_and_starts_its_server_only(
    trunkline: Trunkline, world: Any, words: tuple[str, ...]
) -> None:
    run = trunkline("info", *words)
    assert run.code == 0
    assert world.started == ["git"]
    assert "  path   string   required" in run.out
    assert "  count  integer  default 5" in run.out
    assert "Show commits. And more." in run.out


def test_info_of_a_bare_name_asks_every_server(trunkline: Trunkline, world: Any) -> None:
    run = trunkline("info", "now", "--json")
    assert world.started == ["git", "time"]
    assert run.document["tool"]["input_schema"]["properties"]["zone"]["type"] == "string"


def test_info_of_a_server_shows_its_state_and_tools(trunkline: Trunkline, world: Any) -> None:
    run = trunkline("info", "git")
    assert "log(" in run.out
    assert world.started == ["git"]
    document = trunkline("info", "git", "--json").document
    assert document["server"]["name"] == "git"
    assert len(document["tools"]) == 2


def test_info_of_an_unknown_tool_exits_five_with_the_nearest(trunkline: Trunkline) -> None:
    run = trunkline("info", "git.lgo")
    assert (run.code, run.out) == (5, "")
    assert run.err == "trunkline: error: git.lgo: no such tool\n  hint: Did you mean git.log?\n"


def test_info_of_a_tool_on_a_failed_server_exits_four(trunkline: Trunkline, world: Any) -> None:
    world.not_ready = UnavailableError("exited with 1", server="git", hint="Look.")
    run = trunkline("info", "git.log")
    assert run.code == 4
    assert run.err == "trunkline: error: git: exited with 1\n  hint: Look.\n"


def test_a_bare_name_that_is_not_found_names_the_servers_that_could_not_be_asked(
    trunkline: Trunkline, world: Any
) -> None:
    world.sicken("time")
    world.answer = NotFoundError("no such tool", tool="zone")
    for argv in (["info", "zone"], ["call", "zone", "a=1"]):
        run = trunkline(*argv)
        assert run.code == 5
        assert run.err.startswith("trunkline: warning: 1 of 2 servers is not ready: time\n")
    assert "warning" not in trunkline("call", "git.zone").err


def test_info_with_a_word_too_many_is_a_usage_error(trunkline: Trunkline) -> None:
    assert trunkline("info", "git", "log", "more").code == 2


def test_search_gives_scores(trunkline: Trunkline) -> None:
    run = trunkline("search", "Show", "commits")
    assert run.out.startswith(" 0.500  git.log(")
    assert trunkline("search", "Show", "--limit", "1", "--json").document == {
        "ok": True,
        "query": "Show",
        "matches": [{"score": 0.5, "tool": trunkline("info", "git.log", "--json").document["tool"]}],
    }


def test_search_without_a_match_exits_zero(trunkline: Trunkline) -> None:
    run = trunkline("search", "zebra")
    assert (run.code, run.out) == (0, "")
    assert run.err == "trunkline: no tool fits 'zebra'\n"

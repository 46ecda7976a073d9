"""`trunkline __complete`: what is offered where, from names alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.cli.completing import complete
from trunkline.cli.known_names import keep_names
from trunkline.cli.main import main
from trunkline.config.loading import load

Complete = Callable[..., list[str]]


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Complete a line in a folder whose servers `git` and `my:db` were listed before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = {"git": ["log", "status"], "my:db": ["query", "bad\nname"], "empty": []}
    servers = {name: {"command": f"never-started-{place}"} for place, name in enumerate(names)}
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
    entries = load(tmp_path / "mcp.json").entries
    keep_names(entries, names, os.environ)
    keep_names(entries, {"git": ["review"]}, os.environ, "prompts")
    keep_names(entries, {"my:db": ["db://rows/1", "db://rows/2"]}, os.environ, "resources")

    def offered(*words: str, shell: str = "zsh") -> list[str]:
        assert complete([shell, "trunkline", *words]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return [line.partition("\t")[0] for line in captured.out.splitlines()]

    return offered


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["call", ""], ["git.log", "git.status", "my:db.query"]),
        (["call", "git.s"], ["git.status"]),
        (["call", "git/l"], ["git/log"]),
        (["call", "git:"], ["git:log", "git:status"]),
        (["call", "my:db."], ["my:db.query"]),
        (["call", "git", ""], ["log", "status"]),
        (["call", "git.log", ""], []),
        (["prompt", ""], ["git.review"]),
        (["prompt", "git.review", ""], []),
        (["read", "db://rows/"], ["db://rows/1", "db://rows/2"]),
        (["read", "--server", "m"], ["my:db"]),
        (["call", "--raw", "--timeout", "3", "git.l"], ["git.log"]),
        (["--json", "call", "git.l"], ["git.log"]),
        (["call", "nothing"], []),
        (["tools", ""], ["git", "my:db", "empty"]),
        (["tools", "git", ""], []),
        (["info", "g"], ["git", "git.log", "git.status"]),
        (["list", ""], []),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["ca"], ["call", "cache"]),
        (["config", "s"], ["show", "sources", "schema"]),
        (["config", "path", "--po"], ["--policy"]),
        (["config", "show", ""], []),
        (["call", "--config", ""], [":files"]),
        (["call", "git.log", "-o", "x"], [":files"]),
        (["call", "--timeout", ""], []),
        (["nonsense", ""], []),
    ],
)
def test_a_word_is_completed_by_what_may_stand_there(
    offered: Complete, words: list[str], expected: list[str]
) -> None:
    assert offered(*words) == expected


def test_options_are_those_of_the_command(offered: Complete) -> None:
    assert offered("call", "--st") == ["--stream", "--stdio"]
    assert offered("status", "--wa") == ["--watch"]
    assert "--version" in offered("-")
    assert "--watch" not in offered("list", "-")


def test_all_commands_are_offered_with_what_they_do(
    offered: Complete, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {"list", "call", "status"} <= set(offered(""))
    complete(["fish", "trunkline", "stat"])
    assert capsys.readouterr().out == "status\tShow the state of every server as a table.\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["call", "my", ":", "db.q"], ["db.query"]),
        (["call", "my", ":"], ["db.query"]),
        (["call", "git", ":", "l"], ["log"]),
        (["call", '"git.l'], ["git.log"]),
        (["call", "--config", "=", "mcp.json", "git.l"], ["git.log"]),
    ],
)
def test_bash_gets_the_part_behind_its_word_breaks(
    offered: Complete, words: list[str], expected: list[str]
) -> None:
    assert offered(*words, shell="bash") == expected


def test_names_are_those_of_the_servers_the_line_speaks_of(offered: Complete) -> None:
    described = load({"mcpServers": {"mine": {"command": "run", "args": ["me"], "env": {"A": "c"}}}})
    keep_names(described.entries, {"mine": ["echo"]}, os.environ)
    assert offered("call", "--stdio", "run me", "--name", "mine", "-e", "A=b", "") == ["mine.echo"]
    assert offered("--stdio=run me", "call", "--name=my", "--env=A=b", "") == ["my.echo"]
    assert offered("call", "--stdio", "other", "") == []
    assert offered("--config", "none.json", "call", "") == []


@pytest.mark.parametrize("argv", [[], ["bash"], ["bash", "trunkline"], ["nonsense", "trunkline", "\udcff"]])
def test_whatever_is_asked_there_is_neither_error_nor_failure(
    argv: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["__complete", *argv]) == 0
    assert capsys.readouterr().err == ""


def test_completing_reads_no_server_and_loads_no_runtime(offered: Complete, tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text("this is not JSON")
    assert offered("call", "") == []
    assert "call" in offered("c")

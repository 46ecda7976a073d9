"""The names kept for completion: where, for whom, and that nothing else is kept."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli.known_names import cache_folder, keep_names, recall_names
from trunkline.config.loading import load

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "cache/trunkline/names"


def entries(**servers: Any) -> Any:
    return load({"mcpServers": servers}, policy={}).entries


def test_names_come_back_as_they_were_and_only_the_user_can_read_them(
    environ: dict[str, str], kept: Path
) -> None:
    two = entries(git={"command": "a"}, time={"command": "b"})
    keep_names(two, {"git": ["log", "status"]}, environ)
    assert recall_names(two, environ) == {"git": ["log", "status"], "time": []}
    (file,) = kept.iterdir()
    assert json.loads(file.read_text()) == ["log", "status"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700


def test_what_is_known_is_not_written_again_and_what_is_new_replaces_it(
    environ: dict[str, str], kept: Path
) -> None:
    one = entries(git={"command": "a"})
    keep_names(one, {"git": ["log"]}, environ)
    before = next(kept.iterdir()).stat().st_ino
    keep_names(one, {"git": ["log"]}, environ)
    assert next(kept.iterdir()).stat().st_ino == before
    keep_names(one, {"git": ["show"]}, environ)
    assert recall_names(one, environ) == {"git": ["show"]}


def test_a_server_is_known_by_what_it_runs_and_not_by_its_name_or_secrets(environ: dict[str, str]) -> None:
    url = {"url": "http://h/", "headers": {"Authorization": "one"}}
    keep_names(entries(a={"command": "run"}, b=url), {"a": ["x"], "b": ["y"]}, environ)
    again = url | {"headers": {"Authorization": "two"}}
    assert recall_names(entries(other={"command": "run"}, b=again), environ) == {"other": ["x"], "b": ["y"]}
    assert recall_names(entries(a={"command": "run", "args": ["--more"]}), environ) == {"a": []}


def test_an_entry_that_cannot_be_used_is_named_without_tools(environ: dict[str, str]) -> None:
    bad = entries(bad={"url": "htp:/x"})
    keep_names(bad, {"bad": ["x"]}, environ)
    assert recall_names(bad, environ) == {"bad": []}


def test_old_files_are_forgotten(
    environ: dict[str, str], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.cli.known_names._MOST_FILES", 30)
    for number in range(34):
        keep_names(entries(a={"command": f"c{number}"}), {"a": ["b"]}, environ)
    for number in range(2):
        keep_names(entries(a={"command": f"d{number}"}), {"a": ["b"]}, environ)
    assert len(list(kept.iterdir())) == 30


@pytest.mark.parametrize("content", ["", "{}", "[", '{"a": 1}', "[1, null]", "\xff"])
def test_a_damaged_file_gives_nothing(environ: dict[str, str], kept: Path, content: str) -> None:
    one = entries(git={"command": "a"})
    keep_names(one, {"git": ["log"]}, environ)
    next(kept.iterdir()).write_bytes(content.encode("latin-1"))
    assert recall_names(one, environ) == {"git": []}


def test_the_cache_folder_follows_the_environment() -> None:
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "/c"}) == Path("/c/trunkline")
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "relative"}).parts[:2] == ("/", "h")


@pytest.mark.parametrize(
    "argv", [("list",), ("tools",), ("status",), ("search", "x"), ("info", "log"), ("call", "log", "a:=1")]
)
def test_commands_remember_the_names_they_saw(
    trunkline: Trunkline, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    described = ("--stdio", "some-command", "--name", "git")
    assert trunkline(*argv, *described).code == 0
    (file,) = (tmp_path / "cache/trunkline/names").iterdir()
    assert json.loads(file.read_text()) == ["log", "status"]


def test_a_cache_that_cannot_be_written_is_no_failure(trunkline: Trunkline, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    run = trunkline("list", "--stdio", "some-command", "--name", "git")
    assert (run.code, run.err, os.listdir(tmp_path)) == (0, "", ["cache"])

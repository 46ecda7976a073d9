"""The names kept for completion: where, for whom, and that nothing else is kept."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli.known_names import cache_folder, names_file, read_names, write_names
from trunkline.cli.options import Settings
from trunkline.errors import ConfigError

Trunkline = Callable[..., Any]
"""Runs a command line; gives `code`, `out`, `err` and, parsed, `document`."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/mcp.json").write_text('{"mcpServers": {}}')
    return tmp_path / "project"


def test_names_come_back_as_they_were_and_only_the_user_can_read_them(tmp_path: Path) -> None:
    file = tmp_path / "cache/names/x.json"
    write_names(file, {"git": ["log", "status"]})
    assert read_names(file) == {"git": ["log", "status"]}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["x.json"]


def test_other_servers_keep_their_names_and_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    write_names(file, {"git": ["log"], "time": ["now"]})
    write_names(file, {"git": ["log", "show"]})
    assert read_names(file) == {"git": ["log", "show"], "time": ["now"]}
    before = file.stat().st_ino
    write_names(file, {"time": ["now"]})
    assert file.stat().st_ino == before


def test_old_files_are_forgotten(tmp_path: Path) -> None:
    for number in range(70):
        write_names(tmp_path / f"{number}.json", {"a": ["b"]})
        os.utime(tmp_path / f"{number}.json", (number, number))
    assert len(list(tmp_path.glob("*.json"))) == 64
    assert not (tmp_path / "0.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', '{"a": [1, null]}', "\xff"])
def test_a_damaged_file_gives_nothing(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content.encode("latin-1"))
    assert not any(read_names(file).values())
    assert read_names(tmp_path / "none.json") == {}


def test_the_file_is_another_when_the_servers_are(project: Path, environ: dict[str, str]) -> None:
    def file(**given: Any) -> Path:
        return names_file(Settings(**given), project, environ)

    first = file()
    assert first == file(config=(str(project / "mcp.json"),)) == file(config=("mcp.json",))
    assert first.parent == Path(environ["XDG_CACHE_HOME"]) / "trunkline/names"
    described = {
        file(http="http://h/"), file(sse="http://h/"), file(stdio="run"), file(stdio="run", cwd="a"),
        file(stdio="run", name="n"), file(config=("http://h/",)), first,
    }  # fmt: skip
    assert len(described) == 7
    assert file(http="http://h/", header=("A: secret",)) == file(http="http://h/")
    (project / "mcp.json").write_text('{"mcpServers": {"a": {"command": "x"}}}')
    assert file() != first


def test_no_server_file_is_an_error_for_the_caller_to_drop(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(OSError, match="none"):
        names_file(Settings(config=("none.json",)), tmp_path, environ)
    with pytest.raises(ConfigError):
        names_file(Settings(), tmp_path, environ)


def test_the_cache_folder_follows_the_environment() -> None:
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "/c"}) == Path("/c/trunkline")
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "relative"}).parts[:2] == ("/", "h")


@pytest.mark.parametrize(
    "argv", [("list",), ("tools",), ("status",), ("search", "x"), ("call", "git.log", "{}")]
)
def test_commands_remember_the_names_they_saw(
    trunkline: Trunkline,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: tuple[str, ...],
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert trunkline(*argv).code == 0
    (file,) = (tmp_path / "cache/trunkline/names").iterdir()
    assert json.loads(file.read_text())["git"] == ["log", "status"]


def test_a_cache_that_cannot_be_written_is_no_failure(
    trunkline: Trunkline, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    (tmp_path / "cache").write_text("a file where the folder should be")
    run = trunkline("list")
    assert (run.code, run.err) == (0, "")

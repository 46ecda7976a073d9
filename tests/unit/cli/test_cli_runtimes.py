"""Which running runtime a command asks, and what it says when there is none, or more than one."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli import runtimes
from trunkline.cli.exits import UsageError
from trunkline.cli.options import Settings
from trunkline.config.source import ARGUMENT
from trunkline.errors import ConfigError, TrunklineError, UnavailableError
from trunkline.runtime.control_record import Record

HERE = ("/here/mcp.json",)
THERE = ("/there/mcp.json",)


def record(pid: int, sources: tuple[str, ...] = HERE, **facts: Any) -> Record:
    return Record(**({"name": f"n{pid}", "pid": pid, "sources": sources, "folder": "/x"} | facts))


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Choose among these runtimes, in a folder whose configuration is HERE or what is said."""

    def run(*records: Record, named: str | None = None, sources: tuple[str, ...] | None = HERE) -> Any:
        monkeypatch.setattr(runtimes, "running", lambda: list(records))
        monkeypatch.setattr(runtimes, "_sources", lambda _: sources)
        monkeypatch.setattr(runtimes, "_of_digest", lambda found, _: found)
        try:
            return runtimes.choose(Settings(), named).pid
        except TrunklineError as error:
            return error

    return run


def test_the_runtime_of_the_configuration_is_asked(choose: Any):
    assert choose(record(1, THERE), record(2)) == 2


def test_the_process_of_up_goes_before_a_program_and_that_before_a_command(choose: Any):
    up, library, command = record(1), record(2, kind="library"), record(3, kind="command")
    assert choose(command, library, up) == 1
    assert choose(command, library) == 2
    assert choose(command) == 3


def test_a_program_without_a_file_is_known_by_its_folder(choose: Any):
    program = record(1, (ARGUMENT,), kind="library", folder=os.getcwd())
    assert choose(program, record(2, THERE)) == 1
    assert isinstance(choose(record(1, (ARGUMENT,), kind="library")), UnavailableError)
    assert isinstance(choose(record(1, (ARGUMENT,), folder=os.getcwd()), sources=(ARGUMENT,)), TrunklineError)


def test_the_only_one_is_asked_where_there_is_no_configuration(choose: Any):
    assert choose(record(1, THERE), sources=None) == 1
    error = choose(record(1, THERE), record(2, ("/b",)), sources=None)
    assert isinstance(error, UnavailableError)
    assert "process 1 (trunkline up) of /there/mcp.json; process 2" in error.message


def test_another_configurations_runtime_is_never_asked_by_itself(choose: Any):
    error = choose(record(1, THERE))
    assert isinstance(error, UnavailableError)
    assert (error.code, error.message) == (
        "no_runtime",
        "no runtime runs for this configuration; running: process 1 (trunkline up) of /there/mcp.json",
    )
    assert "--runtime PID" in str(error.hint)


def test_that_none_runs_says_which_command_starts_one(choose: Any):
    for named in (None, "12"):
        error = choose(named=named)
        assert isinstance(error, UnavailableError)
        assert (error.code, error.message) == ("no_runtime", "no runtime runs")
        assert "`trunkline up`" in str(error.hint)
        assert "control=True" in str(error.hint)


def test_a_process_is_named_by_its_id_or_where_it_has_several_by_their_names(choose: Any):
    records = (record(1, THERE), record(2, name="a"), record(2, name="b"))
    assert choose(*records, named="1") == 1
    assert choose(*records, named="b") == 2
    several = choose(*records, named="2")
    assert isinstance(several, UsageError)
    assert "a (process 2" in str(several)
    missing = choose(*records, named="3")
    assert isinstance(missing, UnavailableError)
    assert "no runtime of process 3 runs" in missing.message


def test_several_programs_for_one_configuration_are_listed(choose: Any):
    error = choose(record(1, kind="library"), record(2, kind="library"))
    assert isinstance(error, UsageError)
    assert "n1 (process 1" in str(error)
    assert "n2 (process 2" in str(error)


def test_a_server_described_by_options_has_no_runtime():
    with pytest.raises(UsageError, match="described by options"):
        runtimes._sources(Settings(http="http://127.0.0.1:9/mcp"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", ".")
    monkeypatch.setattr("trunkline.runtime.control_place.folder_of", lambda _: ".")
    return tmp_path


def open_one() -> None:
    with runtimes.asking(record(1)):
        pass


def test_a_runtime_that_has_just_ended_is_told(folder: Path):
    assert folder.is_dir()
    with pytest.raises(UnavailableError, match=r"process 1 \(trunkline up\) cannot be reached"):
        open_one()


def test_a_frozen_runtime_is_told_within_a_bound(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trunkline.runtime.control_link._GREETING", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("n1.sock")
        listener.listen()
        assert folder.is_dir()
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            open_one()
    assert "kill -CONT 1" in str(caught.value.hint)


def test_another_version_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> Any:
        raise ConfigError("the protocol version is 4, not 5")

    monkeypatch.setattr("trunkline.runtime.control_link.ControlLink.open", refuse)
    with (
        pytest.raises(UnavailableError, match="protocol version is 4, not 5") as caught,
        runtimes.asking(record(1, version="0.0.9")),
    ):
        pass
    assert "(Trunkline 0.0.9)" in caught.value.message
    assert caught.value.code == "other_version"

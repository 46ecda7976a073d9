"""The files of background processes: who lives, and what may be removed."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from trunkline.errors import ConfigError
from trunkline.runtime.control_record import (
    LockedError,
    Record,
    claimed,
    lives,
    living,
    make_folder,
    path_of,
    write_record,
)


@pytest.fixture
def runtime() -> Iterator[str]:
    """A folder whose path is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        yield folder


@pytest.fixture
def folder(runtime: str) -> Path:
    return make_folder({"XDG_RUNTIME_DIR": runtime})


def record(name: str) -> Record:
    return Record(
        name=name, digest=name * 2, pid=1, sources=("/a",), files={}, folder="/", idle=1.0, log="/l"
    )


def test_a_held_name_lives_and_cannot_be_claimed_again(folder: Path) -> None:
    with claimed(folder, "a"):
        write_record(folder, record("a"))
        assert lives(folder, "a")
        assert [one.name for one in living(folder)] == ["a"]
        with pytest.raises(LockedError), claimed(folder, "a", iter((True, False)).__next__):
            pass
    assert list(folder.iterdir()) == []
    assert living(folder) == []


def test_what_a_killed_process_left_is_removed(folder: Path) -> None:
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        with claimed(folder, "a"):
            write_record(folder, record("a"))
            path_of(folder, "a", ".sock").touch()
            os.write(write, b"1")
            signal.pause()
    os.read(read, 1)
    assert lives(folder, "a")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    assert len(list(folder.iterdir())) == 3
    assert living(folder) == []
    assert list(folder.iterdir()) == []


def test_a_lock_that_was_removed_is_not_mistaken_for_the_one_there_is(folder: Path) -> None:
    with claimed(folder, "a"):
        path_of(folder, "a", ".lock").unlink()
        with claimed(folder, "a"):
            pass
        path_of(folder, "a", ".lock").touch()
        path_of(folder, "a", ".sock").touch()
    assert len(list(folder.iterdir())) == 2, "the files belong to somebody else now"


def test_a_record_that_cannot_be_read_is_no_process(folder: Path) -> None:
    path_of(folder, "a", ".json").write_text("{")
    assert living(folder) == []


def test_the_folder_is_made_for_this_user_alone(runtime: str) -> None:
    environ = {"XDG_RUNTIME_DIR": runtime}
    before = os.umask(0)
    try:
        folder = make_folder(environ)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert make_folder(environ) == folder
    folder.chmod(0o711)
    with pytest.raises(ConfigError, match="not yours alone"):
        make_folder(environ)


def test_a_path_too_long_for_sockets_is_told(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    with pytest.raises(ConfigError, match="too long"):
        make_folder({"XDG_RUNTIME_DIR": str(long)})


def test_kinds_are_told_apart_and_what_any_of_them_left_is_removed(folder: Path) -> None:
    for name in ("killed", "half"):
        path_of(folder, name, ".lock").touch()
        path_of(folder, name, ".ctl").touch()
    write_record(folder, structs.replace(record("killed"), kind="command"))
    with claimed(folder, "a"), claimed(folder, "b"):
        write_record(folder, record("a"))
        write_record(folder, structs.replace(record("b"), kind="library"))
        assert [one.name for one in living(folder)] == ["a"]
        assert [one.name for one in living(folder, "library", "command")] == ["b"]
        assert record("a").socket == "a.sock"
        assert structs.replace(record("b"), kind="library").socket == "b.ctl"
    assert list(folder.iterdir()) == []

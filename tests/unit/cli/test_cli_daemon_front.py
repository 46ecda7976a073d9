"""What the program's entry decides before anything is imported: who runs the command line."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trunkline.cli import front
from trunkline.runtime import control_place as place

BOUND = 10.0


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["list"],
        ["call", "a.b", "--json"],
        ["--json", "-v", "--timeout", "5", "--config", "x.json", "call", "a.b"],
        ["--config=x", "status"],
        ["--timeout", "call", "info", "a"],
    ],
)
def test_commands_that_use_servers_may_use_warm_ones(argv: list[str]) -> None:
    assert front.attaches(argv, {})


@pytest.mark.parametrize(
    "argv",
    [
        ["up"],
        ["down"],
        ["--version"],
        ["--help"],
        ["lst"],
        ["--unknown", "list"],
        ["--no-daemon", "list"],
        ["call", "a.b", "--no-daemon"],
        ["--config", "list", "up"],
    ],
)
def test_anything_else_runs_in_its_own_process(argv: list[str]) -> None:
    assert not front.attaches(argv, {})


def test_the_environment_switches_it_off() -> None:
    for text in ("1", "yes", "TRUE"):
        assert not front.attaches(["list"], {"TRUNKLINE_NO_DAEMON": text})
    for text in ("", "0", "false", "No"):
        assert front.attaches(["list"], {"TRUNKLINE_NO_DAEMON": text})


def test_the_folder_is_in_the_runtime_folder_only_if_that_is_our_own(tmp_path: Path) -> None:
    assert place.folder_of({"XDG_RUNTIME_DIR": str(tmp_path)}) == f"{tmp_path}/trunkline"
    ours = f"trunkline-{os.geteuid()}"
    assert place.folder_of({}) == f"/tmp/{ours}"
    assert place.folder_of({"TMPDIR": str(tmp_path)}) == f"{tmp_path}/{ours}"
    for elsewhere in ("relative", "/nonexistent"):
        assert (
            place.folder_of({"XDG_RUNTIME_DIR": elsewhere, "TMPDIR": str(tmp_path)}) == f"{tmp_path}/{ours}"
        )


def test_a_runtime_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = os.geteuid()
    monkeypatch.setattr(place.os, "geteuid", lambda: me + 1)
    assert place.folder_of({"XDG_RUNTIME_DIR": str(tmp_path)}) == f"/tmp/trunkline-{me + 1}"


def test_sockets_are_taken_only_from_a_folder_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    folder = tmp_path / "trunkline"
    assert place.sockets(environ, place.SOCKET) == []
    folder.mkdir(mode=0o700)
    (folder / "a.sock").touch()
    (folder / "a.run").touch()
    assert place.sockets(environ, place.SOCKET) == [f"{folder}/a.sock"]
    folder.chmod(0o770)
    assert place.sockets(environ, place.SOCKET) == []
    folder.chmod(0o700)
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert place.sockets(environ, place.SOCKET) == []
    folder.unlink()
    elsewhere.rename(folder)
    me = os.geteuid()
    monkeypatch.setattr(place.os, "geteuid", lambda: me + 1)
    assert place.sockets(environ, place.SOCKET) == []


def test_the_request_holds_everything_a_process_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    message = front.encode_request(["call", "ä\udcff"], {"A": "1=2", "B": "\udcfe"})
    assert int(message[:8], 16) == len(message) - 8
    program, folder, mask, count, *rest = [os.fsdecode(field) for field in message[8:].split(b"\0")]
    assert (program, folder, count) == (front.interpreter(), os.getcwd(), "2")
    assert rest == ["call", "ä\udcff", "A=1=2", "B=\udcfe"]
    before = os.umask(int(mask))
    assert before == int(mask)
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    assert front.interpreter() != program, "what changes the interpreter is told apart"


@pytest.fixture
def template() -> Iterator[tuple[dict[str, str], socket.socket]]:
    """A stand-in for a template: give the environment that leads to it, and its socket."""
    with tempfile.TemporaryDirectory(prefix="tl-") as runtime, socket.socket(socket.AF_UNIX) as listener:
        os.mkdir(f"{runtime}/trunkline", 0o700)
        listener.bind(f"{runtime}/trunkline/t.run")
        listener.listen()
        yield {"XDG_RUNTIME_DIR": runtime}, listener


def answering(listener: socket.socket, before: bytes, after: bytes, seen: list[bytes]) -> threading.Thread:
    def answer() -> None:
        link, _ = listener.accept()
        with link:
            size = int(link.recv(8), 16)
            while size:
                size -= len(link.recv(size))
            link.sendall(before)
            seen.append(link.recv(1))
            with contextlib.suppress(OSError):
                link.sendall(after)

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("before", "after", "code", "begun"),
    [
        (b"p1\n", b"x0\n", 0, True),
        (b"p1\n", b"x130\n", 130, True),
        (b"p1\n", b"d\n", None, True),
        (b"d\n", b"", None, False),
        (b"", b"", None, False),
        (b"p1\n", b"", front.LOST, True),
        (b"p1\n", b"x", front.LOST, True),
    ],
    ids=["ended", "code", "declined", "refused", "nothing said", "vanished", "cut"],
)
def test_a_command_is_run_at_most_once(
    template: tuple[dict[str, str], socket.socket],
    before: bytes,
    after: bytes,
    code: int | None,
    begun: bool,
) -> None:
    environ, listener = template
    seen: list[bytes] = []
    if not before:
        listener.close()
        assert front.hand_over(["list"], environ) is None
        return
    thread = answering(listener, before, after, seen)
    assert front.hand_over(["list"], environ) == code
    thread.join(BOUND)
    assert seen == [front.GO if begun else b""], "nothing runs without the go"

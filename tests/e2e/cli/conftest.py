"""The program as a process: `place` is a folder with an `mcp.json` and real servers of the test kit."""

from __future__ import annotations

import base64
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import pytest

from trunkline.testing import FakeServer, Journal

SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"
SOURCE = Path(__file__).resolve().parents[3] / "src"
START = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(SOURCE),
    "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
}
"""What an interpreter is started with."""
BOUND = 30.0
LONGEST = 300
"""Seconds a test may take on a machine that is very busy."""
ROOM = 65_536
"""Bytes a pipe takes while nobody reads."""
PICTURE = {"type": "image", "data": base64.b64encode(bytes(28)).decode(), "mimeType": "image/png"}
TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "times": {"type": "integer"}},
    "required": ["text"],
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    out: str
    err: str


class Forks:
    """A process that has the program imported and forks for each command line: see `forks.py`."""

    def __init__(self) -> None:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, str(Path(__file__).with_name("forks.py"))]
        self._process = subprocess.Popen(command, stdin=theirs, env=START)
        theirs.close()

    def close(self) -> None:
        """End the process."""
        self._link.close()
        self._process.wait(BOUND)

    def run(self, argv: tuple[str, ...], environ: Mapping[str, str], folder: Path, text: bytes | None) -> Run:
        """Run one command line to its end; it reads the text, or nothing from the null device."""
        os.umask(mask := os.umask(0))
        told = {"argv": argv, "environ": dict(environ), "folder": str(folder), "mask": mask}
        order = json.dumps(told).encode()
        (read_out, out), (read_err, err) = os.pipe(), os.pipe()
        given = os.open(os.devnull, os.O_RDONLY) if text is None else _fill_pipe(text)
        socket.send_fds(self._link, [order], [given, out, err])
        for descriptor in (given, out, err):
            os.close(descriptor)
        process = int(self._link.recv(16))
        try:
            shown = _read_all(read_out, read_err)
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise
        finally:
            code = int(self._link.recv(16))
        return Run(code=code, out=shown[0].decode(), err=shown[1].decode())


class Started(subprocess.Popen[bytes]):
    """A process of the program that ends with its test: leaving its block waits only where all went well."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)


class Place:
    """A folder with an `mcp.json`, and the program started in it."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        self.folder = folder
        self.forks = forks
        self.entries: dict[str, Any] = {}
        self.environ = START | {"HOME": str(folder / "home")}

    def serve(self, name: str, server: FakeServer | None = None, **process: Any) -> None:
        """Put a server into `mcp.json`, by default one with a tool of each kind."""
        self.entries[name] = (server or offer(name)).to_stdio_entry(self.folder, **process)

    def write(self, text: str | None = None) -> None:
        """Write `mcp.json`: the servers, or this text."""
        content = json.dumps({"mcpServers": self.entries}) if text is None else text
        (self.folder / "mcp.json").write_text(content)

    def start(self, *argv: str, program: tuple[str, ...] = ("-m", "trunkline"), **streams: Any) -> Any:
        """Start the program; used in `with`, it ends when the test does."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, *program, *argv]
        return Started(command, cwd=self.folder, env=self.environ, **(pipes | streams))

    def run(self, *argv: str, text: bytes | None = None, **options: Any) -> Run:
        """Run the program to its end: in a fork, unless options say how to start it."""
        if self.entries:
            self.write()
        if not options and len(text or b"") <= ROOM and _starts_alike(self.environ):
            return self.forks.run(argv, self.environ, self.folder, text)
        stdin = subprocess.DEVNULL if text is None else subprocess.PIPE
        with self.start(*argv, stdin=stdin, **options) as process:
            return self.finish(process, text)

    def finish(self, process: Any, text: bytes | None = None) -> Run:
        """Wait for the end of a started program, with a bound."""
        try:
            out, err = process.communicate(text, timeout=BOUND)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Run(code=process.returncode, out=(out or b"").decode(), err=(err or b"").decode())

    def journal(self, name: str = "echo") -> Journal:
        """Give what a server received, over all its starts."""
        return FakeServer(name).journal(self.folder)

    def living(self, name: str = "echo") -> list[int]:
        """Give the processes of a server that are still there."""
        return [pid for pid in self.journal(name).pids if _is_alive(pid)]


def _starts_alike(environ: Mapping[str, str]) -> bool:
    """Whether an interpreter that starts with these variables is one like that of `Forks`."""
    names = [name for name in environ.keys() | START.keys() if name.startswith(("PYTHON", "LC_", "LANG"))]
    return all(environ.get(name) == START.get(name) for name in names)


def _fill_pipe(text: bytes) -> int:
    given, giving = os.pipe()
    os.write(giving, text)
    os.close(giving)
    return given


def _read_all(*descriptors: int) -> list[bytes]:
    """Read pipes to their ends, within the bound, and close them."""
    found = dict.fromkeys(descriptors, b"")
    until = time.monotonic() + BOUND
    try:
        with selectors.DefaultSelector() as selector:
            for descriptor in descriptors:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(until - time.monotonic())
                if not ready:
                    raise TimeoutError(found)
                for key, _ in ready:
                    found[key.fd] += (chunk := os.read(key.fd, ROOM))
                    if not chunk:
                        selector.unregister(key.fd)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return list(found.values())


def offer(name: str) -> FakeServer:
    server = FakeServer(name)
    server.tool("echo", schema=TEXT, description="Gives the text back. And no more.", reports="arguments")
    server.tool("slow", delay=20, progress=[(1, 4, "first"), (2, 4, "second")])
    server.tool("sad", error="no such file")
    server.tool("rude", rpc_error=(-32000, "out of order"))
    server.tool("loud", returns="red \x1b[31mtext\x1b[0m\u202e")
    server.tool("draw", returns=[{"type": "text", "text": "a dot"}, PICTURE])
    return server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let these tests, which start many processes and bound each wait, take longer than others may."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONGEST))


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Give the process that runs command lines in forks."""
    opened = Forks()
    yield opened
    opened.close()


@pytest.fixture
def place(tmp_path: Path, forks: Forks) -> Place:
    """A folder whose one server is `echo`."""
    place = Place(tmp_path, forks)
    place.serve("echo")
    return place


@pytest.fixture
def warm(place: Place) -> Iterator[Place]:
    """The folder `place`, with sockets and logs of its own, of which nothing is left at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tl-"))
    place.environ |= {"XDG_RUNTIME_DIR": str(folder), "XDG_STATE_HOME": str(place.folder / "state")}
    yield place
    ended = place.run("down", "--all")
    left = sorted(path.name for path in folder.glob("trunkline/*"))
    shutil.rmtree(folder)
    assert (ended.code, left) == (0, []), ended.err


@pytest.fixture
def bare_place(tmp_path: Path, forks: Forks) -> Place:
    """A folder without an `mcp.json`."""
    return Place(tmp_path, forks)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def snapshot() -> Callable[[str, str], None]:
    """Compare a text with the file `snapshots/NAME.txt`; TRUNKLINE_UPDATE_SNAPSHOTS=1 writes it instead."""

    def compare(name: str, text: str) -> None:
        file = SNAPSHOTS / f"{name}.txt"
        if os.environ.get("TRUNKLINE_UPDATE_SNAPSHOTS"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        assert file.is_file(), f"no snapshot {name}: run once with TRUNKLINE_UPDATE_SNAPSHOTS=1"
        assert text == file.read_text(), f"snapshot {name} differs; TRUNKLINE_UPDATE_SNAPSHOTS=1 updates it"

    return compare

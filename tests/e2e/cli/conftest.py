"""The program as a process: `place` is a folder with an `mcp.json` and real servers of the test kit."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.testing import FakeServer, Journal

SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"
SOURCE = Path(__file__).resolve().parents[3] / "src"
BOUND = 30.0
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


class Place:
    """A folder with an `mcp.json`, and the program started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: dict[str, Any] = {}
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(SOURCE),
            "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
        }

    def serve(self, name: str, server: FakeServer | None = None, **process: Any) -> None:
        """Put a server into `mcp.json`, by default one with a tool of each kind."""
        self.entries[name] = (server or offer(name)).to_stdio_entry(self.folder, **process)

    def write(self, text: str | None = None) -> None:
        """Write `mcp.json`: the servers, or this text."""
        content = json.dumps({"mcpServers": self.entries}) if text is None else text
        (self.folder / "mcp.json").write_text(content)

    def start(self, *argv: str, program: tuple[str, ...] = ("-m", "trunkline"), **streams: Any) -> Any:
        """Start the program; the caller ends it."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, *program, *argv]
        return subprocess.Popen(command, cwd=self.folder, env=self.environ, **(pipes | streams))

    def run(self, *argv: str, text: bytes | None = None, **options: Any) -> Run:
        """Run the program to its end."""
        if self.entries:
            self.write()
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


def offer(name: str) -> FakeServer:
    server = FakeServer(name)
    server.tool("echo", schema=TEXT, description="Gives the text back. And no more.", reports="arguments")
    server.tool("slow", delay=20, progress=[(1, 4, "first"), (2, 4, "second")])
    server.tool("sad", error="no such file")
    server.tool("rude", rpc_error=(-32000, "out of order"))
    server.tool("loud", returns="red \x1b[31mtext\x1b[0m\u202e")
    server.tool("draw", returns=[{"type": "text", "text": "a dot"}, PICTURE])
    return server


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder whose one server is `echo`."""
    place = Place(tmp_path)
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
def bare_place(tmp_path: Path) -> Place:
    """A folder without an `mcp.json`."""
    return Place(tmp_path)


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

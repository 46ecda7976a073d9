"""What the demo needs around it: a folder that holds a git repository, and a real server on HTTP.

Nothing is written outside that folder, and both are gone at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
EVERYTHING = HERE.parent / ".peers/node/node_modules/@modelcontextprotocol/server-everything/dist/index.js"
PATIENCE = 60.0
"""Seconds that anything may take on a slow machine before the demo gives up."""
_LISTENING = re.compile(rb"listening on 127\.0\.0\.1:(\d+)")


class StageError(Exception):
    """The demo cannot begin."""


@contextlib.contextmanager
def working_folder() -> Iterator[Path]:
    """Give a temporary folder with a git repository of two commits and one change since."""
    with tempfile.TemporaryDirectory(prefix="trunkline-demo-") as name:
        folder = Path(name).resolve()
        _git(folder, "init", "--quiet")
        for text, subject in (("one rope\n", "Pack a rope"), ("one rope\ntwo maps\n", "Add maps")):
            (folder / "list.txt").write_text(text)
            _git(folder, "add", "list.txt")
            _git(folder, "commit", "--quiet", "--message", subject)
        (folder / "list.txt").write_text("one rope\ntwo maps\nthree lamps\n")
        yield folder


@contextlib.asynccontextmanager
async def http_server() -> AsyncIterator[str]:
    """Run server-everything on Streamable HTTP, on a free port of the loopback address, and give its URL.

    Raises:
        StageError: it is not installed, or it ended without listening.
    """
    node = shutil.which("node")
    if node is None:
        raise StageError("Node is not installed: install Node 20 or newer, then run `make demo`")
    if not EVERYTHING.is_file():
        raise StageError("the reference servers are not installed: run `make demo`")
    process = await asyncio.create_subprocess_exec(
        *(node, "--import", (HERE / "loopback.mjs").as_uri(), str(EVERYTHING), "streamableHttp"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    draining = None
    try:
        port = await _read_port(process.stderr)
        draining = asyncio.create_task(_drain(process.stderr))
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.stdin.close()
        await _end(process)
        if draining is not None:
            await draining


async def _read_port(stderr: asyncio.StreamReader) -> int:
    said = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while line := await stderr.readline():
                said += line
                if found := _LISTENING.search(line):
                    return int(found[1])
    raise StageError(f"the HTTP server did not start: {said.decode(errors='replace').strip()}")


async def _drain(stderr: asyncio.StreamReader) -> None:
    while await stderr.read(65536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(5):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _git(folder: Path, *words: str) -> None:
    """Run git as if nobody had configured it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=Demo", "-c", "user.email=demo@localhost")
    command = ["git", *identity, *words]
    try:
        subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise StageError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        raise StageError(f"git {words[0]} failed: {error.stderr.strip()}") from None

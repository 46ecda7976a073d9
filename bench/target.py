"""Where a contender has to connect, and how the neutral servers are started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.answers import REVISIONS, Family

Kind = Literal["stdio", "http", "sse", "websocket"]
ROOT = Path(__file__).resolve().parent.parent
_SERVERS: Mapping[Kind, tuple[str, str]] = {
    "http": ("bench.server_http", "http://127.0.0.1:{}/mcp"),
    "sse": ("bench.server_streams", "http://127.0.0.1:{}/sse"),
    "websocket": ("bench.server_streams", "ws://127.0.0.1:{}/ws"),
}
"""Module and URL of the neutral server, where a client does not start it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One neutral server as a client sees it: a command to start, or a URL."""

    kind: Kind
    family: Family
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    url: str = ""

    @property
    def revision(self) -> str:
        """The protocol revision a client must have negotiated."""
        return REVISIONS[self.family]


def stdio_target(
    family: Family, *, tally: Path | None = None, tools: int = 2, processor: int | None = None
) -> Target:
    """Describe a neutral stdio server; the client starts it."""
    command = [sys.executable, "-S", "-m", "bench.server_stdio", "--family", family]
    command += ["--tools", str(tools)]
    if tally is not None:
        command += ["--tally", str(tally)]
    if processor is not None:
        command += ["--processor", str(processor)]
    return Target(kind="stdio", family=family, command=tuple(command), env=server_env())


@contextmanager
def serve_url(kind: Kind, family: Family, tally: Path, processor: int | None = None) -> Iterator[Target]:
    """Run a neutral server that has a URL in a process of its own for the duration of the block."""
    module, url = _SERVERS[kind]
    command = [sys.executable, "-S", "-m", module, "--family", family]
    command += ["--tally", str(tally)]
    if processor is not None:
        command += ["--processor", str(processor)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **server_env()}
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port = process.stdout.readline().strip().decode()
        try:
            yield Target(kind=kind, family=family, url=url.format(port))
        finally:
            process.stdin.close()
            process.wait(timeout=10)


def server_env() -> dict[str, str]:
    """Give the variables a neutral server needs to be found from any working directory."""
    return {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

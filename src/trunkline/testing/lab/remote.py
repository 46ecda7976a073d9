"""A client in a process of its own, as the lab sees it: asked over a socket, never waited for too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from trunkline.testing.lab.client import Patience
from trunkline.testing.lab.outcome import Contender

_START = 60.0
"""Seconds to import a library."""


class HungError(Exception):
    """No answer in time."""


class FailedError(Exception):
    """The client raised.

    Args:
        kind: the name of the exception's class.
        ended: whether it left the client, so that the application cannot go on.
    """

    def __init__(self, kind: str, message: str, *, ended: bool) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.silent = not message.strip()
        self.ended = ended


class MissingClientError(Exception):
    """The library cannot be imported."""


class Factory:
    """The driver of one client, which gives a fresh process for every scenario."""

    def __init__(self, path: str, contender: Contender) -> None:
        self.contender = contender
        self._path = path

    async def start(self, patience: Patience) -> Remote:
        """Give a client that is not connected yet."""
        async with asyncio.timeout(_START):
            reader, writer = await asyncio.open_unix_connection(self._path)
            pid = json.loads(await reader.readline())["pid"]
        return Remote(reader, writer, pid, patience)


@asynccontextmanager
async def driving(target: str, folder: Path, *, quiet: bool) -> AsyncIterator[Factory]:
    """Start the driver of a client and end it, and all of its forks, at the end of the block.

    Args:
        target: as in `load_client`.
        quiet: drop what the library prints.

    Raises:
        MissingClientError: it cannot be imported.
    """
    path = str(folder / "driver")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"{__package__}.driver", target, path,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL if quiet else None,
        start_new_session=True,
    )  # fmt: skip
    output, standard_input = (
        cast(asyncio.StreamReader, process.stdout),
        cast(asyncio.StreamWriter, process.stdin),
    )
    try:
        async with asyncio.timeout(_START):
            line = await output.readline()
        facts = json.loads(line or b'{"missing": "its process ended"}')
        if "missing" in facts:
            raise MissingClientError(facts["missing"])
        yield Factory(path, Contender(**facts))
    finally:
        standard_input.close()
        await process.wait()


class Remote:
    """One client in one process."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int, patience: Patience
    ) -> None:
        self.patience = patience
        self._reader = reader
        self._writer = writer
        self._pid = pid
        # It has just spoken, so this is it; its number could belong to another process later.
        self._process = os.pidfd_open(pid) if sys.platform == "linux" else None
        self._broken = False

    async def connect(self, servers: Mapping[str, Any]) -> None:
        """Connect.

        Raises:
            HungError: it does not come back in time.
            FailedError: it raises.
        """
        patience = self.patience
        facts = {"do": "connect", "servers": servers, "patience": msgspec.to_builtins(patience)}
        await self._ask(facts, patience.longest_connect)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool; see `connect` for what it raises."""
        facts = {"do": "call", "server": server, "tool": tool, "arguments": arguments}
        return await self._ask(facts, self.patience.longest_call)

    async def close(self) -> None:
        """Leave the client's block; see `connect` for what it raises."""
        if not self._broken:
            await self._ask({"do": "close"}, self.patience.longest_close)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            if self._process is None:
                os.kill(self._pid, signal.SIGKILL)
            elif sys.platform == "linux":
                signal.pidfd_send_signal(self._process, signal.SIGKILL)
        if self._process is not None:
            os.close(self._process)
            self._process = None

    async def _ask(self, facts: Mapping[str, Any], seconds: float) -> str:
        try:
            self._writer.write(json.dumps(facts).encode() + b"\n")
            async with asyncio.timeout(seconds):
                line = await self._reader.readline()
        except TimeoutError:
            self._broken = True
            raise HungError(f"no answer in {seconds:g} s") from None
        except ConnectionError:
            line = b""
        if not line:
            self._broken = True
            raise FailedError("its process ended", "", ended=True)
        answer = json.loads(line)
        if "error" not in answer:
            return str(answer["value"])
        self._broken = self._broken or answer.get("ended", False)
        raise FailedError(answer["error"], answer["message"], ended=self._broken)

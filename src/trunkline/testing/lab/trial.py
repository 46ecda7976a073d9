"""One scenario with one client: the steps scenarios are made of, each of which notes and judges."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from trunkline.telemetry.escape import escape_text
from trunkline.testing.eras import Family
from trunkline.testing.fake import FakeServer
from trunkline.testing.http import HttpServer
from trunkline.testing.lab.outcome import Judged
from trunkline.testing.lab.remote import FailedError, HungError, Remote
from trunkline.testing.network import Proxy

_LONGEST = 100
"""Characters shown of an error."""
_TRIES = 3
"""Calls after which a client is given up that does not come back."""
_PAUSE = 0.5
"""Seconds between those."""
_MOMENT = 0.3
"""Seconds of a pause."""

Entry = dict[str, Any]


class Trial:
    """What a scenario plays with. Every step is noted; one that must not end as it does ends the scenario.

    Args:
        families: what its servers speak.
        folder: for scripts and journals; nothing else is in it.
    """

    def __init__(
        self, remote: Remote, families: tuple[Family, ...], folder: Path, stack: AsyncExitStack
    ) -> None:
        self.notes: list[str] = []
        self.servers: list[FakeServer] = []
        self.folder = folder
        self._remote = remote
        self._families = families
        self._stack = stack
        self._numbers = itertools.count(1)
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    def make_server(self, name: str = "shop") -> FakeServer:
        """Give a server whose `echo` tells its arguments and whose `pid` tells its process."""
        server = FakeServer(name, eras=self._families)
        server.tool("echo", reports="arguments")
        server.tool("pid", reports="pid")
        self.servers.append(server)
        return server

    def as_process(self, server: FakeServer, **process: Any) -> Entry:
        """Give the entry that runs a server as a process; see `FakeServer.to_stdio_entry`."""
        return server.to_stdio_entry(self.folder, **process)

    async def listen(self, server: FakeServer) -> HttpServer:
        """Serve over Streamable HTTP until the scenario ends."""
        listener = await server.listen()
        self._stack.push_async_callback(listener.stop)
        return listener

    async def put_between(self, listener: HttpServer) -> tuple[Proxy, Entry]:
        """Give a proxy before a server, and the entry that leads through it."""
        proxy = await self._stack.enter_async_context(Proxy(listener.port))
        return proxy, {"url": listener.url.replace(f":{listener.port}", f":{proxy.port}")}

    async def connect(self, **entries: Entry) -> None:
        """Connect; a client that raises here is of no use to the application."""
        error = await self._note("connect", self._remote.connect(entries))
        if error is not None:
            raise Judged("dies", f"it cannot be connected: {_show(error)}")

    async def connect_or_fail(self, **entries: Entry) -> bool:
        """Connect, or be told that it cannot be; give whether it is connected."""
        try:
            await self.connect(**entries)
        except Judged as judged:
            if judged.verdict != "dies":
                raise
            return False
        return True

    def hurry(self, what: str) -> None:
        """End the scenario if it has taken longer by now than connecting and a call may take."""
        patience, taken = self._remote.patience, self._clock() - self._began
        if taken > patience.connect + patience.longest_call:
            raise Judged("wrong", f"{what} came only after {taken:.1f} s")

    async def answer(self, what: str = "a call", server: str = "shop") -> None:
        """Make a call that has to succeed."""
        if (error := await self.attempt(what, server)) is not None:
            raise Judged("dies", f"{what} fails: {error}")

    async def attempt(self, what: str, server: str = "shop") -> str | None:
        """Make a call that may fail, in time; give its error, or None when it was answered."""
        number = next(self._numbers)
        error = await self._note(what, self._echo(number, server))
        return None if error is None else _show(error)

    async def fail(self, what: str, tool: str = "echo", server: str = "shop") -> None:
        """Make a call that cannot be answered, and so has to raise."""
        if await self._note(what, self._call(server, tool, {"n": next(self._numbers)})) is None:
            raise Judged("wrong", f"{what} was answered, which cannot be")

    async def recover(self, what: str = "the next call", server: str = "shop") -> None:
        """Make the call that has to work again, without any help of the application."""
        if (error := await self.attempt(what, server)) is None:
            return
        for _ in range(_TRIES - 1):
            await asyncio.sleep(_PAUSE)
            if await self.attempt("one more call", server) is None:
                raise Judged("wrong", f"{what} fails, although a later one works: {error}")
        raise Judged("dies", f"{what} fails, and so does every other one: {error}")

    async def close(self) -> None:
        """Close the client, which has to work as well."""
        error = await self._note("closing", self._remote.close())
        if error is not None:
            raise Judged("dies", f"closing it fails: {_show(error)}")

    async def pause(self) -> None:
        """Let a moment pass in which nothing is called, so that a client may notice by itself."""
        await asyncio.sleep(_MOMENT)

    def count(self) -> None:
        """Hold what the servers were asked against what the client was: each call once at most."""
        for server in self.servers:
            ledgers = (server.ledger, server.journal(self.folder).read())
            met = Counter(one.arguments.get("n") for ledger in ledgers for one in ledger.calls)
            for number, times in met.items():
                if number is not None and times > 1:
                    raise Judged("wrong", f"one call reached {server.name} {times} times")

    def process_of(self, server: FakeServer) -> int:
        """Give the process id of the latest start of a server."""
        return server.journal(self.folder).pids[-1]

    def sign(self, server: FakeServer, number: signal.Signals) -> None:
        """Send a signal to the latest process of a server, which this trial started."""
        os.kill(self.process_of(server), number)

    def end_processes(self) -> None:
        """Kill every server process that is still there."""
        for server in self.servers:
            for pid in server.journal(self.folder).pids:
                if self._is_ours(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def _is_ours(self, pid: int) -> bool:
        """Whether a number still belongs to a server: that has our folder in its command line."""
        try:
            return os.fsencode(self.folder) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return sys.platform != "linux"

    async def _echo(self, number: int, server: str) -> str:
        text = await self._call(server, "echo", {"n": number})
        try:
            right = json.loads(text) == {"n": number}
        except ValueError:
            right = False
        if not right:
            raise Judged("wrong", f"a call was answered with {_cut(text)!r}")
        return text

    async def _call(self, server: str, tool: str, arguments: dict[str, Any]) -> str:
        return await self._remote.call(server, tool, arguments)

    async def _note(self, what: str, step: Any) -> FailedError | None:
        began = self._clock()
        try:
            await step
        except HungError as error:
            self.notes.append(f"{what}: {error}")
            raise Judged("hangs", f"{what}: {error}") from None
        except FailedError as error:
            self.notes.append(f"{what}: {_show(error)} ({self._clock() - began:.2f} s)")
            if error.ended:
                raise Judged("dies", f"{what} ends the client: {_show(error)}") from None
            if error.silent:
                raise Judged(
                    "wrong", f"{what} fails with an error that says nothing: {_show(error)}"
                ) from None
            return error
        self.notes.append(f"{what}: good ({self._clock() - began:.2f} s)")
        return None


def _show(error: Exception) -> str:
    return _cut(str(error))


def _cut(text: str) -> str:
    line = escape_text(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"

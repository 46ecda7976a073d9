"""Finds what a library imports late, so that it is imported before the forks and no scenario waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from trunkline.testing.fake import FakeServer
from trunkline.testing.lab.client import Client, Patience

_LONGEST = 15
"""Seconds after which a rehearsal is given up."""


def rehearse(client: Client) -> None:
    """Use the client once in a process of its own, and import here what it imported there.

    Only names come back: connections, threads and the like stay in that process.
    """
    source, sink = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(source)
        _rehearse(client, sink)
    os.close(sink)
    with os.fdopen(source, "rb") as stream:
        names = json.loads(stream.read() or b"[]")
    os.waitpid(pid, 0)
    for name in names:
        # boundary: some modules can be imported by their own package only
        with contextlib.suppress(Exception):
            import_module(name)


def _rehearse(client: Client, sink: int) -> None:
    before = set(sys.modules)
    # For a client that cannot even be cancelled.
    signal.alarm(2 * _LONGEST)
    try:
        # boundary: how a client fails is for the scenarios to find out
        with contextlib.suppress(BaseException):
            asyncio.run(asyncio.wait_for(_play(client), _LONGEST))
        os.write(sink, json.dumps([name for name in sys.modules if name not in before]).encode())
    finally:
        os._exit(0)


async def _play(client: Client) -> None:
    server = FakeServer("shop")
    server.tool("echo", reports="arguments")
    with tempfile.TemporaryDirectory() as folder:
        entry = server.to_stdio_entry(Path(folder))
        async with server.http() as url:
            for servers in ({"shop": {"url": url}}, {"shop": entry, "other": entry}):
                async with client.connect(servers, Patience()) as session:
                    await session.call("shop", "echo", {})

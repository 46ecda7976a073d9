"""Processes that a server started and that have left its group end with the server, however that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import pytest

from trunkline.core.process_limits import ProcessLimits
from trunkline.transport import bounds
from trunkline.transport.ending import end_process
from trunkline.transport.kin import Kin
from trunkline.transport.stdio import StdioLink, StdioTransport

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found on Linux only"),
]

STRAY = """
import os, signal, sys, time
{how}
signal.signal(signal.SIGTERM, {ignore})
print(os.getpid(), file=sys.stderr, flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
print('{"jsonrpc": "2.0", "method": "notifications/message"}', flush=True)
subprocess.Popen([sys.executable, "-I", "-S", "-c", sys.argv[1]], stdin=subprocess.DEVNULL)
time.sleep(600) if len(sys.argv) > 2 else sys.stdin.read()
"""
HOWS = {"a group of its own": "os.setpgid(0, 0)", "a session of its own": "os.setsid()"}


async def start(*words: str, how: str = "os.setsid()", deaf: bool = False, **settings: Any) -> StdioLink:
    stray = STRAY.format(how=how, ignore="signal.SIG_IGN" if deaf else "signal.SIG_DFL")
    args = ("-I", "-S", "-c", PARENT, stray, *words)
    return await StdioTransport(server="s", command=sys.executable, args=args, grace=0.2, **settings).open()


@pytest.mark.parametrize("words", [(), ("ignores the end of its input",)], ids=["polite", "killed"])
@pytest.mark.parametrize("how", HOWS)
async def test_a_process_in_its_own_group_ends_when_the_server_is_closed(
    how: str, words: tuple[str, ...], until: Any, is_alive: Any
) -> None:
    link = await start(*words, how=HOWS[how])
    stray = int(await until(link.stderr_tail))
    await until(lambda: link.core.heard)
    await link.close()
    await until(lambda: not is_alive(stray))


async def test_one_that_ignores_sigterm_is_killed(until: Any, is_alive: Any) -> None:
    link = await start(deaf=True)
    stray = int(await until(link.stderr_tail))
    await link.close()
    await until(lambda: not is_alive(stray))


async def test_an_ending_that_is_cut_short_kills_it(until: Any, is_alive: Any) -> None:
    link = await start("ignores the end of its input", deaf=True)
    stray = int(await until(link.stderr_tail))
    kin = Kin(link.pid)
    kin.look(root=True)
    loop = asyncio.get_running_loop()
    ending = asyncio.create_task(end_process(kin, loop.create_future(), 60, polite=True))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait({ending})
    await until(lambda: not is_alive(stray))
    await link.close()


async def test_one_that_was_begun_while_the_server_was_ending_ends_too(until: Any, is_alive: Any) -> None:
    link = await start("ignores the end of its input")
    stray = int(await until(link.stderr_tail))
    await end_process(Kin(link.pid), link._exited, 0.2, polite=False)
    await until(lambda: not is_alive(stray))
    await link.close()


async def test_of_a_server_with_limits_it_is_known_also_when_the_server_has_died(
    until: Any, is_alive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "INTERVAL", 0.02)
    link = await start(process=ProcessLimits(processes=9))
    stray = int(await until(link.stderr_tail))
    watched = link._bounds
    assert watched is not None
    await until(lambda: stray in watched.tree.members)
    os.kill(link.pid, signal.SIGKILL)
    await link.wait_closed()
    assert is_alive(stray)
    await link.close()
    await until(lambda: not is_alive(stray))

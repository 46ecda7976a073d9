"""Servers do not outlive a process that dies without closing them, nor does anything they started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import FakeServer
from trunkline.transport.watchdog import Watchdog
from trunkline.transport.watchdog_process import is_still, listen, started

LIMIT = 1.0
"""Seconds after SIGKILL within which nobody is left."""

OWNER = """
import asyncio, sys
import trunkline

async def main():
    async with trunkline.connect(sys.argv[1]) as trunk:
        await asyncio.gather(*(trunk.call(f"{name}.pid") for name in sys.argv[2:]))
{then}
        print("ready", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""
STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
{how}
with open(sys.argv[1], "a") as file:
    print(os.getpid(), file=file, flush=True)
time.sleep(600)
"""
HOWS = {
    "in the group": "",
    "in a group of its own": "os.setpgid(0, 0)",
    "in a session of its own": "os.setsid()",
    "forked twice": "os.setpgid(0, 0)\nif os.fork(): os._exit(0)",
}
PARENT = """
import subprocess, sys, time
for program in sys.argv[2:]:
    subprocess.Popen([sys.executable, "-c", program, sys.argv[1]])
time.sleep(600)
"""


def wait(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return value


@contextmanager
def owner(folder: Path, entries: dict[str, Any], called: tuple[str, ...], then: str = "") -> Iterator[int]:
    """Run a program that has these servers; give its process id once those that are called have answered."""
    config = folder / "mcp.json"
    config.write_text(json.dumps({"mcpServers": entries}))
    command = [
        sys.executable,
        "-c",
        OWNER.replace("{then}", textwrap.indent(textwrap.dedent(then), " " * 8)),
        str(config),
        *called,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            process.kill()


def obedient() -> FakeServer:
    server = FakeServer("obedient")
    server.tool("pid", reports="pid")
    return server


def stubborn(name: str, folder: Path) -> tuple[FakeServer, dict[str, Any]]:
    server = FakeServer(name)
    server.tool("pid", reports="pid")
    return server, server.to_stdio_entry(folder, ignore_eof=True, ignore_sigterm=True)


def pids_in(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.mark.alone
def test_nobody_is_left_one_second_after_the_kill_of_the_parent(tmp_path: Path, is_alive: Any):
    grandchildren = tmp_path / "pids"
    programs = [STUBBORN.format(how=how) for how in HOWS.values()]
    parent = {"command": sys.executable, "args": ["-c", PARENT, str(grandchildren), *programs]}
    deaf, entry = stubborn("deaf", tmp_path)
    obeys = obedient()
    entries = {"parent": parent, "deaf": entry, "obeys": obeys.to_stdio_entry(tmp_path)}
    with owner(tmp_path, entries, ("deaf", "obeys")) as pid:
        wait(lambda: len(pids_in(grandchildren)) == len(HOWS))
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        family = [
            *pids_in(grandchildren),
            *deaf.journal(tmp_path).pids,
            *obeys.journal(tmp_path).pids,
            *children,
        ]
        assert all(is_alive(one) for one in family)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        wait(lambda: not any(is_alive(one) for one in family))
        assert time.monotonic() - killed <= LIMIT


@pytest.mark.alone
@pytest.mark.parametrize("how", HOWS)
def test_each_kind_of_grandchild_is_ended(tmp_path: Path, is_alive: Any, how: str):
    grandchild = tmp_path / "pids"
    args = ["-c", PARENT, str(grandchild), STUBBORN.format(how=HOWS[how])]
    with owner(tmp_path, {"parent": {"command": sys.executable, "args": args}}, ()) as pid:
        (one,) = wait(lambda: pids_in(grandchild))
        os.kill(pid, signal.SIGKILL)
        wait(lambda: not is_alive(one), LIMIT)


def test_a_fork_of_the_parent_that_lives_on_does_not_keep_the_servers(tmp_path: Path, is_alive: Any):
    fork = tmp_path / "fork"
    then = f"""
        import os, time
        if (pid := os.fork()) == 0:
            os.close(1)
            time.sleep(600)
        open({str(fork)!r}, "w").write(str(pid))
    """
    server, entry = stubborn("deaf", tmp_path)
    with owner(tmp_path, {"deaf": entry}, ("deaf",), then) as pid:
        os.kill(pid, signal.SIGKILL)
        try:
            (one,) = server.journal(tmp_path).pids
            wait(lambda: not is_alive(one))
            assert is_alive(int(fork.read_text()))
        finally:
            os.kill(int(fork.read_text()), signal.SIGKILL)


def test_a_watchdog_that_was_killed_is_replaced_and_told_everything(tmp_path: Path, is_alive: Any):
    then = """
        import os, signal
        from trunkline.transport.watchdog import WATCHDOG
        first = WATCHDOG.pid
        os.kill(first, signal.SIGKILL)
        while open(f"/proc/{first}/stat").read().rpartition(")")[2].split()[0] != "Z":
            pass
        await trunk.add("late", {"command": "sleep", "args": ["600"]})
        while WATCHDOG.pid == first:
            await asyncio.sleep(0.005)
    """
    server, entry = stubborn("deaf", tmp_path)
    with owner(tmp_path, {"deaf": entry}, ("deaf",), then) as pid:
        os.kill(pid, signal.SIGKILL)
        (one,) = server.journal(tmp_path).pids
        wait(lambda: not is_alive(one))


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    one = Watchdog()
    yield one
    one._leave()


def test_the_watchdog_gets_no_variable_that_may_be_secret(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("API_KEY", "s3cret")
    watchdog.watch(2**30)
    variables = wait(lambda: Path(f"/proc/{watchdog.pid}/environ").read_bytes())
    assert b"s3cret" not in variables
    watchdog.release(2**30)


def test_a_group_that_was_released_is_forgotten():
    reading, writing = os.pipe()
    ours, other = os.getpid(), 2**30
    os.write(writing, f"+{other}\n+{ours}\n+{other + 1}\n-{other + 1}\n".encode())
    os.close(writing)
    groups: dict[int, int | None] = {}
    listen(groups, ours, reading)
    os.close(reading)
    assert groups == {other: None, ours: started(ours)}


def test_a_number_that_belongs_to_another_process_by_now_is_left_alone():
    ours = os.getpid()
    began = started(ours)
    assert began is not None
    assert is_still(ours, began)
    assert not is_still(ours, began - 1)
    assert not is_still(ours, None)
    assert is_still(2**30, began)

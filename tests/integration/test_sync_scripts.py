"""Plain scripts: they end when they end, close or not, and Ctrl-C reaches the server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.testing import FakeServer

START = """
import sys
from trunkline.sync import connect
if {plain}:
    sys.modules["uvloop"] = None
"""


@pytest.fixture(params=["uvloop", "asyncio"])
def start(request: pytest.FixtureRequest) -> str:
    return START.format(plain=request.param == "asyncio")


@pytest.fixture
def fake(tmp_path: Path) -> FakeServer:
    """Write `mcp.json` for a fake process."""
    server = FakeServer("shop")
    server.tool("list", returns="apples")
    server.tool("slow", delay=3600)
    entry = server.to_stdio_entry(tmp_path)
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"shop": entry}}))
    return server


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with every warning an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize(
    "body",
    [
        "with connect('mcp.json') as trunk:\n    print(trunk.call('shop.list').text)",
        "trunk = connect('mcp.json')\nprint(trunk.call('shop.list').text)\ntrunk.close()",
        "trunk = connect('mcp.json')\nprint(trunk.call('shop.list').text)",
        "trunk = connect('mcp.json')\nprint(trunk.call('shop.list').text)\nhandle = trunk.start('shop.slow')",
        "trunk = connect('mcp.json')\nevents = trunk.stream('shop.list')\nprint(next(events).text)",
    ],
    ids=["with", "close", "never closed", "with a call running", "with a stream unfinished"],
)
def test_a_script_ends_quietly_and_leaves_no_server(
    fake: FakeServer, tmp_path: Path, start: str, body: str
) -> None:
    done = run(tmp_path, start + body)
    assert (done.returncode, done.stdout, done.stderr) == (0, "apples\n", "")
    (pid,) = fake.journal(tmp_path).pids
    assert is_gone(pid)


def test_a_server_that_ignores_the_end_of_its_input_is_ended_with_the_script(
    tmp_path: Path, start: str
) -> None:
    stubborn = FakeServer("stubborn")
    stubborn.tool("list", returns="apples")
    entry = stubborn.to_stdio_entry(tmp_path, ignore_eof=True)
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"stubborn": entry}}))
    done = run(tmp_path, start + "trunk = connect('mcp.json')\ntrunk.call('stubborn.list')")
    (pid,) = stubborn.journal(tmp_path).pids
    try:
        assert (done.returncode, done.stderr) == (0, "")
        assert is_gone(pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_script_that_fails_leaves_no_server(fake: FakeServer, tmp_path: Path, start: str) -> None:
    done = run(tmp_path, start + "trunk = connect('mcp.json', require=['shop'])\n1 / 0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    (pid,) = fake.journal(tmp_path).pids
    assert is_gone(pid)


def test_a_loop_in_a_script_is_refused_with_the_way_out(fake: FakeServer, tmp_path: Path, start: str) -> None:
    body = "import asyncio\nasync def main():\n    connect('mcp.json')\nasyncio.run(main())"
    done = run(tmp_path, start + body)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: ")
    assert "async with trunkline.connect(...)" in last
    assert fake.journal(tmp_path).pids == []


def test_ctrl_c_cancels_the_call_at_the_server(fake: FakeServer, tmp_path: Path, start: str) -> None:
    script = start + "with connect('mcp.json') as trunk:\n    trunk.call('shop.slow')"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: bool(fake.journal(tmp_path).read().calls))
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    ledger = fake.journal(tmp_path).read()
    assert ledger.calls[0].cancelled
    (pid,) = fake.journal(tmp_path).pids
    assert is_gone(pid)


def test_opening_and_closing_leaves_no_thread_process_or_descriptor(
    fake: FakeServer, tmp_path: Path, start: str
) -> None:
    body = """
import os, threading
def cycle():
    with connect("mcp.json") as trunk:
        assert trunk.call("shop.list").text == "apples"
    return len(os.listdir("/proc/self/fd")), threading.active_count()
first = cycle()
assert [cycle() for _ in range(5)] == [first] * 5
assert first[1] == 1
with open(f"/proc/self/task/{os.getpid()}/children") as children:
    [watchdog] = children.read().split()
with open(f"/proc/{watchdog}/cmdline") as command:
    assert "watchdog_process" in command.read()
"""
    done = run(tmp_path, start + body)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(fake.journal(tmp_path).pids) == 6


def is_gone(pid: int) -> bool:
    """Say whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something another process does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

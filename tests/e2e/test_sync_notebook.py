"""`trunkline.sync` in a real Jupyter kernel: cells that block, await, stream, are interrupted, and forget."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import FakeServer

DRIVER = """
import json, sys
from jupyter_client.manager import KernelManager

def answer(**members):
    print(json.dumps(members), flush=True)

def run(client, code):
    text = []
    def collect(message):
        if message["msg_type"] == "stream":
            text.append(message["content"]["text"])
    content = client.execute_interactive(code, output_hook=collect, timeout=40)["content"]
    answer(status=content["status"], error=content.get("ename"), text="".join(text))

manager = KernelManager()
manager.start_kernel()
client = manager.blocking_client()
client.start_channels()
client.wait_for_ready(timeout=40)
answer(status="ready")
for line in sys.stdin:
    request = json.loads(line)
    if request == "interrupt":
        manager.interrupt_kernel()
    elif request == "await":
        answer(**{"status": "", **client.get_shell_msg(timeout=40)["content"]})
    elif isinstance(request, list):
        client.execute(request[0])
    else:
        run(client, request)
client.stop_channels()
manager.shutdown_kernel()
answer(status="gone")
"""


class Notebook:
    """A kernel in a process of its own, driven by another one."""

    def __init__(self, folder: Path) -> None:
        places = {
            name: str(folder) for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")
        }
        profile = folder / "profile_default"
        profile.mkdir(exist_ok=True)
        # The kernel's history is no part of the test, and its database may be slow to open.
        (profile / "ipython_kernel_config.py").write_text("c.HistoryManager.enabled = False\n")
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            cwd=folder,
            env={**os.environ, **places, "JUPYTER_RUNTIME_DIR": str(folder / "runtime")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.listen()["status"] == "ready"

    def run(self, code: str) -> str:
        """Run a cell that succeeds and give what it printed."""
        self.say(code)
        told = self.listen()
        assert told["status"] == "ok", told
        return str(told["text"])

    def say(self, request: Any) -> None:
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)

    def listen(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def shut_down(self) -> None:
        """End the kernel as the notebook's stop button does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self.listen()["status"] == "gone"
        assert self._process.wait(timeout=30) == 0

    def end(self) -> None:
        """Let go of the driver, whatever state it is in."""
        with self._process:
            self._process.kill()


@pytest.fixture
def fake(tmp_path: Path) -> FakeServer:
    server = FakeServer("shop")
    server.tool("list", returns="apples")
    server.tool("work", returns="done", progress=[(1, 2, "half"), (2, 2, "whole")])
    server.tool("slow", delay=3600)
    entry = server.to_stdio_entry(tmp_path)
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"shop": entry}}))
    return server


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Notebook]:
    opened = Notebook(tmp_path)
    yield opened
    opened.end()


def test_a_notebook_blocks_streams_interrupts_and_leaves_nothing(
    fake: FakeServer, notebook: Notebook, tmp_path: Path
) -> None:
    opening = 'from trunkline.sync import connect\ntrunk = connect("mcp.json")'
    assert notebook.run(opening) == ""
    assert notebook.run('print(trunk.call("shop.list").text)') == "apples\n"
    awaiting = 'import asyncio\nawait asyncio.sleep(0)\nprint(trunk.call("shop.list").text)'
    assert notebook.run(awaiting) == "apples\n"
    streaming = 'for event in trunk.stream("shop.work"):\n    print(type(event).__name__)'
    assert notebook.run(streaming) == "Progress\nProgress\nReply\n"
    reporting = 'reply = trunk.call("shop.work", on_progress=lambda one: print(one.message))'
    assert notebook.run(reporting) == "half\nwhole\n"
    assert notebook.run('handle = trunk.start("shop.work")') == ""
    assert notebook.run("print(handle.result().text, trunk.tool('list')().text)") == "done apples\n"

    notebook.say(['trunk.call("shop.slow")'])
    wait_until_called(fake, tmp_path, "slow")
    notebook.say("interrupt")
    notebook.say("await")
    assert notebook.listen()["ename"] == "KeyboardInterrupt"
    assert notebook.run('print(trunk.call("shop.list").text)') == "apples\n"
    assert fake.journal(tmp_path).read().of("tools/call", "slow")[0].cancelled

    counting = "import threading\nprint([one.name for one in threading.enumerate()].count('trunkline'))"
    assert notebook.run(counting) == "1\n"
    assert notebook.run(f"trunk.close()\n{counting}") == "0\n"
    assert notebook.run(f'{opening}\nprint(trunk.call("shop.list").text)') == "apples\n"
    notebook.shut_down()
    pids = fake.journal(tmp_path).pids
    assert len(pids) == 2
    assert [pid for pid in pids if not is_gone(pid)] == []


def wait_until_called(fake: FakeServer, folder: Path, tool: str) -> None:
    """Wait until the server's process has received a call."""
    deadline = time.monotonic() + 30
    while not fake.journal(folder).read().of("tools/call", tool):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Say whether a process has ended, or does so soon."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False

"""Every program of the how-to page runs as it is printed and prints what the page shows."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from trunkline.cli.main import main
from trunkline.testing import Ask, FakeServer, TaskScript

PAGE = (Path(__file__).parents[2] / "docs/how-to/long-running-tasks.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)
(SESSION,) = re.findall(r"^```console\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)


def offer() -> FakeServer:
    server = FakeServer("ci", eras=["modern"])
    server.tool("status", returns="green")
    server.tool("endless", task=TaskScript(ends="never"))
    version = Ask.form("version", "Which version?", {"version": {"type": "string"}})
    server.tool("release", returns="released", task=TaskScript(polls=0, asks=[version]))

    @server.tool(task=TaskScript(polls=2))
    def build(arguments):
        return f"built {arguments['branch']}"

    return server


@pytest.fixture(scope="module", autouse=True)
def _uvloop_has_begun() -> None:
    """The first uvloop of a process makes a pipe for signals that is never closed; make it now."""
    uvloop.new_event_loop().close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder with the page's `mcp.json`; its server runs in a thread, as one elsewhere would."""
    started: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with offer().http() as url:
            started.append(url)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"ci": {"url": started[0]}}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path
    over.set()
    thread.join(20)


def test_the_page_has_a_program_for_each_way() -> None:
    assert len(PROGRAMS) == PAGE.count("```python") == 4


@pytest.mark.parametrize(("program", "shown"), PROGRAMS, ids=range(len(PROGRAMS)))
@pytest.mark.usefixtures("place")
def test_a_program_of_the_page_prints_what_the_page_shows(program: str, shown: str) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "page", "exec"), {"__name__": "page"})
    assert printed.getvalue() == shown


@pytest.mark.usefixtures("place")
def test_the_session_of_the_page_prints_what_the_page_shows(capfd: pytest.CaptureFixture[str]) -> None:
    """Each command is a program run of its own, so the handle is all that links them."""
    shown = ""
    for line in SESSION.splitlines(keepends=True):
        if not line.startswith("$ "):
            shown += line
            continue
        said = capfd.readouterr()
        assert said.out + said.err == shown
        assert main(line.split()[2:]) == 0
        shown = ""
    said = capfd.readouterr()
    assert said.out + said.err == shown

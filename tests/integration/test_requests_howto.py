"""Every program and command of the how-to page on resources and prompts prints what the page shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.testing import FakeServer

PAGE = (Path(__file__).parents[2] / "docs/how-to/read-resources-and-prompts.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", PAGE, re.MULTILINE | re.DOTALL)
CONSOLE = re.findall(r"^```console\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)[0]
COMMANDS = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", CONSOLE, re.MULTILINE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a folder whose `mcp.json` names the server of the page."""
    server = FakeServer("library", ttl_ms=60_000)
    server.tool("lend")
    server.resource("library://welcome", "Come in.", mime_type="text/plain")
    server.resource("library://cover", data=bytes(2000), mime_type="image/png")
    server.resource("library://books/{number}", "Book number {number}")
    text = "Review book {book} in a {tone} tone."
    server.prompt("review", text, arguments=["book", "tone?"], description="Ask for a review.")
    server.completion("review", "tone", ["cold", "keen", "kind"])
    (tmp_path / "mcp.json").write_text(
        json.dumps({"mcpServers": {"library": server.to_stdio_entry(tmp_path)}})
    )
    return tmp_path


@pytest.mark.parametrize(("program", "shown"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_prints_what_the_page_shows(place: Path, program: str, shown: str) -> None:
    (place / "program.py").write_text(program)
    done = run(place, sys.executable, "-W", "error", "program.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shown


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=range(len(COMMANDS)))
def test_a_command_prints_what_the_page_shows(place: Path, command: str, shown: str) -> None:
    words = command.split()
    assert words[0] == "trunkline"
    done = run(place, sys.executable, "-m", "trunkline", *words[1:])
    assert done.returncode == 0
    assert (done.stdout + done.stderr).rstrip("\n") == shown.rstrip("\n")


def test_the_page_has_programs_and_commands() -> None:
    assert len(PROGRAMS) == PAGE.count("```python") == 5
    assert len(COMMANDS) == 4


def run(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    home = {"HOME": str(place), "XDG_CACHE_HOME": str(place), "TRUNKLINE_NO_DAEMON": "1"}
    return subprocess.run(
        command,
        cwd=place,
        env={**os.environ, **home},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

"""Every program of the how-to page runs as it is printed and prints what the page shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.testing import stdio_entry

PAGE = (Path(__file__).parents[2] / "docs/how-to/watch-for-changes.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)
SERVER = """
from trunkline.testing import FakeServer

notes = FakeServer("notes", eras=["modern"], watchable=True, ttl_ms=60_000)
notes.resource("note://today")


@notes.tool
def learn(arguments):
    notes.tool(arguments["tool"], returns="done")
    notes.notify_list("tools")
    return "learned"


@notes.tool
async def write(arguments, context):
    notes.resource("note://today", arguments["text"])
    await context.log("info", f"wrote {len(arguments['text'])} characters")
    notes.notify_resource("note://today")
    return "written"
"""


def test_the_page_has_a_program_for_each_way() -> None:
    assert len(PROGRAMS) == PAGE.count("```python") == 5


@pytest.mark.parametrize(("program", "shown"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_of_the_page_prints_what_the_page_shows(program: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "notes_server.py").write_text(SERVER)
    entry = stdio_entry("notes_server:notes")
    entry["env"]["PYTHONPATH"] += f":{tmp_path}"
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"notes": entry}}))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == shown

"""Every program of the how-to page runs as it is printed and prints what the page shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.testing import stdio_entry

PAGE = (Path(__file__).parents[2] / "docs/how-to/use-the-library.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", PAGE, re.MULTILINE | re.DOTALL)
SERVER = """
import asyncio

from trunkline.testing import FakeServer, Result

CITY = {"city": {"type": "string", "description": "where"}}
DAYS = {"days": {"type": "integer", "default": 3, "description": "how many days ahead"}}
SCHEMA = {"type": "object", "required": ["city"], "additionalProperties": False}
weather = FakeServer("weather")


@weather.tool(schema={**SCHEMA, "properties": CITY}, description="Say how the weather is.")
def now(arguments):
    text = f"21 degrees in {arguments['city']}"
    structured = {"city": arguments["city"], "degrees": 21}
    return Result(content=[{"type": "text", "text": text}], structuredContent=structured)


@weather.tool(schema={**SCHEMA, "properties": {**DAYS, **CITY}}, description="Say how the weather will be.")
async def forecast(arguments, context):
    await context.progress(1, 2, f"asking {arguments['city']}")
    await context.log("info", "no wind")
    if arguments["city"] == "Atlantis":
        await asyncio.sleep(3600)
    await context.progress(2, 2, "adding up")
    return f"sunny for {arguments.get('days', 3)} days"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out the folder that the page's programs run in."""
    (tmp_path / "weather_server.py").write_text(SERVER)
    entry = stdio_entry("weather_server:weather")
    entry["env"]["PYTHONPATH"] += f":{tmp_path}"
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"weather": entry}}))
    return tmp_path


@pytest.mark.parametrize(("program", "shown"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_of_the_page_prints_what_the_page_shows(program: str, shown: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", shown)


def test_the_page_has_programs() -> None:
    assert len(PROGRAMS) == PAGE.count("```python") == 9

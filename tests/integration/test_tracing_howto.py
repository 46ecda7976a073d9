"""The how-to about tracing and logging: its code and its commands do what the page says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from trunkline.telemetry import Tracing
from trunkline.testing import FakeServer

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/trace-and-log.md").read_text()
CONSOLE = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TEXT = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "bin/trunkline"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkline "$@"\n')
        program.chmod(0o755)
        self.environ = {
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
            "TOKEN": "canary-3f9a17",
        }

    async def run(self, *command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 50)
        return out.decode()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    notes = FakeServer("notes", eras=["modern"])
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    notes.tool("add", schema=schema, reports="arguments")
    notes.tool("fail", error="out of ink")
    web = FakeServer("web", eras=["modern"])
    web.tool("greet", returns="hello Ann")
    async with web.http() as url:
        remote = {"url": url, "headers": {"Authorization": "Bearer ${TOKEN}"}}
        servers = {"notes": notes.to_stdio_entry(tmp_path), "web": remote}
        (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": servers}))
        yield Place(tmp_path)


@pytest.mark.parametrize("block", CONSOLE, ids=range(1, len(CONSOLE) + 1))
async def test_a_console_block_shows_what_happens(block: str, place: Place) -> None:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        assert_fits(await place.run("/bin/sh", "-c", command), expected)


async def test_the_code_prints_what_the_page_says(place: Place) -> None:
    (place.folder / "page.py").write_text("\nprint('=' * 9)\n".join(PYTHON))
    shown = (await place.run(sys.executable, "page.py")).split("=" * 9 + "\n")
    assert len(PYTHON) == len(TEXT) == len(shown)
    for out, expected in zip(shown, TEXT, strict=True):
        assert_fits(out, expected)


async def test_every_setting_is_named_and_every_logger_exists() -> None:
    assert [name for name in Tracing.__struct_fields__ if f"`{name}`" not in PAGE] == []
    source = "".join(path.read_text() for path in (ROOT / "src/trunkline").rglob("*.py"))
    named = set(re.findall(r"^\| `(trunkline\.\w+)`", PAGE, re.MULTILINE))
    assert len(named) > 5
    assert named - set(re.findall(r'getLogger\("(trunkline\.\w+)"\)', source)) == set()


def assert_fits(shown: str, expected: str) -> None:
    """Compare, with `...` standing for anything, and at the end of a block for the rest."""
    pattern = ".*".join(re.escape(text) for text in expected.split("..."))
    assert re.fullmatch(pattern, shown if shown.endswith("\n") else f"{shown}\n", re.DOTALL), shown

"""Every console block of the command line's page, run as it is printed there."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.testing import FakeServer

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/how-to/use-the-command-line.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def notes() -> FakeServer:
    server = FakeServer("notes")
    properties = {
        "text": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "stars": {"type": "integer", "description": "from 1 to 5"},
    }
    schema = {"type": "object", "properties": properties, "required": ["text"]}
    words = {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}
    image = {"type": "image", "data": base64.b64encode(bytes(28)).decode(), "mimeType": "image/png"}
    server.tool("add", schema=schema, description="Write a note down. It is kept.", reports="arguments")
    server.tool("draw", returns=[{"type": "text", "text": "a dot"}, image])
    server.tool("find", schema=words, description="Find notes by their words.", reports="arguments")
    server.tool("fail", error="out of ink")
    server.tool("index", delay=0.2, progress=[(1, 2, "reading"), (2, 2, "writing")], returns="indexed")
    return server


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A folder with one server and the program on the path."""
    entry = notes().to_stdio_entry(tmp_path)
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"notes": entry}}))
    program = tmp_path / "bin/trunkline"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkline "$@"\n')
    program.chmod(0o755)
    (program.parent / "python3").symlink_to(sys.executable)
    return {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
    }


@pytest.mark.parametrize("block", BLOCKS, ids=range(1, len(BLOCKS) + 1))
def test_a_console_block_shows_what_happens(block: str, environ: dict[str, str], tmp_path: Path) -> None:
    code = 0
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        done = subprocess.run(
            ["/bin/sh", "-c", f"(exit {code}); {command}"],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        code = done.returncode
        pattern = ".*".join(re.escape(text) for text in expected.split("..."))
        assert re.fullmatch(pattern, done.stdout), f"$ {command}\n{done.stdout}"


def test_the_page_has_blocks_to_run() -> None:
    assert len(BLOCKS) >= 5

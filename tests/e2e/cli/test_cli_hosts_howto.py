"""The page about bringing servers: its commands print what it says, and its program runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.config.hosts.program import PROGRAMS

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/how-to/bring-your-servers.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
FILES = {
    ".cursor/mcp.json": json.dumps(
        {"mcpServers": {"github": {"url": "https://h/mcp"}, "notes": {"command": "notes-mcp"}}}
    ),
    ".codex/config.toml": (
        '[mcp_servers.notes]\ncommand = "other"\n[mcp_servers.docs]\ncommand = "docs-mcp"\n'
    ),
    ".config/zed/settings.json": '{"context_servers": {"browser": {"settings": {}}}}',
}


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The machine of the page, with the program on the path."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "app/.git").mkdir(parents=True)
    (tmp_path / "app/asking.json").write_text(blocks("json")[0])
    program = tmp_path / "bin/trunkline"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkline "$@"\n')
    program.chmod(0o755)
    return tmp_path


def run(command: list[str], home: Path) -> str:
    environ = {
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
    }
    done = subprocess.run(
        command,
        cwd=home / "app",
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=True,
    )
    return done.stdout.replace(str(home), "~")


def test_the_console_blocks_show_what_happens_one_after_the_other(home: Path) -> None:
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            shown = run(["/bin/sh", "-c", command], home)
            pattern = "(?s:.*)".join(re.escape(text) for text in expected.split("..."))
            assert re.fullmatch(re.sub(r"(\\ )+", r"\\ +", pattern), shown), f"$ {command}\n{shown}"


def test_the_program_prints_what_the_page_says(home: Path) -> None:
    (program,) = blocks("python")
    (expected,) = blocks("text")
    assert run([sys.executable, "-c", program], home) == expected


def test_the_table_names_every_program_and_every_block_is_used() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \| `~", TEXT, re.MULTILINE) == list(PROGRAMS)
    assert sorted(name for name, _ in BLOCKS) == ["console"] * 3 + ["json", "python", "text"]

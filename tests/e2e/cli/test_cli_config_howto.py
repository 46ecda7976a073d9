"""The page about policy: its files load, its commands print what it says, its program runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/how-to/set-policy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
SERVERS = {
    "db.main": {"command": "sh", "args": ["-c", "sleep 0"]},
    "web": {"url": "https://web.example.com/mcp?token=hunter22"},
}


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A folder with the page's servers and policy, and the program on the path."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in SERVERS.items())
    (tmp_path / "mcp.json").write_text(f'{{\n"mcpServers": {{\n{lines}\n}}\n}}\n')
    (tmp_path / "trunkline.toml").write_text(blocks("toml")[0])
    program = tmp_path / "bin/trunkline"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkline "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
    }


def run(command: list[str], folder: Path, environ: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("block", blocks("console"), ids=range(1, len(blocks("console")) + 1))
def test_a_console_block_shows_what_happens(block: str, environ: dict[str, str], tmp_path: Path) -> None:
    if "config check" in block:
        (tmp_path / "mcp.json").write_text(blocks("json")[0])
        (tmp_path / "trunkline.toml").write_text(blocks("toml")[1])
    code = 0
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        code, shown = run(["/bin/sh", "-c", f"(exit {code}); {command}"], tmp_path, environ)
        pattern = "(?s:.*)".join(re.escape(text) for text in expected.split("..."))
        assert re.fullmatch(re.sub(r"(\\ )+", r"\\ +", pattern), shown), f"$ {command}\n{shown}"


def test_the_program_prints_what_the_page_says(environ: dict[str, str], tmp_path: Path) -> None:
    (program,) = blocks("python")
    (expected,) = blocks("text")
    assert run([sys.executable, "-c", program], tmp_path, environ) == (0, expected)


def test_every_block_of_the_page_is_used() -> None:
    assert sorted(name for name, _ in BLOCKS) == sorted(
        ["console"] * len(blocks("console")) + ["json", "python", "text", "toml", "toml"]
    )
    assert len(blocks("console")) >= 4

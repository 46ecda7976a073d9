"""The README's program and console block, run as they are printed, against the real servers it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()

pytestmark = pytest.mark.timeout(150)


@pytest.fixture
def environ(peers: Any, tmp_path: Path) -> dict[str, str]:
    """Lay out a folder with the README's `mcp.json`, where `uvx` and `npx` find what is installed already."""
    (tmp_path / "mcp.json").write_text(block("json"))
    python, modules = Path(peers.python).parent, Path(peers.everything[1]).parents[3]
    write_program(tmp_path / "bin/uvx", f'program=$1\nshift\nexec "{python}/$program" "$@"')
    write_program(
        tmp_path / "bin/npx", f'package=$2\nshift 2\nexec node "{modules}/$package/dist/index.js" "$@"'
    )
    write_program(tmp_path / "bin/trunkline", f'exec "{sys.executable}" -m trunkline "$@"')
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}


def test_the_program_prints_what_the_readme_shows(environ: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block("python")],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert shape(done.stdout) == shape(block("text"))


def test_the_console_shows_what_the_readme_shows(environ: dict[str, str], tmp_path: Path) -> None:
    shown = re.split(r"^\$ (.+)\n", block("console"), flags=re.MULTILINE)[1:]
    commands, outputs = shown[::2], shown[1::2]
    assert len(commands) == 3
    for command, output in zip(commands, outputs, strict=True):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{command} 2>&1"],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        assert shape(done.stdout) == shape(output), command


def block(language: str) -> str:
    """Give the README's one code block in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return str(found)


def shape(text: str) -> str:
    """Give the text with every number of a moment or span, and the padding after it, made the same."""
    moments = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "<moment>", text)
    return re.sub(r" +", " ", re.sub(r"\d+\.\d s", "<span>", moments))


def write_program(path: Path, body: str) -> None:
    """Write a shell script."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)

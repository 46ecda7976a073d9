"""The page about keeping servers alive: its programs print what it shows, and its defaults are true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trunkline.config.settings import ServerPolicy

TEXT = (Path(__file__).parents[2] / "docs/how-to/keep-servers-alive.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(("program", "output"), PROGRAMS)
def test_a_program_prints_what_the_page_shows(program: str, output: str):
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.stdout, run.returncode) == (output, 0), run.stderr


def test_the_page_has_its_programs():
    assert len(PROGRAMS) == 2
    (handlers,) = (
        block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "on_error" in block
    )
    names: dict[str, Any] = {}
    exec(compile(handlers, "keep-servers-alive.md", "exec"), names)
    assert names["handlers"].on_connect is not None


def test_the_defaults_are_those_in_force():
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (`[\w.]+`(?:, `[\w.]+`)*) \|", TEXT, re.MULTILINE)
    shown = {
        key.strip("`"): value.strip("`")
        for keys, values in rows
        for key, value in zip(keys.split(", "), values.split(", "), strict=True)
    }
    policy = ServerPolicy()
    assert len(shown) == 6
    assert shown == {key: str(getattr(policy, key)).lower().removesuffix(".0") for key in shown}

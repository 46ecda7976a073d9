"""The page about caching: its program prints what it shows, its settings, defaults and names are true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import trunkline
from trunkline.config import load

TEXT = (Path(__file__).parents[2] / "docs/how-to/cache-calls.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)
SETTINGS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def test_the_program_prints_what_the_page_shows():
    ((program, output),) = PROGRAMS
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.stdout, run.returncode) == (output, 0), run.stderr


def test_the_settings_can_be_used():
    assert len(SETTINGS) == 4
    for toml in SETTINGS:
        load([], environ={}, policy=tomllib.loads(toml))


def test_the_defaults_are_those_in_force():
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", TEXT, re.MULTILINE))
    defaults = {name: getattr(trunkline.CacheSettings(), name) for name in rows}
    shown = {
        name: "[]" if value == () else f'"{value}"' if isinstance(value, str) else f"{value:.15g}"
        for name, value in defaults.items()
    }
    assert rows == shown
    assert set(rows) == set(trunkline.CacheSettings.__struct_fields__)


def test_the_members_it_names_are_there():
    for name in re.findall(r"^\| `reply\.(\w+)` \|", TEXT, re.MULTILINE):
        assert name in trunkline.Reply.__struct_fields__
    named = re.search(r"for each server, count (.*?); `(\w+)` is the part", TEXT, re.DOTALL)
    assert named is not None
    for name in (*re.findall(r"`(\w+)`", named[1]), named[2]):
        assert hasattr(trunkline.CacheStats(), name), name

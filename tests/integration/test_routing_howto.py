"""The page about routing: its program prints what it shows, its settings and defaults are true."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from trunkline.config import load
from trunkline.core.fallback import Cause
from trunkline.core.routing import EjectionSettings, HedgeSettings, Strategy
from trunkline.supervision.ejection import PROBE_EVERY

TEXT = (Path(__file__).parents[2] / "docs/how-to/route-calls.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)
SETTINGS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def test_the_program_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]):
    ((program, output),) = PROGRAMS
    exec(compile(program, "route-calls.md", "exec"), {"__name__": "program", "asyncio": asyncio})
    assert capsys.readouterr().out == output


def test_the_settings_can_be_used():
    assert len(SETTINGS) == 5
    for toml in SETTINGS:
        load([], environ={}, policy=tomllib.loads(toml))


def test_every_strategy_and_every_cause_is_told():
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert rows == [*get_args(Strategy), *get_args(Cause)]


def test_the_figures_are_those_in_force():
    (toml,) = (one for one in SETTINGS if "ejection" in one)
    written = tomllib.loads(toml)["servers"]["db"]["ejection"]
    assert EjectionSettings(**written) == EjectionSettings()
    assert PROBE_EVERY == 1
    assert HedgeSettings().quantile == 0.95

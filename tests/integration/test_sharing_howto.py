"""The page about sharing servers: its program prints what it shows, its settings and defaults are true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.config import load
from trunkline.config.settings import ServerPolicy
from trunkline.testing import FakeServer

TEXT = (Path(__file__).parents[2] / "docs/how-to/share-servers.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)
SETTINGS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def test_the_program_prints_what_the_page_shows():
    ((program, output),) = PROGRAMS
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.stdout, run.returncode) == (output, 0), run.stderr


def test_the_settings_can_be_used():
    assert len(SETTINGS) == 3
    for toml in SETTINGS:
        load([], environ={}, policy=tomllib.loads(toml))


def test_the_endpoints_given_from_code_are_one_server():
    (block,) = (one for one in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "Replicas(" in one)
    names: dict[str, Any] = {}
    exec(compile(block, "share-servers.md", "exec"), names)
    (entry,) = load(names["servers"], environ={}).entries
    assert entry.name == "db"
    assert [one.weight for one in (entry, *entry.replicas)] == [1, 2]


def test_the_defaults_are_those_in_force():
    rows = re.findall(r"^\| `([\w.]+)` \| `(\w+)` \|", TEXT, re.MULTILINE)
    policy = ServerPolicy()
    inner = {f"pool.{key}": getattr(policy.pool, key) for key in policy.pool.__struct_fields__}
    values = {**inner, "max_concurrency": policy.max_concurrency}
    assert dict(rows) == {key: f"{value:g}" for key, value in values.items()}


@pytest.mark.anyio
async def test_a_lease_has_every_way_to_call_that_the_page_names():
    (named,) = re.findall(r"`one` calls as a trunk does: (.*?) and the rest", TEXT, re.DOTALL)
    async with trunkline.connect({"browser": FakeServer()}) as trunk, trunk.lease("browser") as one:
        for name in re.findall(r"`(\w+)`", named):
            assert callable(getattr(one, name))

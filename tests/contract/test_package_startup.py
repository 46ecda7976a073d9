"""Start-up loads little: counted in modules, which no busy machine can falsify.

`tests/budgets.json` holds the most modules each start may load over a bare interpreter. Raise a number
only together with the reason for it; lower it whenever the count falls.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BUDGETS = json.loads((Path(__file__).parent.parent / "budgets.json").read_text())
HEAVY = ("aiohttp", "jsonschema_rs", "mcp", "numpy", "pydantic", "rich", "sqlite3")
STARTS = {
    "import trunkline": "import trunkline",
    "trunkline --help": (
        "sys.argv = ['trunkline', '--help']\n"
        "from trunkline.cli.main import run\n"
        "try:\n"
        "    run()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code"
    ),
}
PROBE = """
import pathlib, sys
out, bare = pathlib.Path(sys.argv[1]), set(sys.modules)
{start}
out.write_text(" ".join(set(sys.modules) - bare))
"""


@pytest.fixture(params=sorted(STARTS))
def start(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def loaded(start: str, tmp_path: Path) -> list[str]:
    """Give the modules a fresh interpreter has loaded after `start`, over those it had before."""
    out = tmp_path / "modules"
    command = [sys.executable, "-c", PROBE.format(start=STARTS[start]), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.fail(f"`{start}` does not run: {done.stderr.strip().splitlines()[-1]}")
    return sorted(out.read_text().split())


def test_start_loads_no_heavy_package(start: str, loaded: list[str]) -> None:
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == [], start


def test_start_stays_within_its_budget_of_modules(start: str, loaded: list[str]) -> None:
    budget = BUDGETS[start]["modules"]
    assert len(loaded) <= budget, (
        f"`{start}` loads {len(loaded)} modules, {budget} allowed: {' '.join(loaded)}"
    )

"""The whole failure lab: Trunkline passes all of it; the SDK and fastmcp are played, whatever they do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing.lab import SCENARIOS
from trunkline.testing.lab.contenders import CONTENDERS

PAGE = (Path(__file__).parents[2] / "docs/how-to/run-the-failure-lab.md").read_text("utf-8")
ROWS = {(one.name, family) for one in SCENARIOS for family in one.families}


def run_lab(*options: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trunkline.testing.lab", *options]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=150, check=False)


@pytest.mark.alone
@pytest.mark.timeout(180)
def test_trunkline_passes_the_failure_lab_and_the_others_are_played(tmp_path: Path):
    run = run_lab("--json", "--must", "trunkline", cwd=tmp_path)
    findings: dict[str, Any] = json.loads(run.stdout)
    assert findings["missing"] == {}
    played = {(one["client"], one["scenario"], one["family"]): one for one in findings["outcomes"]}
    assert set(played) == {(client, *row) for client in CONTENDERS for row in ROWS}
    assert {one["verdict"] for one in played.values()} <= {"pass", "wrong", "hangs", "dies"}
    assert all(one["seen"] for one in played.values())
    ours = [one for one in played.values() if one["client"] == "trunkline"]
    assert [one for one in ours if one["verdict"] != "pass"] == []
    assert run.returncode == 0, run.stderr


def test_a_client_of_ones_own_takes_part_as_the_page_shows(tmp_path: Path):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    command = re.search(r"^python -m trunkline\.testing\.lab (--client .*)$", PAGE, re.MULTILINE)
    assert command is not None
    (tmp_path / "anew.py").write_text(program)
    run = run_lab(*command[1].split(), "--must", "anew", cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^stdio crash mid-call, modern +pass +\d+\.\d s +pass ", run.stdout, re.MULTILINE)
    assert "anew 1: 2 of 2 passed" in run.stdout


def test_the_page_lists_every_scenario_and_what_passes_it():
    rows = re.findall(r"^\| `([\w-]+)`: (.*) \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [(one.name, one.title, one.passes) for one in SCENARIOS]

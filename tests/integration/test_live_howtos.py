"""The pages on following the configuration and on limits: their programs print what they show."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from trunkline.config import ServerPolicy
from trunkline.config.changes import _OF_CALLS, _OF_LIVES
from trunkline.config.policy_file import examine_policy
from trunkline.config.process_support import COUNTS
from trunkline.core.process_limits import ProcessLimits
from trunkline.runtime import live_files
from trunkline.transport import bounds

FOLDER = Path(__file__).parents[2] / "docs/how-to"
FOLLOW = (FOLDER / "follow-your-configuration.md").read_text("utf-8")
LIMIT = (FOLDER / "limit-servers.md").read_text("utf-8")


def program(page: str) -> tuple[str, str]:
    ((code, output),) = re.findall(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", page, re.DOTALL)
    return code, output


@pytest.mark.parametrize(
    "page", [FOLLOW, pytest.param(LIMIT, marks=pytest.mark.skipif(not COUNTS, reason="Linux"))]
)
def test_the_program_prints_what_the_page_shows(page: str, tmp_path: Path):
    code, output = program(page)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.stdout.replace(str(tmp_path), "..."), run.returncode) == (output, 0), run.stderr


def test_what_is_said_to_touch_a_connection_and_what_not_is_so():
    adjusted, calls = (
        set(re.findall(r"`(\w+)`", line.split("|")[1]))
        for line in FOLLOW.splitlines()
        if "hold at once" in line or "hold from" in line
    )
    (entry,) = (line for line in FOLLOW.splitlines() if "its entry" in line)
    changed = set(re.findall(r"`(\w+)`", entry.split("|")[1]))
    assert adjusted == _OF_LIVES
    assert calls == _OF_CALLS
    assert changed | adjusted | calls <= set(ServerPolicy.__struct_fields__)
    assert not changed & (_OF_LIVES | _OF_CALLS)


def test_the_times_and_factors_shown_are_those_in_force():
    assert (live_files.QUIET, live_files.LONGEST, live_files.PATIENCE) == (0.2, 2.0, 1.0)
    assert (bounds.INTERVAL, bounds.HEADROOM) == (0.25, 4)


def test_the_limits_shown_are_understood_and_complete():
    (toml,) = re.findall(r"```toml\n(.*?)```", LIMIT, re.DOTALL)
    examined = examine_policy(tomllib.loads(toml), source="x", text=toml)
    assert examined.mistakes == ()
    assert examined.policy.for_server("browser").process == ProcessLimits(memory=4 * 10**9, processes=60)
    assert examined.policy.for_server("sandbox.1").process.files == 256
    assert set(re.findall(r"^\| `(\w+)` \|", LIMIT, re.MULTILINE)) == set(ProcessLimits.__struct_fields__)

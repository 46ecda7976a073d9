"""Every client scenario of the official conformance suite, each run alone; its exit status and time count."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent
TABLE = tomllib.loads((HERE / "scenarios.toml").read_text())
ELSEWHERE = TABLE.pop("elsewhere")
RUNS = [
    (revision, scenario)
    for revision, kinds in TABLE.items()
    for scenarios in kinds.values()
    for scenario in scenarios
]
SECONDS = 20
"""What one client may take; the suite's own allowance is 30."""
LATE = "client-sse-retry-timing"
"""Warns of a client 0.2 s late, which a busy machine makes of a punctual one; too early is a failure."""


class Outcome(NamedTuple):
    """What the suite said of one run."""

    status: int
    checks: dict[str, set[str]]
    """Ids of the checks, by how they ended: SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""
    text: str


def play(command: tuple[str, ...], revision: str, scenario: str, results: Path, client: Path) -> Outcome:
    """Run one scenario of the suite against one client."""
    arguments = ["--scenario", scenario, "--spec-version", revision, "--timeout", str(SECONDS * 1000)]
    # The suite splits the command at blanks before a shell sees it: paths travel as variables.
    done = subprocess.run(
        [*command, "client", "--command", '"$PYTHON" "$CLIENT"', *arguments, "--output-dir", str(results)],
        env={**os.environ, "PYTHON": sys.executable, "CLIENT": str(client)},
        capture_output=True,
        text=True,
        timeout=SECONDS + 30,
    )
    (file,) = results.glob("**/checks.json")
    checks: dict[str, set[str]] = {}
    for check in json.loads(file.read_text()):
        checks.setdefault(check["status"], set()).add(check["id"])
    return Outcome(done.returncode, checks, done.stdout + done.stderr)


def passed(outcome: Outcome) -> bool:
    """Whether a run is a pass: the suite alone also passes one in which nothing was checked."""
    succeeded = bool(outcome.checks.get("SUCCESS"))
    return outcome.status == 0 and succeeded and not outcome.checks.keys() & {"FAILURE", "WARNING"}


def listed(command: tuple[str, ...], *options: str) -> str:
    """Give what the suite says it has."""
    done = subprocess.run(
        [*command, "list", "--client", *options], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def here(scenario: str) -> bool:
    """Whether a scenario belongs to this part of the client."""
    return not any(fnmatch.fnmatch(scenario, pattern) for pattern in ELSEWHERE)


@pytest.mark.timeout(150)
@pytest.mark.parametrize(("revision", "scenario"), RUNS)
def test_client_passes_the_official_scenario(
    peers: Any, tmp_path: Path, revision: str, scenario: str
) -> None:
    for attempt in range(3):
        outcome = play(peers.conformance, revision, scenario, tmp_path / str(attempt), HERE / "client.py")
        if outcome.checks.get("WARNING") != {LATE}:
            break
    assert passed(outcome), outcome.text


def test_client_that_does_nothing_or_fails_afterwards_passes_no_scenario(peers: Any, tmp_path: Path) -> None:
    idle, failing = tmp_path / "idle.py", tmp_path / "failing.py"
    idle.write_text("")
    text = (HERE / "client.py").read_text()
    failing.write_text(text + "\n    raise SystemExit('failed after it had done everything right')\n")
    for client in (idle, failing):
        outcome = play(peers.conformance, "2025-11-25", "initialize", tmp_path / f"of-{client.stem}", client)
        assert not passed(outcome), outcome.text
        assert bool(outcome.checks.get("SUCCESS")) == (client is failing), outcome.text


def test_what_we_run_is_every_scenario_the_suite_has_for_a_client(peers: Any) -> None:
    theirs = {
        (revision, scenario)
        for scenario, revisions in re.findall(r"^  - (\S+) \[(.+)\]$", listed(peers.conformance), re.M)
        for revision in revisions.split(",")
        if here(scenario)
    }
    assert theirs == set(RUNS)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_what_we_call_required_is_what_the_suite_froze_for_the_revision(peers: Any, revision: str) -> None:
    text = listed(peers.conformance, "--requirements", revision)
    frozen = text.partition("Client scenarios")[2].partition("Run and reported")[0]
    required = [name for name in re.findall(r"^  - (\S+)$", frozen, re.M) if here(name)]
    assert required
    assert sorted(TABLE[revision]["required"]) == sorted(required)

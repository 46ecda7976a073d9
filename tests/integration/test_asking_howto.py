"""The page about asking a running runtime: its program prints what it shows, and its figures are true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from trunkline.cli import reachable
from trunkline.runtime import control_inspection, control_link
from trunkline.telemetry import journal, server_logs

TEXT = (Path(__file__).parents[2] / "docs/how-to/ask-a-running-runtime.md").read_text("utf-8")


def test_the_program_prints_what_the_page_shows():
    ((program, output),) = re.findall(r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```", TEXT, re.DOTALL)
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        run = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": folder},
        )
    assert (run.stdout, run.returncode) == (output, 0), run.stderr


def test_the_figures_are_those_in_force():
    words = " ".join(TEXT.split())
    assert f"the last {journal.MOST_CALLS:,} that ended" in words
    assert f"at most {journal.MOST_BYTES // 2**20} MiB" in words
    assert f"the last {server_logs.MOST_LINES:,} lines" in words
    assert f"at most {server_logs.MOST_CHARACTERS // 1024} Ki characters" in words
    assert f"message of at most {journal._LONGEST_MESSAGE} characters" in words
    numbers = {2: "two", 5: "five"}
    greeting, answer = (numbers[int(one)] for one in (control_link._GREETING, control_inspection._ANSWER))
    assert f"after {greeting} seconds at the greeting and {answer} after a question" in words
    assert f"has run for {numbers[int(reachable._LONG)]} seconds" in words

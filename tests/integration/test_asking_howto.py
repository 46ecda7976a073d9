"""The page about asking a running runtime: its program prints what it shows, and its figures are true."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from trunkline.cli import reachable
from trunkline.core.timing import Timing
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


def test_the_timing_of_a_call_is_as_the_page_says():
    (block,) = (one for one in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "show_timing" in one)
    names: dict[str, Any] = {}
    exec(compile(block, "ask-a-running-runtime.md", "exec"), names)
    asyncio.run(names["show_timing"]())


def test_the_parts_of_a_way_are_called_what_they_are():
    timing = Timing(
        total=8.0, queue=1.0, connect=1.0, pauses=1.0, earlier=1.0, sent_after=5.0, exchange=2.0, server=1.0
    )
    for answered in (True, False):
        for hop in timing.to_hops(answered=answered):
            assert hop.name.partition(",")[0] in TEXT
    fields = re.findall(r"`(\w+)`", TEXT.partition("as `timing`:")[2].partition("in seconds")[0])
    assert set(fields) == {*Timing.__struct_fields__, "wire", "own"} - {"sent_after"}


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

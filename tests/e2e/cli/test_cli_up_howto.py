"""Every console block of the pages on warm servers and on asking them, run as it is printed there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import FakeServer

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/how-to/keep-servers-warm.md").read_text()
ASKING = (ROOT / "docs/how-to/ask-a-running-runtime.md").read_text()
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE + ASKING, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(1, len(BLOCKS) + 1))
def test_a_block_shows_what_happens(block: str, warm: Any) -> None:
    notes = FakeServer("notes")
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    notes.tool("add", schema=schema, reports="arguments")
    warm.entries.clear()
    warm.serve("notes", notes)
    warm.write()
    program = warm.folder / "bin/trunkline"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trunkline "$@"\n')
    program.chmod(0o755)
    warm.environ["PATH"] = f"{program.parent}:{warm.environ['PATH']}"
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=warm.folder,
            env=warm.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        pattern = ".*".join(re.escape(text) for text in expected.split("..."))
        assert re.fullmatch(pattern, done.stdout, re.DOTALL), f"$ {command}\n{done.stdout}"


def test_the_page_has_blocks_and_names_every_option() -> None:
    assert len(BLOCKS) >= 5
    for option in ("-f", "-n", "--grace", "--runtime", "--all", "--watch"):
        assert option in ASKING
    for option in ("--wait", "--idle", "--foreground", "--log", "--all", "--no-daemon"):
        assert option in PAGE

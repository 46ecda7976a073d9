"""A program may end while a module is being imported for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import asyncio
from trunkline.runtime.importing import import_off_loop

async def main():
    importing = asyncio.ensure_future(import_off_loop("slow_to_import"))
    await asyncio.sleep(0)
    importing.cancel()

asyncio.run(main())
print("ended", flush=True)
"""
MODULE = """
import sys, threading
assert threading.main_thread().join(10) is None
print("imported", flush=True)
"""


def test_an_import_that_has_begun_ends_before_the_interpreter_does(tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text(MODULE)
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "ended\nimported\n", "")

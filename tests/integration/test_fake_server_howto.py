"""The code of the how-to page runs, in order and in one namespace, and its table lists every fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing import Fault

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "test-with-fake-servers.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_every_block_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {}
    for block in blocks():
        exec(compile(block, str(PAGE), "exec"), namespace)
    out = capsys.readouterr().out
    assert "{'jsonrpc': '2.0', 'id': 1, 'result': {}}" in out
    assert "http://127.0.0.1:" in out
    assert "'mcpServers': {'child': {'command':" in out
    assert "ws://127.0.0.1:" in out
    assert "True 100 calls" in out
    assert len(blocks()) == 10


def test_the_table_lists_every_fault_and_no_other() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    public = {name for name in vars(Fault) if not name.startswith("_")}
    assert listed == public - {"after_commit", "early", "to_json", "from_json"}

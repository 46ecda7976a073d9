"""The code of the page on testing an application runs, and its table lists every fixture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from trunkline.testing import mock, pytest_plugin
from trunkline.testing.virtual_time import VirtualTimeLoop

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "test-your-application.md").read_text(
    encoding="utf-8"
)


def test_every_block_of_the_page_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "test-your-application.md", "exec"), namespace)
    assert len(blocks) == 5

    def run_in_virtual_time(main: Any) -> Any:
        loop = VirtualTimeLoop()
        try:
            return loop.run_until_complete(main)
        finally:
            loop.close()

    namespace["test_mine"](mock, run_in_virtual_time)


def test_the_table_lists_every_fixture_and_no_other() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert listed == {
        name for name, one in vars(pytest_plugin).items() if type(one).__name__ == "FixtureFunctionDefinition"
    }

"""The code of the page on calls that hold runs, its tables are accepted, and it names every point."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import Any

from trunkline.config.policy_file import examine_policy
from trunkline.pipeline.service import POINTS
from trunkline.testing import FakeServer, VirtualTimeLoop

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "make-calls-hold.md").read_text(encoding="utf-8")


def test_every_block_of_the_page_runs() -> None:
    namespace: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "make-calls-hold.md", "exec"), namespace)
    server = FakeServer()

    @server.tool()
    def find_user(arguments: dict[str, Any]) -> str:
        return f"{arguments['name']} of {arguments['tenant']}"

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(namespace["report"](server)) == ("ada of local", {"db.find_user": 1})


def test_every_table_of_the_page_is_accepted_and_means_what_it_says() -> None:
    tools, retries = (tomllib.loads(table) for table in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
    first, second = (examine_policy(one, source="make-calls-hold.md") for one in (tools, retries))
    assert (first.mistakes, second.mistakes) == ((), ())
    assert first.policy.for_server("docs.eu").trust
    assert first.policy.for_tool("db", "find_user").read_only
    assert first.policy.for_tool("db", "set_user").idempotent
    assert first.policy.for_tool("pay", "send").idempotency_key == "request_id"
    assert second.policy.for_tool("db", "find_user").retry.codes == ("server_error",)
    assert second.policy.for_tool("report", "build").retry.attempts == 1


def test_the_page_names_every_point_and_no_other() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == ["at", *POINTS]

"""The code of the page on breakers and limits runs, and its tables are accepted."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import trunkline
from trunkline.config.policy_file import examine_policy
from trunkline.testing import FakeServer, VirtualTimeLoop

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "protect-servers.md").read_text(encoding="utf-8")


def test_every_block_of_the_page_runs() -> None:
    namespace: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "protect-servers.md", "exec"), namespace)

    async def main() -> None:
        server = FakeServer()
        server.tool("find", returns="found")
        policy = tomllib.loads("\n".join(tables()[1:2]))
        async with trunkline.connect({"search": server}, policy=policy) as trunk:
            assert await namespace["leave_alone"](trunk) == "breaker_open: forced_open"
            assert await namespace["answer_first"](trunk) == "found"
        assert await namespace["price_of_all"](["ab"]) == {"ab": 2.0}
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await namespace["price"]("x")
        with pytest.raises(trunkline.RejectedError):
            await namespace["price_of_all"](["ab"])
        assert namespace["asked"] == ["x"] * 3

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def test_every_table_of_the_page_is_accepted() -> None:
    for table in tables():
        assert examine_policy(tomllib.loads(table), source="protect-servers.md").mistakes == ()


def tables() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

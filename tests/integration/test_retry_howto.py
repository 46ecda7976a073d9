"""The code of the page on retrying one's own code runs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from trunkline.testing import VirtualTimeLoop, mock

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "retry-your-own-code.md").read_text(encoding="utf-8")


def test_every_block_of_the_page_runs() -> None:
    namespace: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "retry-your-own-code.md", "exec"), namespace)

    async def main() -> None:
        assert await namespace["fetch"](7) == "page 7"
        assert namespace["asked"] == [7, 7, 7]
        namespace["asked"].clear()
        async with mock({"notes.save": lambda arguments: f"saved {arguments['text']}"}) as trunk:
            assert await namespace["report"](trunk) == "saved page 1"
        await namespace["save"]("x")
        assert await namespace["load"]() is None

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())

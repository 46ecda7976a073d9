"""What a command loads: nothing before it runs, and nothing it does not need."""

from __future__ import annotations

from typing import Any

import pytest

LOADED = """
import sys
from trunkline.cli.main import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("argv", "unwanted"),
    [
        (["--help"], {"trunkline.runtime", "asyncio", "msgspec", "logging", "pydantic", "rich"}),
        (["--version"], {"trunkline.runtime", "asyncio", "msgspec", "pydantic", "rich"}),
        (["call", "--help"], {"trunkline.runtime", "asyncio", "msgspec", "pydantic", "rich"}),
        (["call", "echo.echo", "text=x"], {"pydantic", "rich", "mcp", "aiohttp"}),
        (["list", "--timeout", "20"], {"pydantic", "rich", "mcp", "aiohttp"}),
    ],
)
def test_a_command_loads_only_what_it_needs(place: Any, argv: list[str], unwanted: set[str]) -> None:
    run = place.run(*argv, program=("-c", LOADED))
    assert run.code == 0
    assert unwanted & set(run.err.split()) == set()

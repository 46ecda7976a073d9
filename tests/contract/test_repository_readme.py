"""The README promises what the tests hold, names what exists, and keeps its program short."""

from __future__ import annotations

import re
from typing import Any

import pytest


@pytest.fixture(scope="module")
def readme(repository: Any) -> str:
    return str((repository.root / "README.md").read_text())


def test_every_promise_links_to_a_test_that_holds_it(repository: Any, readme: str) -> None:
    promises = rows(readme, "What holds today")
    assert len(promises) >= 5
    for promise, proof in promises:
        tests = re.findall(r"\((tests/[^)]+\.py)\)", proof)
        assert tests, promise
        for test in tests:
            assert "def test_" in (repository.root / test).read_text(), test


def test_the_program_has_less_than_ten_lines(readme: str) -> None:
    program = re.search(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert program is not None
    assert len([line for line in program[1].splitlines() if line.strip()]) < 10


def test_every_method_it_names_exists(readme: str) -> None:
    import trunkline

    named = names(dict(rows(readme, "What exists"))["`trunkline`"])
    assert "connect" in named
    missing = [name for name in named if not hasattr(trunkline.Trunk, name) and not hasattr(trunkline, name)]
    assert missing == []


def test_it_names_every_command_and_no_other(readme: str) -> None:
    from trunkline.cli.commands import COMMANDS

    assert names(dict(rows(readme, "What exists"))["command line"]) == list(COMMANDS)


@pytest.mark.anyio
async def test_it_names_every_layer_of_the_default_pipeline_in_order(readme: str) -> None:
    import trunkline
    from trunkline.testing import FakeServer

    server = FakeServer("shop")
    server.tool("buy", returns="bought")
    async with trunkline.connect({"shop": server}) as trunk:
        await trunk.ready()
        layers = [layer.name for layer in trunk.layers("shop", "buy")]
    assert names(dict(rows(readme, "What exists"))["pipeline"]) == layers


def rows(text: str, heading: str) -> list[tuple[str, str]]:
    """Give the rows of the table of two columns under a heading."""
    section = re.split(rf"^## {heading}\n", text, flags=re.MULTILINE)[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.+?) \| (.+) \|$", section, re.MULTILINE)
    return cells[1:]


def names(cell: str) -> list[str]:
    """Give what stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)

"""What an attached command costs, counted in modules, which no busy machine can falsify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BUDGETS = json.loads((Path(__file__).resolve().parents[2] / "budgets.json").read_text())
FRONT = """
import os, sys
before = set(sys.modules)
from trunkline.cli import front
code = front.hand_over(sys.argv[1:], os.environ)
print(*sorted(set(sys.modules) - before), file=sys.stderr)
sys.exit(99 if code is None else code)
"""
FORK = """
import sys
from trunkline.cli.warm.template import preload
preload()
before = set(sys.modules)
from trunkline.cli.main import main
code = main(sys.argv[1:])
print(*sorted(set(sys.modules) - before), file=sys.stderr)
sys.exit(code)
"""
COMMANDS = (
    ["call", "echo.echo", "text=x", "times=2"],
    ["call", "echo.draw", "{}", "--json"],
    ["list"],
    ["tools", "e*"],
    ["info", "echo.echo"],
    ["search", "text"],
    ["status", "--json"],
)


def test_the_front_loads_next_to_nothing(warm: Any) -> None:
    assert warm.run("up", "--wait").code == 0
    run = warm.run("call", "echo.echo", "text=x", program=("-c", FRONT))
    assert (run.code, run.out) == (0, '{"text": "x"}\n')
    loaded = run.err.split()
    assert not {"typing", "re", "enum", "json", "socket", "signal", "typer", "msgspec", "asyncio"} & {*loaded}
    budget = BUDGETS["trunkline call, attached"]["modules"]
    assert len(loaded) <= budget, f"{len(loaded)} modules, {budget} allowed: {' '.join(loaded)}"


def test_a_fork_finds_everything_loaded(warm: Any) -> None:
    assert warm.run("up", "--wait").code == 0
    for argv in COMMANDS:
        run = warm.run(*argv, program=("-c", FORK))
        assert (run.code, run.err.split()) == (0, []), argv
    assert len(warm.journal().pids) == 1

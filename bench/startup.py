"""Start-up: what `import trunkline` and `trunkline --help` add to a bare interpreter, and what they load."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.verdict import Verdict
from bench.worker import child_env, last_line

BANNED = ("mcp", "aiohttp", "pydantic", "numpy")
_PROBE = """
import json, runpy, sys
before = set(sys.modules)
sys.argv = ["trunkline", *sys.argv[1:]]
try:
    runpy.run_module("trunkline", run_name="__main__") if len(sys.argv) > 1 else __import__("trunkline")
except SystemExit as exit:
    assert not exit.code, exit.code
print("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""


BARE, IMPORT, HELP = "bare interpreter", "import trunkline", "trunkline --help"
_PROBED = {IMPORT: [], HELP: ["--help"]}
_BUDGETS = {IMPORT: (60.0, 40.0), HELP: (150.0, 100.0)}


@dataclass(frozen=True, kw_only=True)
class StartupResult:
    """Wall seconds of each command, one entry per round; the banned modules it loads; why it is invalid."""

    command: str
    """How `trunkline --help` was run."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    loaded: dict[str, list[str]] = field(default_factory=dict)
    invalid: dict[str, str] = field(default_factory=dict)

    def over_bare(self, name: str) -> tuple[float, float]:
        """Milliseconds over the bare interpreter: best against best, median against median."""
        mine, bare = self.seconds[name], self.seconds[BARE]
        return (min(mine) - min(bare)) * 1000, (median(mine) - median(bare)) * 1000

    def describe(self) -> str:
        """Give lines for people."""
        lines = [
            f"{name:<20} best {min(times) * 1000:.0f} ms, median {median(times) * 1000:.0f} ms"
            for name, times in self.seconds.items()
        ]
        return "\n".join(lines + [f"{name:<20} INVALID: {reason}" for name, reason in self.invalid.items()])


def measure(*, rounds: int) -> StartupResult:
    """Run the commands in turn, after one run of each that leaves its bytecode compiled."""
    script = Path(sys.executable).with_name("trunkline")
    installed = script.exists()
    run_help = [str(script), "--help"] if installed else [sys.executable, "-m", "trunkline", "--help"]
    result = StartupResult(
        command="the installed script" if installed else "python -m trunkline, not installed"
    )
    commands = {
        BARE: [sys.executable, "-c", "pass"],
        IMPORT: [sys.executable, "-c", "import trunkline"],
        HELP: run_help,
    }
    env = child_env()
    for name, command in commands.items():
        _prepare(name, command, env, result)
    for _ in range(rounds):
        for name in result.seconds:
            result.seconds[name].append(_time(commands[name], env))
    return result


def judge(result: StartupResult) -> list[Verdict]:
    """Hold the best times over the bare interpreter against their budgets."""
    verdicts = []
    for name, (must, aim) in _BUDGETS.items():
        reason = result.invalid.get(name, "")
        best, middle = (None, None) if reason else result.over_bare(name)
        note = reason or f"median {middle:.0f} ms"
        what = f"{name} over a bare interpreter, best"
        verdicts.append(Verdict(what=what, value=best, unit="ms", must=must, aim=aim, note=note))
        found = None if reason else float(len(result.loaded[name]))
        note = reason or ", ".join(result.loaded[name])
        what = f"{name}: how many of {', '.join(BANNED)} it loads"
        verdicts.append(Verdict(what=what, value=found, unit="", must=0, note=note))
    return verdicts


def _prepare(name: str, command: list[str], env: dict[str, str], result: StartupResult) -> None:
    """Compile the command's bytecode by running it, and look at what it loads."""
    try:
        _time(command, env)
        if name in _PROBED:
            result.loaded[name] = [module for module in _new_modules(_PROBED[name], env) if module in BANNED]
        result.seconds[name] = []
    except subprocess.CalledProcessError as error:
        result.invalid[name] = last_line(error.stderr.decode(errors="replace")) or str(error)


def _new_modules(arguments: list[str], env: dict[str, str]) -> list[str]:
    """Name the modules that `import trunkline`, or the command with these arguments, adds to an interpreter.

    Raises subprocess.CalledProcessError when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments],
        env=env,
        check=True,
        capture_output=True,
        timeout=60,
    )
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def _time(command: list[str], env: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - start

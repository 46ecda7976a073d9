"""Start-up: what `import trunkline` and `trunkline --help` add to a bare interpreter, and what they load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.verdict import Verdict
from bench.worker import child_env

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


@dataclass(frozen=True, kw_only=True)
class StartupResult:
    """Wall seconds of each command, one entry per round, and the banned modules each loads."""

    seconds: dict[str, list[float]]
    loaded: dict[str, list[str]]
    command: str
    """How `trunkline --help` was run."""
    invalid: str = ""

    def over_bare(self, name: str) -> tuple[float, float]:
        """Milliseconds over the bare interpreter: best against best, median against median."""
        mine, bare = self.seconds[name], self.seconds["bare interpreter"]
        return (min(mine) - min(bare)) * 1000, (median(mine) - median(bare)) * 1000

    def describe(self) -> str:
        """Give lines for people."""
        if self.invalid:
            return f"INVALID: {self.invalid}"
        return "\n".join(
            f"{name:<20} best {min(times) * 1000:.0f} ms, median {median(times) * 1000:.0f} ms"
            for name, times in self.seconds.items()
        )


def measure(*, rounds: int) -> StartupResult:
    """Run the commands in turn; bytecode is compiled beforehand, into a folder of its own."""
    script = Path(sys.executable).with_name("trunkline")
    run_help = [str(script), "--help"] if script.exists() else [sys.executable, "-m", "trunkline", "--help"]
    commands = {
        "bare interpreter": [sys.executable, "-c", "pass"],
        "import trunkline": [sys.executable, "-c", "import trunkline"],
        "trunkline --help": run_help,
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    shown = "the installed script" if script.exists() else "python -m trunkline (no installed script)"
    try:
        with tempfile.TemporaryDirectory() as cache:
            env = startup_env(cache)
            loaded = {
                "import trunkline": [name for name in new_modules([], env) if name in BANNED],
                "trunkline --help": [name for name in new_modules(["--help"], env) if name in BANNED],
            }
            for command in commands.values():
                _time(command, env)
            for _ in range(rounds):
                for name, command in commands.items():
                    seconds[name].append(_time(command, env))
    except subprocess.CalledProcessError as error:
        said = str(error.stderr or b"", errors="replace").strip().splitlines()
        return StartupResult(seconds={}, loaded={}, command=shown, invalid=said[-1] if said else str(error))
    return StartupResult(seconds=seconds, loaded=loaded, command=shown)


def judge(result: StartupResult) -> list[Verdict]:
    """Hold the best times over the bare interpreter against their budgets."""
    verdicts = []
    for name, must, aim in (("import trunkline", 60.0, 40.0), ("trunkline --help", 150.0, 100.0)):
        best = None if result.invalid else result.over_bare(name)[0]
        note = result.invalid or f"median {result.over_bare(name)[1]:.0f} ms"
        what = f"{name} over a bare interpreter, best"
        verdicts.append(Verdict(what=what, value=best, unit="ms", must=must, aim=aim, note=note))
        found = None if result.invalid else float(len(result.loaded[name]))
        note = result.invalid or ", ".join(result.loaded[name])
        what = f"{name}: how many of {', '.join(BANNED)} it loads"
        verdicts.append(Verdict(what=what, value=found, unit="", must=0, note=note))
    return verdicts


def startup_env(cache: str) -> dict[str, str]:
    """Give an environment in which bytecode is cached, whatever the caller's environment says."""
    env = {name: value for name, value in child_env().items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**env, "PYTHONPYCACHEPREFIX": cache}


def new_modules(arguments: list[str], env: dict[str, str] | None = None) -> list[str]:
    """Name the modules that `import trunkline`, or the command with these arguments, adds to an interpreter.

    Raises subprocess.CalledProcessError when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments],
        env=env or dict(os.environ),
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

"""An attached call: `trunkline call` while `trunkline up` runs, in multiples of a bare interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.tally import Tally
from bench.target import stdio_target
from bench.verdict import Verdict
from bench.worker import child_env, last_line

BARE, SCRIPT, MODULE = "bare interpreter", "trunkline call", "python -m trunkline call"
MUST = 3.0
_WHAT = "`trunkline call` with `up` running, over a bare interpreter, median"


@dataclass(kw_only=True)
class AttachedResult:
    """Wall seconds of each command, one entry per round; why they mean nothing, or "" where they do."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    invalid: str = ""

    def ratio(self, name: str) -> float | None:
        """Median over the rounds of a command's time divided by that of the bare interpreter beside it."""
        if self.invalid or name not in self.seconds:
            return None
        return median(mine / bare for mine, bare in zip(self.seconds[name], self.seconds[BARE], strict=True))

    def describe(self) -> str:
        """Give lines for people."""
        lines = [
            f"{name:<25} best {min(times) * 1000:.0f} ms, median {median(times) * 1000:.0f} ms"
            for name, times in self.seconds.items()
        ]
        return "\n".join([*lines, *([f"INVALID: {self.invalid}"] if self.invalid else [])])


def measure(*, rounds: int = 9) -> AttachedResult:
    """Run the commands in turn, after one run of each that leaves its bytecode compiled."""
    result = AttachedResult()
    script = Path(sys.executable).with_name("trunkline")
    prefixes = {BARE: [sys.executable, "-c", "pass"], MODULE: [sys.executable, "-m", "trunkline"]}
    if script.exists():
        prefixes[SCRIPT] = [str(script)]
    try:
        with _running() as (env, place, tally):
            for number in range(rounds + 1):
                for position, (name, prefix) in enumerate(prefixes.items()):
                    argv = [] if name == BARE else _call(number * 10 + position)
                    spent = _time([*prefix, *argv], env, place)
                    result.seconds.setdefault(name, []).extend([spent] if number else [])
            expected = (rounds + 1) * (len(prefixes) - 1)
            if tally.calls != expected:
                result.invalid = f"the server answered {tally.calls} calls of {expected}"
    except subprocess.CalledProcessError as error:
        result.invalid = last_line(error.stderr.decode(errors="replace")) or str(error)
    return result


def judge(result: AttachedResult) -> list[Verdict]:
    """Hold the console script, or where it is not installed the module, against the budget."""
    name = SCRIPT if SCRIPT in result.seconds or result.invalid else MODULE
    note = result.invalid or f"as `{name}`"
    return [Verdict(what=_WHAT, value=result.ratio(name), unit="x", must=MUST, note=note)]


@contextmanager
def _running() -> Iterator[tuple[dict[str, str], Path, Tally]]:
    """Keep a neutral server warm in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tl-") as name:
        place = Path(name)
        tally = Tally.create(place / "tally")
        target = stdio_target("modern", tally=place / "tally")
        command, *args = target.command
        entry = {"command": command, "args": args, "env": dict(target.env)}
        (place / "mcp.json").write_text(json.dumps({"mcpServers": {"neutral": entry}}))
        env = child_env() | {"XDG_RUNTIME_DIR": name, "XDG_STATE_HOME": name}
        env.pop("TRUNKLINE_NO_DAEMON", None)
        program = [sys.executable, "-m", "trunkline"]
        try:
            _time([*program, "up", "--wait"], env, place)
            yield env, place, tally
        finally:
            _time([*program, "down"], env, place)
            tally.close()


def _call(number: int) -> list[str]:
    return ["call", "neutral.echo", f"n={number}", "text=x"]


def _time(command: list[str], env: dict[str, str], place: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=env, cwd=place, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - start

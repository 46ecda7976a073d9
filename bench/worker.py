"""The bench's handle on one contender's process (`bench.child`)."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.target import ROOT

_PATIENCE = 300.0


class WorkerError(RuntimeError):
    """A contender's process failed: the row it belongs to is invalid."""


class Worker:
    """One running child. Use it as a context manager; `start` returns when its contender is connected.

    Args:
        job: `calls`, `large`, or `module:function`.
        spec: what the job needs, as JSON values or dataclasses.
    """

    def __init__(self, job: str, **spec: Any) -> None:
        self._spec = json.dumps({"job": job, **spec}, default=dataclasses.asdict)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__
        self._place = tempfile.TemporaryDirectory()
        self.loop = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.child", self._spec],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._place.name,
            env=child_env(),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self._errors.close()
        self._place.cleanup()

    def wait_ready(self) -> None:
        """Wait until the contender is connected."""
        self.loop = self._read()["loop"]

    def ask(self, **command: Any) -> dict[str, Any]:
        """Run one command and give its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        waiting = not select.select([self._process.stdout], [], [], _PATIENCE)[0]
        line = b"" if waiting else self._process.stdout.readline()
        if not line:
            self._process.kill()
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace")[-4000:]
            fate = f"gave no answer in {_PATIENCE:.0f} s" if waiting else "ended"
            raise WorkerError(f"the contender's process {fate}; its standard error:\n{said}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def last_line(error: str) -> str:
    """Give the line of a traceback, or of a group of them, that says what happened; "" for none."""
    lines = (line.strip("+-| ") for line in reversed(error.splitlines()))
    return next((line for line in lines if line), "")


def child_env() -> dict[str, str]:
    """Give the environment of a process that runs code of the bench from any working directory.

    Compiled bytecode is kept, in a folder that lasts as long as this run where the caller's environment
    forbids to write it beside the source.
    """
    places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    inherited = [str(Path(place).resolve()) for place in places if place]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *inherited])}
    if env.pop("PYTHONDONTWRITEBYTECODE", ""):
        env["PYTHONPYCACHEPREFIX"] = _bytecode().name
    return env


@functools.cache
def _bytecode() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()

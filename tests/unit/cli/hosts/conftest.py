"""A home of its own, and the program run in it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.cli.main import main


class Run(msgspec.Struct, frozen=True, kw_only=True):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    def undo(self) -> None:
        """Run the one undo line that was printed."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("undo: ")]
        subprocess.run(["/bin/sh", "-c", line.removeprefix("undo: ")], check=True, timeout=20)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    (home / "app/.git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in (
        "XDG_CONFIG_HOME",
        "CODEX_HOME",
        "CLAUDE_CONFIG_DIR",
        "GOOSE_PATH_ROOT",
        "TRUNKLINE_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home / "app")
    return home


@pytest.fixture
def trunkline(home: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    assert home.is_dir()

    def run(*argv: str) -> Run:
        code = main(argv)
        captured = capfd.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Run(code=code, out=captured.out, err=captured.err)

    return run

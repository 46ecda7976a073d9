"""The page about what is remembered: program and console print what it shows, and its figures are true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.cli.main import main
from trunkline.runtime import remembering
from trunkline.store.files import Bounds
from trunkline.testing import FakeServer

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/how-to/start-with-what-is-known.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_program_prints_what_the_page_shows():
    (program,), (output,) = blocks("python"), blocks("text")
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.stdout, run.returncode) == (output, 0), run.stderr


def test_the_console_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    server = FakeServer("notes")
    text = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    server.tool("add", schema=text)
    server.tool("find")
    (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"notes": server.to_stdio_entry(tmp_path)}}))
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("TRUNKLINE_NO_DAEMON", "1")
    monkeypatch.setattr("trunkline.cli.loop.loop_factory", lambda: None)
    (console,) = blocks("console")
    parts = re.split(r"^\$ trunkline (.*)\n", console, flags=re.MULTILINE)[1:]
    assert len(parts) == 10
    for words, shown in zip(parts[::2], parts[1::2], strict=True):
        assert main(words.split()) == 0
        captured = capfd.readouterr()
        assert re.fullmatch(pattern(shown), pattern_text(captured.out + captured.err)), (words, captured)


def pattern(shown: str) -> str:
    """Give the pattern of an output in which `...` stands for anything, and spaces for any number of them."""
    anything = re.escape(pattern_text(shown)).replace(re.escape("..."), ".*?")
    return re.sub(r"\d+\\ s\\ ago", r"\\d+ s ago", anything)


def pattern_text(text: str) -> str:
    return re.sub(r"[^\S\n]+", " ", text)


def test_the_figures_are_those_in_force():
    bounds = Bounds()
    assert f"at most {bounds.entries:,},\n" in TEXT
    assert f"{bounds.total_bytes >> 20} MiB together, {bounds.record_bytes >> 20} MiB each" in TEXT
    assert f"{bounds.age / 86400:.0f} days after" in TEXT
    assert remembering._MOST_BELIEVED == 20
    assert "every twentieth start" in TEXT

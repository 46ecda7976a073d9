"""What `trunkline config` writes for a person: color where wanted, nothing that acts on a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.cli.configuring_view import (
    render_report,
    render_servers,
    render_sources,
    servers_view,
    sources_view,
)
from trunkline.cli.style import colored, plain
from trunkline.config.checking import Problem, Report, check
from trunkline.config.loading import load
from trunkline.config.lookup import look_up

HOSTILE = "x\\u001b[31m\\u202e\\u0085"


@pytest.fixture
def texts(tmp_path: Path) -> list[str]:
    """Every text about a file in which everything tries to act on the terminal."""
    entry = f'{{"command": "{HOSTILE}", "args": ["{HOSTILE}", "${{{HOSTILE}}}"]}}'
    (tmp_path / "mcp.json").write_text(f'{{"{HOSTILE}": {entry}, "y": {{"command": "{HOSTILE}"}}}}')
    (tmp_path / "trunkline.toml").write_text(f'[profiles."{HOSTILE}".servers."{HOSTILE}"]\nidle = 1\n')
    config, found = load(cwd=tmp_path, environ={}), look_up(None, cwd=tmp_path, environ={})
    report = check(cwd=tmp_path, environ={})
    assert report.errors == 3
    return [
        render_servers(servers_view(config, found), plain),
        render_sources(sources_view(found), plain),
        render_report(report, plain),
    ]


def test_nothing_of_a_file_acts_on_the_terminal(texts: list[str]) -> None:
    for text in texts:
        assert "x" in text
        assert not set(text) & {"\x1b", "\u202e", "\x85"}


def test_a_terminal_shows_severity_and_state_in_color(tmp_path: Path) -> None:
    report = Report(problems=(Problem(severity="error", message="no", hint="yes", source="/a", line=3),))
    assert render_report(report, colored).startswith("/a:3: \x1b[31merror\x1b[0m: no\n    fix: yes\n")
    (tmp_path / "mcp.json").write_text('{"a": {"command": "sh"}, "b": {"command": "sh", "disabled": true}}')
    config, found = load(cwd=tmp_path, environ={}), look_up(None, cwd=tmp_path, environ={})
    assert "project  \x1b[32mused\x1b[0m" in render_sources(sources_view(found), colored)
    shown = render_servers(servers_view(config, found), colored)
    assert "b  \x1b[2mdisabled\x1b[0m" in shown
    assert shown.endswith("policy: no trunkline.toml, all defaults")


def test_an_empty_file_shows_the_policy_only(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text("{}")
    config, found = load(cwd=tmp_path, environ={}), look_up(None, cwd=tmp_path, environ={})
    assert render_servers(servers_view(config, found), plain) == "policy: no trunkline.toml, all defaults"

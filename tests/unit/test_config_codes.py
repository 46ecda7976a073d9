"""Codes of errors in a policy: one that no error has says nothing, and is told."""

from __future__ import annotations

from pathlib import Path

from trunkline.config.checking import check
from trunkline.runtime.diagnostics import DIAGNOSTICS


def test_a_code_that_no_error_has_is_a_warning_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"db": {"command": "sh"}}}')
    (tmp_path / "trunkline.toml").write_text(
        '[defaults.retry]\ncodes = ["server_error", "sever_error"]\n'
        '[profiles.p.tools."db.x"]\nbreaker = { codes = ["mine"] }\n'
    )
    report = check(cwd=tmp_path, environ={}, codes=DIAGNOSTICS)
    first, second = report.problems
    assert report.errors == 0
    assert (first.key, first.line) == ("defaults.retry.codes", 2)
    assert "'sever_error'" in first.message
    assert "Did you mean 'server_error'?" in first.hint
    assert (second.key, second.line) == ('profiles.p.tools."db.x".breaker.codes', 4)
    assert check(cwd=tmp_path, environ={}).problems == ()

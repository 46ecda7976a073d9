"""Whether a command attaches, and what it does when it does not."""

from __future__ import annotations

import contextvars
import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli.options import Settings
from trunkline.cli.terminal import Terminal
from trunkline.cli.warm import attachment
from trunkline.config.loading import Config, load

URL = "http://127.0.0.1:9/mcp"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("TRUNKLINE_NO_DAEMON", raising=False)
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"a": {"url": URL}, "b": {"url": "${input:where}"}, "inputs": []}))
    return load(str(path))


def attach(config: Config, *, declining: bool = False, **settings: Any) -> None:
    def work() -> None:
        if declining:
            attachment.attach_or_decline()
        asked = Settings(**({"command": "call"} | settings))
        attachment.attach(config, asked, Terminal(asked))

    contextvars.copy_context().run(work)


def test_a_fork_that_finds_no_background_process_declines_in_silence(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    attach(config, verbose=1)
    for settings in ({}, {"verbose": 1}, {"no_daemon": True}, {"command": "export"}, {"wire": "-"}):
        with pytest.raises(attachment.DeclinedError):
            attach(config, declining=True, **settings)
    assert capsys.readouterr() == ("", "")


def test_a_server_that_asks_is_not_taken_from_the_background_process(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    link: Any = object()
    asking = [entry for entry in config.entries if entry.name == "b"]
    assert getattr(asking[0], "retry", None) is not None

    def work(*, is_terminal: bool) -> tuple[Any, Any]:
        attachment.use(link)
        for stream in ("stdin", "stderr"):
            monkeypatch.setattr(f"sys.{stream}.isatty", lambda: is_terminal, raising=False)
        plain = Config(entries=config.entries[:1], policy=config.policy)
        return attachment.attached(config), attachment.attached(plain)

    assert contextvars.copy_context().run(lambda: work(is_terminal=False)) == (link, link)
    assert contextvars.copy_context().run(lambda: work(is_terminal=True)) == (None, link)

"""Whether a command attaches, and what it does when it does not."""

from __future__ import annotations

import contextvars
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from trunkline.cli.options import Settings
from trunkline.cli.terminal import Terminal
from trunkline.cli.warm import attachment, launch
from trunkline.cli.warm.identity import identify
from trunkline.config.loading import Config, load
from trunkline.runtime.control_record import Record, claimed, write_record

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


def test_a_background_process_that_does_not_answer_is_told_of_and_never_said_not_to_run(
    config: Config, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.runtime.control_link._GREETING", 0.05)
    identity = identify(config)
    folder = Path(".")
    monkeypatch.chdir(tempfile.mkdtemp(dir=os.environ["XDG_RUNTIME_DIR"]))
    monkeypatch.setattr(
        "trunkline.runtime.control_place.folder_of", lambda _: "."
    )  # short enough for a socket
    monkeypatch.setattr("trunkline.runtime.control_place.sockets", lambda *_: ["some"])
    record = Record(
        name=identity.name,
        digest=identity.digest,
        pid=7,
        sources=identity.sources,
        files=identity.files,
        folder=identity.folder,
    )
    with socket.socket(socket.AF_UNIX) as listener, claimed(folder, identity.name):
        write_record(folder, record)
        listener.bind(f"{identity.name}.sock")
        listener.listen()
        attach(config)
        warning = capsys.readouterr().err
        error = launch.not_found(folder, identity.name)
    assert warning.startswith("trunkline: warning: process 7 of `trunkline up` does not answer")
    assert "`kill -CONT 7`" in warning
    assert (str(error), "`kill -CONT 7`" in str(error.hint)) == (
        "the background process 7 does not answer",
        True,
    )
    assert "ended again" in str(launch.not_found(folder, identity.name))


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

"""The log of a background process."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from trunkline.cli.warm import logfile

SOURCES = ("/a/mcp.json",)


def test_a_log_holds_no_secret_and_nothing_that_acts_on_a_terminal(tmp_path: Path) -> None:
    path = logfile.log_path(tmp_path / "state", SOURCES, "name1234")
    with logfile.logging_to(path, SOURCES, ["top-secret"], also_stderr=False):
        logging.getLogger("trunkline.x").info("a %s b \x1b[31m red", "top-secret")
        logging.getLogger("other").warning("foreign")
        logging.getLogger("trunkline.x").debug("detail")
    logging.getLogger("trunkline.x").warning("afterwards")
    text = logfile.read_log(path)
    assert "a [redacted] b" in text
    assert "foreign" in text
    assert "detail" not in text
    assert "afterwards" not in text
    assert "top-secret" not in text
    assert "\x1b" not in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "MAX_BYTES", 2000)
    path = logfile.log_path(tmp_path, SOURCES, "n")
    with logfile.logging_to(path, SOURCES, [], also_stderr=False):
        for number in range(1000):
            logging.getLogger("trunkline").info("line %d", number)
    text = logfile.read_log(path)
    assert text.endswith("line 999\n")
    assert len(text) < 5000
    assert len(list(tmp_path.iterdir())) == 2


def test_only_the_newest_logs_are_kept(tmp_path: Path) -> None:
    for number in range(12):
        path = logfile.log_path(tmp_path, SOURCES, f"{number:08}")
        with logfile.logging_to(path, SOURCES, [], also_stderr=False):
            logging.getLogger("trunkline").info("run %d", number)
    other = logfile.log_path(tmp_path, ("/b",), "n")
    with logfile.logging_to(other, ("/b",), [], also_stderr=False):
        pass
    kept = list(tmp_path.glob("*.log"))
    assert len(kept) <= 6
    assert logfile.newest_log(tmp_path, ("/b",)) == other
    assert logfile.newest_log(tmp_path, ("/c",)) is None
    newest = logfile.newest_log(tmp_path, SOURCES)
    assert newest is not None
    assert "run 11" in newest.read_text()


def test_the_state_folder_follows_the_environment() -> None:
    assert logfile.state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/trunkline")
    assert logfile.state_folder({"XDG_STATE_HOME": "s", "HOME": "/h"}) == Path("/h/.local/state/trunkline")

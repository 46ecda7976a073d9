"""Whether there is a person to ask: streams may be no terminal, missing, or closed."""

from __future__ import annotations

import io
from typing import Any

import pytest

from trunkline.cli.hosting_asking import is_person_there


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stdin", "stderr", "there"),
    [
        (Terminal(), Terminal(), True),
        (io.StringIO(), Terminal(), False),
        (Terminal(), io.StringIO(), False),
        (None, Terminal(), False),
        (Terminal(), None, False),
    ],
)
def test_a_person_is_there_where_both_streams_are_terminals(
    stdin: Any, stderr: Any, there: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.stdin", stdin)
    monkeypatch.setattr("sys.stderr", stderr)
    assert is_person_there() is there


def test_nobody_is_asked_over_a_stream_that_was_closed(monkeypatch: pytest.MonkeyPatch):
    closing = io.TextIOWrapper(io.BytesIO())
    closing.close()
    monkeypatch.setattr("sys.stdin", closing)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert is_person_there() is False

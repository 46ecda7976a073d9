"""The text of the wire's log: what it shows, what it leaves out, and what it never shows."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from trunkline.errors import ConfigError
from trunkline.security.scrub import Scrubber
from trunkline.telemetry.wire import (
    Exchange,
    WireRecord,
    render_record,
    show_body,
    show_headers,
    summarize,
)
from trunkline.telemetry.wire_log import WireLog

SECRET = 'pa"ss/wörd-9'


def make_log(target: Any, **options: Any) -> WireLog:
    return WireLog(target, Scrubber([SECRET]), lambda: 0.0, **options)


@pytest.mark.parametrize(
    ("message", "summary"),
    [
        ({"id": 3, "method": "tools/call"}, "tools/call #3"),
        ({"method": "notifications/progress"}, "notifications/progress"),
        ({"id": "a", "result": {}}, "result #a"),
        ({"id": 4, "error": {}}, "error #4"),
        ([{}, {}], "batch of 2"),
        ({}, "not JSON-RPC"),
        (1, "not JSON-RPC"),
    ],
)
def test_a_message_is_named_in_a_word_or_two(message: Any, summary: str) -> None:
    assert summarize(message) == summary


def test_a_record_is_a_heading_headers_an_indented_body_and_an_empty_line() -> None:
    record = WireRecord(
        offset=0.5,
        server="web",
        transport="http",
        direction="sent",
        summary="tools/call #3",
        body='{\n  "id": 3\n}',
        size=8,
        http=Exchange(number=2, method="POST", url="http://h/mcp", headers=(("Accept", "text/plain"),)),
    )
    assert render_record(record) == (
        "--> 0.5000 s  web (http)  POST http://h/mcp [2]  tools/call #3\n"
        "    Accept: text/plain\n"
        "    {\n"
        '      "id": 3\n'
        "    }\n\n"
    )


@pytest.mark.parametrize(
    ("direction", "arrow"), [("sent", "-->"), ("received", "<--"), ("stderr", "err"), ("note", "---")]
)
def test_the_direction_begins_the_heading(direction: Any, arrow: str) -> None:
    record = WireRecord(offset=0, server="s", transport="stdio", direction=direction)
    assert render_record(record).startswith(f"{arrow} 0.0000 s  s (stdio)")


def test_a_response_shows_its_status() -> None:
    http = Exchange(number=2, method="POST", url="http://h", status=503, reason="Service Unavailable")
    record = WireRecord(offset=0, server="s", transport="http", direction="received", http=http)
    assert render_record(record) == "<-- 0.0000 s  s (http)  503 Service Unavailable [2]\n\n"


def test_nothing_a_server_says_forges_a_heading_or_acts_on_a_terminal() -> None:
    record = WireRecord(
        offset=0,
        server="s\n--> 9 s  forged",
        transport="stdio",
        direction="stderr",
        summary="x\r\n--> 9 s  forged\x1b[2J",
        body="y\x1b[2J\u202e\n--> 9 s  forged",
        http=Exchange(number=1, method="POST", url="u", headers=(("A", "b\n--> 9 s  forged"),)),
    )
    text = render_record(record)
    assert [line for line in text.splitlines() if line.startswith("-->")] == []
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_secret_is_removed_in_every_form_json_has_for_it(ascii_only: bool) -> None:
    inner = json.dumps({"key": SECRET}, ensure_ascii=ascii_only)
    data = json.dumps({"plain": SECRET, "nested": inner, SECRET: 1}, ensure_ascii=ascii_only).encode()
    _, body, _ = show_body(data, Scrubber([SECRET]).clean, 50, 10_000)
    assert "wörd" not in body
    assert "u00f6rd" not in body
    assert body.count("[redacted]") == 3


def test_a_secret_in_a_url_is_removed() -> None:
    assert Scrubber([SECRET]).clean("http://h/?k=pa%22ss%2Fw%C3%B6rd-9") == "http://h/?k=[redacted]"


@pytest.mark.parametrize(
    "name", ["Authorization", "cookie", "X-API-Key", "Mcp-Session-Id", "X-Amz-Security-Token", "Set-Cookie"]
)
def test_a_header_that_names_a_credential_is_redacted_whatever_it_holds(name: str) -> None:
    assert show_headers({name: "abc"}, str) == ((name, "[redacted]"),)


def test_other_headers_are_shown_without_known_secrets() -> None:
    shown = show_headers({"Content-Type": "text/plain", "X-Region": SECRET}, Scrubber([SECRET]).clean)
    assert shown == (("Content-Type", "text/plain"), ("X-Region", "[redacted]"))


def test_a_large_body_is_cut_and_says_by_how_much() -> None:
    records: list[WireRecord] = []
    make_log(records.append, most_bytes=1000).message("s", "stdio", "received", b"x" * 1500)
    (record,) = records
    assert (len(record.body), record.size, record.cut) == (1000, 1500, 500)
    assert "... 500 of 1,500 bytes are left out" in render_record(record)


@pytest.mark.parametrize("before", range(980, 1001))
def test_a_secret_across_the_cut_does_not_leave_its_beginning(before: int) -> None:
    data = b"x" * before + SECRET.encode() + b"y" * 500
    secrets = Scrubber([SECRET])
    _, body, cut = show_body(data, secrets.clean, secrets.longest, 1000)
    assert "pa" not in body
    assert cut == len(data) - 1000


def test_deep_nesting_does_not_grow_in_the_log() -> None:
    data = b"[" * 900 + b"]" * 900
    _, body, _ = show_body(data, str, 0, 10_000)
    assert len(body) == len(data)


def test_what_is_not_json_is_shown_as_text_on_one_line() -> None:
    summary, body, _ = show_body(b"Listening on\r\n 80\x1b[2J \xff", str, 0, 1000)
    assert summary == "not JSON"
    assert body == "Listening on\\r\\n 80\\u001b[2J \ufffd"


def test_the_file_is_the_users_own_and_new_each_time(tmp_path: Path) -> None:
    path = tmp_path / "wire.log"
    path.write_text("old")
    path.chmod(0o644)
    log = make_log(path)
    log.note("s", "stdio", "note", "started")
    assert "started" in path.read_text()
    log.close()
    assert "old" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written to .*: No such file or directory") as caught:
        make_log(tmp_path / "missing" / "wire.log")
    assert caught.value.field == "wire"


def test_a_target_that_fails_is_given_up_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[WireRecord] = []

    def fail(record: WireRecord) -> None:
        taken.append(record)
        raise OSError("disk full")

    log = make_log(fail)
    for _ in range(3):
        log.note("s", "stdio", "note", "x")
    assert len(taken) == 1
    assert [record.message for record in caplog.records] == ["the log of the wire ends here"]


def test_nothing_is_taken_after_the_end() -> None:
    taken: list[WireRecord] = []
    log = make_log(taken.append)
    log.close()
    log.note("s", "stdio", "note", "x")
    assert taken == []


def test_neither_log_nor_scrubber_shows_a_secret() -> None:
    assert SECRET not in repr(Scrubber([SECRET])) + repr(make_log(print))

"""Log records as lines: one line each, whatever was logged, and everything that is known in its place."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.telemetry import JsonFormatter, LineFormatter
from trunkline.telemetry.escape import escape_text

HOSTILE = "ok\r\nCRITICAL: forged\x1b[2J\x9b1m\u2028\u2029\u202e\x00\ud800"
ACTING = [chr(code) for code in (*range(0x20), 0x7F, 0x85, 0x9B, 0x2028, 0x2029, 0x202E, 0x2066)]


def make_record(message: str, *args: Any, **extra: Any) -> logging.LogRecord:
    record = logging.makeLogRecord(
        {"name": "trunkline.call", "levelno": 20, "levelname": "INFO", "msg": message, "args": args}
    )
    record.created = 1_700_000_000.25
    record.__dict__.update(extra)
    return record


def failed() -> Any:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        return sys.exc_info()


def test_a_json_line_has_time_level_logger_message_and_the_facts_of_the_call() -> None:
    facts = {"call_id": "c1", "server": "git", "tool": "git.log", "trace_id": "ab", "span_id": "cd"}
    line = JsonFormatter().format(make_record("%s done", "git.log", **facts))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "INFO",
        "logger": "trunkline.call",
        "message": "git.log done",
        **facts,
    }


def test_other_extras_of_the_application_are_kept() -> None:
    document = json.loads(JsonFormatter().format(make_record("x", tenant="blue", tries=3, peer=object)))
    assert document["tenant"] == "blue"
    assert document["tries"] == 3
    assert "object" in document["peer"]


@pytest.mark.parametrize("formatter", [JsonFormatter(), LineFormatter()], ids=["json", "text"])
@given(text=st.text(st.sampled_from([*ACTING, "a", "\ud800", "\\", '"', "é"]), max_size=20))
def test_one_record_is_one_line_of_harmless_text_whatever_it_holds(
    formatter: logging.Formatter, text: str
) -> None:
    record = make_record("%s", text, server=text, tool=text, note=text)
    record.stack_info = text
    line = formatter.format(record)
    assert not set(line) & set(ACTING)
    line.encode()


@pytest.mark.parametrize("formatter", [JsonFormatter(), LineFormatter()], ids=["json", "text"])
def test_a_traceback_with_a_servers_words_is_on_the_line_of_its_record(formatter: logging.Formatter) -> None:
    record = make_record("failed")
    record.exc_info = failed()
    line = formatter.format(record)
    assert not set(line) & set(ACTING)
    assert "ValueError" in line
    assert "forged" in line


def test_a_json_line_says_the_hostile_text_to_the_letter() -> None:
    assert json.loads(JsonFormatter().format(make_record("%s", HOSTILE)))["message"] == HOSTILE


def test_a_line_of_text_adds_what_its_message_does_not_say() -> None:
    record = make_record("git.log answered", call_id="c1", server="git", tool="git.log")
    assert LineFormatter(prefix="app: ").format(record) == (
        "app: INFO: trunkline.call: git.log answered [call_id=c1]"
    )


def test_a_field_is_cut_and_says_how_much_is_missing() -> None:
    message = json.loads(JsonFormatter().format(make_record("x" * 10_000)))["message"]
    assert message == "x" * 8192 + "… (1,808 more characters)"


@pytest.mark.parametrize(
    "formatter",
    [
        JsonFormatter(clean=lambda text: text.replace("hunter2", "***")),
        LineFormatter(clean=lambda text: text.replace("hunter2", "***")),
    ],
    ids=["json", "text"],
)
def test_every_text_of_a_record_is_cleaned(formatter: logging.Formatter) -> None:
    record = make_record("a %s", "hunter2", server="hunter2", note="hunter2")
    record.exc_info = (ValueError, ValueError("hunter2"), None)
    assert "hunter2" not in formatter.format(record)


def test_the_trace_id_of_the_current_span_is_taken_where_the_record_has_none() -> None:
    from opentelemetry import trace

    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False)
    with trace.use_span(trace.NonRecordingSpan(context)):
        document = json.loads(JsonFormatter().format(make_record("x")))
    assert document["trace_id"] == f"{0xABC:032x}"
    assert document["span_id"] == f"{0xDEF:016x}"
    assert "trace_id" not in json.loads(JsonFormatter().format(make_record("x")))


def test_escaping_keeps_printable_text_of_any_language() -> None:
    assert escape_text("naïve 日本語 ✓ 👍🏽") == "naïve 日本語 ✓ 👍🏽"


def test_escaping_can_keep_line_feeds() -> None:
    assert escape_text("a\nb\r\x1b", keep_lines=True) == "a\nb\\r\\u001b"

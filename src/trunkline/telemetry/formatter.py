"""Formatters for `logging`: one record is one line, whatever a server has put into it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from trunkline.telemetry.escape import escape_text
from trunkline.telemetry.record import FIELDS, current_ids

_LONGEST = 8_192
"""Characters of one field; a server decides how long its texts are."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object on one line.

    `time` (ISO 8601, UTC), `level`, `logger` and `message` always; `call_id`, `server`, `tool`, `trace_id`
    and `span_id` where they are known; `exception` and `stack` where there is one; and whatever else the
    record was given as `extra`. A field longer than 8,192 characters is cut.

    Args:
        clean: applied to every text, to remove secrets that the application knows of.
    """

    def __init__(self, *, clean: Callable[[str], str] = str) -> None:
        super().__init__()
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        """Give the record's line, without a line end."""
        document: dict[str, Any] = {
            "time": _moment(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": self._text(record.getMessage()),
        }
        document |= {key: self._text(str(value)) for key, value in _facts(record).items()}
        if record.exc_info:
            document["exception"] = self._text(self.formatException(record.exc_info))
        if record.stack_info:
            document["stack"] = self._text(self.formatStack(record.stack_info))
        for key, value in vars(record).items():
            if key not in _STANDARD and key not in document:
                document[key] = value if isinstance(value, bool | int | float) else self._text(str(value))
        return escape_text(json.dumps(document, ensure_ascii=False))

    def _text(self, text: str) -> str:
        return cut(self._clean(text))


class LineFormatter(logging.Formatter):
    """Formats a record as one line of text: level, logger, message, and in brackets what that leaves open.

    Args:
        prefix: what each line begins with.
        clean: applied to the whole line, to remove secrets that the application knows of.
    """

    def __init__(self, *, prefix: str = "", clean: Callable[[str], str] = str) -> None:
        super().__init__(f"{prefix}%(levelname)s: %(name)s: %(message)s")
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        """Give the record's line, without a line end; line ends within it are escaped."""
        text = super().format(record)
        if facts := [f"{key}={value}" for key, value in _facts(record).items() if str(value) not in text]:
            text += f" [{' '.join(facts)}]"
        return escape_text(cut(self._clean(text)))


def cut(text: str, longest: int = _LONGEST) -> str:
    """Give at most `longest` characters of a text, and say how many were left out."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest:,} more characters)"


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts = {key: value for key in FIELDS if (value := getattr(record, key, None))}
    return facts if "trace_id" in facts else facts | current_ids()


def _moment(created: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

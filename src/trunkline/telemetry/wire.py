"""The log of the wire: one record per message, its text safe to keep and to show. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from trunkline.telemetry.escape import escape_text

Direction = Literal["sent", "received", "stderr", "note"]

MOST_BYTES = 64 * 1024
"""Bytes of one body that are kept unless the log says otherwise."""
_DEEPEST = 64
_BRACKETS = re.compile(rb'[\[\]{}]|"(?:[^"\\]|\\.)*"')
_ARROWS: Mapping[Direction, str] = {"sent": "-->", "received": "<--", "stderr": "err", "note": "---"}
_CREDENTIAL = re.compile(r"auth|cookie|credential|key|passw|secret|session|signature|token", re.IGNORECASE)
_HARMLESS = frozenset({"www-authenticate", "sec-websocket-key"})
_PRIVATE = re.compile(rb'"(?:requestState|inputResponses|action)"')
_PRIVATE_TEXT = re.compile(_PRIVATE.pattern.decode())
"""Members near which a person's answers or the state of a round are found."""
REDACTED = "[redacted]"


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP side of a message."""

    number: int
    """Counts the HTTP requests of one server; a response has the number of its request."""
    method: str
    url: str
    """As it may be shown."""
    status: int | None = None
    """None for a request."""
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    """In their order; credentials are redacted."""


class WireRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One message between us and a server, or a line of its standard error, or an event of the link."""

    offset: float
    """Seconds since the log began."""
    server: str
    transport: str
    """`stdio`, `http`, `sse`, `websocket` or `memory`."""
    direction: Direction
    summary: str = ""
    """Such as `tools/call #3`, `result #3`; or the line, or what happened."""
    body: str = ""
    """The message: indented JSON, or text on one line that is none. Secrets are redacted."""
    size: int = 0
    """Bytes of the body on the wire."""
    cut: int = 0
    """How many of them `body` leaves out."""
    http: Exchange | None = None


def render_record(record: WireRecord) -> str:
    """Give a record as text that ends with an empty line."""
    head = f"{_ARROWS[record.direction]} {record.offset:.4f} s  {record.server} ({record.transport})"
    if record.http is not None:
        head += f"  {_http_line(record.http)}"
    if record.summary:
        head += f"  {record.summary}"
    lines = [escape_text(head)]
    if record.http is not None:
        lines += [escape_text(f"    {name}: {value}") for name, value in record.http.headers]
    if record.body:
        lines += ["    " + line for line in escape_text(record.body, keep_lines=True).split("\n")]
    if record.cut:
        lines.append(f"    ... {record.cut:,} of {record.size:,} bytes are left out")
    return "\n".join(lines) + "\n\n"


def show_body(
    data: bytes, clean: Callable[[str], str], longest_secret: int, most: int
) -> tuple[str, str, int]:
    """Give the summary, the text and how many bytes it leaves out, for the bytes of one message.

    Args:
        longest_secret: how far a secret may reach beyond the cut; it is looked for there too.
        most: bytes to keep.
    """
    private = _PRIVATE.search(data)
    if len(data) > most:
        window = data[: most + 4 * longest_secret].decode("utf-8", "replace")
        if private is not None and (hidden := _PRIVATE_TEXT.search(window)) is not None:
            window = f"{window[: hidden.start()]}{REDACTED}"
        text = _keep(clean(window), most)
        return "", text, len(data) - most
    if (document := _decode(data)) is None:
        return "not JSON", escape_text(clean(data.decode("utf-8", "replace"))), 0
    if private is not None:
        data = _without_private(document[0])
    return summarize(document[0]), clean(_indent(data)), 0


def hide_private(message: Any) -> Any:
    """Give a message without what a person filled in and without the state of a round."""
    if isinstance(message, list):
        return [hide_private(one) for one in message]
    if not isinstance(message, dict):
        return message
    shown = {key: hide_private(value) for key, value in message.items()}
    if "requestState" in shown:
        shown["requestState"] = REDACTED
    if shown.get("action") in ("accept", "decline", "cancel") and "content" in shown:
        shown["content"] = REDACTED
    return shown


def summarize(message: Any) -> str:
    """Say in a word or two what a JSON-RPC message is."""
    if isinstance(message, list):
        return f"batch of {len(message)}"
    if not isinstance(message, dict):
        return "not JSON-RPC"
    number = f" #{message['id']}" if isinstance(message.get("id"), int | str) else ""
    method = message.get("method")
    if isinstance(method, str):
        return f"{method}{number}"[:200]
    kind = "error" if "error" in message else "result" if "result" in message else "not JSON-RPC"
    return f"{kind}{number}"[:200]


def show_headers(headers: Any, clean: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    """Give headers as they may be shown: the value of a credential is redacted whatever it is."""
    return tuple((name, _show_value(name, value, clean)) for name, value in headers.items())


def _without_private(message: Any) -> bytes:
    try:
        return json.dumps(hide_private(message), ensure_ascii=False).encode("utf-8", "replace")
    except RecursionError:
        return f'"{REDACTED}"'.encode()


def _show_value(name: str, value: str, clean: Callable[[str], str]) -> str:
    if name.lower() not in _HARMLESS and _CREDENTIAL.search(name):
        return REDACTED
    return clean(value)


def _http_line(http: Exchange) -> str:
    if http.status is None:
        return f"{http.method} {http.url} [{http.number}]"
    return f"{http.status} {http.reason}".rstrip() + f" [{http.number}]"


def _keep(text: str, most: int) -> str:
    """Give the beginning of a text that is at most so many bytes, without half a character at its end."""
    return text.encode()[:most].decode("utf-8", "ignore")


def _decode(data: bytes) -> tuple[Any] | None:
    try:
        return (json.loads(data),)
    except (ValueError, RecursionError):
        return None


def _indent(data: bytes) -> str:
    """Indent JSON; deep nesting is left alone, since its indentation would grow without bound."""
    depth = 0
    for bracket in _BRACKETS.findall(data):
        depth += (bracket in b"[{") - (bracket in b"]}")
        if depth > _DEEPEST:
            return data.decode("utf-8", "replace")
    try:
        return msgspec.json.format(data, indent=2).decode("utf-8", "replace")
    except (msgspec.DecodeError, RecursionError):
        return data.decode("utf-8", "replace")

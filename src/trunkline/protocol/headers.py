"""The HTTP headers that mirror a modern request (specification 2026-07-28, Streamable HTTP)."""

from __future__ import annotations

import base64
from typing import Any

_SENTINEL = "=?base64?"


def encode_value(value: str) -> str:
    """Give a header value; anything a header cannot carry as it is becomes `=?base64?...?=`.

    Source: specification 2026-07-28, basic/transports/streamable-http, "Value Encoding".
    """
    plain = value.isascii() and value.isprintable() and value == value.strip()
    if plain and value and not (value.startswith(_SENTINEL) and value.endswith("?=")):
        return value
    return f"{_SENTINEL}{base64.b64encode(value.encode()).decode()}?="


def encode_argument(value: Any) -> str | None:
    """Give the header value of a tool argument, or None when the header must be left out."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return encode_value(str(value))

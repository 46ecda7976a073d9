"""Errors as they travel over a control socket: the same class with the same facts comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

import trunkline.errors as known
from trunkline.core.timing import Timing
from trunkline.errors import TrunklineError

_MOST_CAUSES = 8


def encode_error(error: BaseException, depth: int = 0) -> dict[str, Any]:
    """Give an error, its facts and its causes as JSON values; what JSON lacks becomes its text."""
    kind = type(error)
    is_ours = isinstance(error, TrunklineError) and getattr(known, kind.__name__, None) is kind
    document: dict[str, Any] = {"kind": kind.__name__, "text": str(error)}
    if is_ours:
        document["facts"] = msgspec.to_builtins(vars(error), str_keys=True, enc_hook=str)
        document["text"] = str(error.args[0]) if error.args else ""
    if error.__cause__ is not None and depth < _MOST_CAUSES:
        document["cause"] = encode_error(error.__cause__, depth + 1)
    return document


def decode_error(document: Mapping[str, Any]) -> Exception:
    """Give the error back. One that is not of our tree keeps its class's name and its text, no more."""
    kind = getattr(known, str(document.get("kind")), None)
    text = str(document.get("text", ""))
    if isinstance(kind, type) and issubclass(kind, TrunklineError):
        error: Exception = kind.__new__(kind, text)
        for name, value in document.get("facts", {}).items():
            setattr(error, name, _revive(name, value))
    else:
        error = type(str(document.get("kind")), (RuntimeError,), {})(text)
    if (cause := document.get("cause")) is not None:
        error.__cause__ = decode_error(cause)
    return error


def _revive(name: str, value: Any) -> Any:
    if name == "timing" and value is not None:
        return msgspec.convert(value, Timing)
    return tuple(value) if isinstance(value, list) and name != "data" else value

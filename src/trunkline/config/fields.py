"""Reading the fields of one raw entry: types checked, variables expanded, secrets noted."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

from trunkline.config.entry_error import EntryError
from trunkline.config.expansion import Expanded, Scope, expand
from trunkline.config.wording import KeyPath, describe_type, nearest

KNOWN_KEYS = (
    "args",
    "command",
    "cwd",
    "disabled",
    "enabled",
    "env",
    "envFile",
    "headers",
    "httpUrl",
    "serverUrl",
    "transport",
    "type",
    "url",
)
_MEANT = {key: key for key in KNOWN_KEYS} | {
    "arguments": "args",
    "cmd": "command",
    "env_file": "envFile",
    "environment": "env",
    "uri": "url",
    "workingDirectory": "cwd",
    "working_directory": "cwd",
}

_HALF_PAIR = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates, except those that stand for undecodable bytes of our own environment."""


class Fields:
    """The raw object of one entry, read field by field.

    Every method raises `EntryError` when the field has the wrong type or cannot be expanded. A field that
    is null counts as absent, as hosts write it.
    """

    def __init__(self, raw: Mapping[Any, Any], scope: Scope) -> None:
        self._raw = raw
        self._scope = scope
        self.secrets: list[str] = []
        """Every value that came from outside the file, in the order of reading."""

    def __contains__(self, key: str) -> bool:
        return self._raw.get(key) is not None

    def word(self, key: str) -> str | None:
        """Read a string as it stands, without expansion."""
        value = self._raw.get(key)
        if value is not None and not isinstance(value, str):
            raise _wrong_type(value, "a string", (key,), hint=f"Write {key} as a string in double quotes.")
        return value

    def text(self, key: str) -> Expanded | None:
        """Read a string or path that must not be empty, expanded."""
        value = self._raw.get(key)
        if value is None:
            return None
        expanded = self._expand(value, (key,))
        if not expanded.value.strip():
            raise EntryError(f"{key} is empty", path=(key,), hint=f"Write a value for {key}, or remove it.")
        return expanded

    def texts(self, key: str) -> tuple[Expanded, ...]:
        """Read a list of strings, expanded."""
        value = self._raw.get(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            hint = f'Write a list, as in "{key}": ["--verbose", "file.txt"].'
            raise _wrong_type(value, "a list of strings", (key,), hint=hint)
        return tuple(self._expand(item, (key, at)) for at, item in enumerate(value))

    def pairs(self, key: str) -> dict[str, Expanded | None]:
        """Read an object of strings, expanded; numbers are written out, null gives None."""
        value = self._raw.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise _wrong_type(
                value, "an object of strings", (key,), hint=f'Write "{key}": {{"NAME": "value"}}.'
            )
        pairs: dict[str, Expanded | None] = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise _wrong_type(
                    name, "a string as name", (key,), hint=f"Write every name in {key} as a string."
                )
            pairs[name] = None if item is None else self._expand(_written_out(item), (key, name))
        return pairs

    def misspelled(self) -> dict[str, str]:
        """Give unknown keys that look like a known one that is absent, and that known key."""
        found: dict[str, str] = {}
        for key in self._raw:
            if not isinstance(key, str) or key in KNOWN_KEYS or key.startswith("x-"):
                continue
            meant = nearest(key, _MEANT)
            if meant and _MEANT[meant] not in self:
                found[key] = _MEANT[meant]
        return found

    def _expand(self, value: object, path: KeyPath) -> Expanded:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if not isinstance(value, str):
            raise _wrong_type(value, "a string", path, hint="Write the value as a string in double quotes.")
        expanded = expand(value, self._scope, path=path)
        check_characters(expanded.value, path)
        self.secrets += expanded.secrets
        return expanded


def check_characters(text: str, path: KeyPath) -> None:
    """Refuse what no process and no header can carry: NUL and lone surrogates."""
    if "\0" in text:
        raise EntryError("the value holds a NUL character", path=path, hint="Remove the character \\u0000.")
    if not text.isascii() and _HALF_PAIR.search(text):
        hint = "Write the character itself, or both halves."
        raise EntryError("the value holds half of a surrogate pair", path=path, hint=hint)


def check_name(name: str) -> None:
    """Refuse a server name that is empty or cannot be written; any other characters are fine."""
    if not name.strip():
        raise EntryError("the name of the server is empty", path=(), hint="Give the server a name.")
    check_characters(name, ())


def _written_out(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if isinstance(value, int):
        return str(value) if abs(value) < 2**64 else value
    return repr(value) if math.isfinite(value) else value


def _wrong_type(value: object, wanted: str, path: KeyPath, *, hint: str) -> EntryError:
    return EntryError(f"must be {wanted}, not {describe_type(value)}", path=path, hint=hint)

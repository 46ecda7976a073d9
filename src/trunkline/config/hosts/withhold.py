"""Credentials that an entry holds in plain text: found, and replaced by variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.config.expansion import Expanded
from trunkline.config.secret import conceal, conceal_arguments, names_credential
from trunkline.config.wording import KeyPath

_URLS = ("url", "httpUrl", "serverUrl")
_SCHEME = re.compile(r"(?:Bearer|Basic|Token|ApiKey) +(?=\S)", re.IGNORECASE)


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """One value that was replaced."""

    path: KeyPath
    """Where it stood in the entry."""
    variable: str
    """The variable that stands there now, to be set by the reader."""


def withhold(name: str, raw: Any) -> tuple[Any, list[Withheld]]:
    """Give an entry in which every plain credential is `${VARIABLE}`, and what was replaced.

    Found are values of `env` and `headers` whose name is that of a credential, and what `conceal` finds in
    arguments and URLs. A reference such as `${TOKEN}` is none.
    """
    if not isinstance(raw, Mapping):
        return raw, []
    entry, found = dict(raw), _Finds(name)
    if isinstance(env := raw.get("env"), Mapping):
        entry["env"] = {key: found.variable(key, value) for key, value in env.items()}
    if isinstance(headers := raw.get("headers"), Mapping):
        entry["headers"] = {key: found.header(key, value) for key, value in headers.items()}
    if isinstance(args := raw.get("args"), list) and all(isinstance(item, str) for item in args):
        entry["args"] = found.arguments(args)
    for key in _URLS:
        if isinstance(url := raw.get(key), str):
            entry[key] = found.concealed(conceal(url)[0], url, (key,), "URL_SECRET")
    return entry, found.withheld


def variable_name(*words: str) -> str:
    """Make the name of a variable out of words, such as GITHUB_AUTHORIZATION."""
    joined = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(words)).strip("_").upper()
    return f"_{joined}" if joined[:1].isdigit() else joined or "SECRET"


class _Finds:
    def __init__(self, server: str) -> None:
        self.withheld: list[Withheld] = []
        self._server = server

    def variable(self, key: str, value: Any) -> Any:
        if not isinstance(value, str) or not value or "${" in value:
            return value
        if names_credential(key) or conceal(value)[1]:
            return self._replace(("env", key), variable_name(key))
        return value

    def header(self, key: str, value: Any) -> Any:
        if not isinstance(value, str) or not value or "${" in value or not names_credential(key):
            return value
        scheme = _SCHEME.match(value)
        return (scheme[0] if scheme else "") + self._replace(
            ("headers", key), variable_name(self._server, key)
        )

    def arguments(self, args: list[str]) -> list[str]:
        # a reference counts as a value from outside, which is not concealed
        words = [Expanded(value=text, shown=text, secrets=("",) if "${" in text else ()) for text in args]
        shown, _ = conceal_arguments(words)
        return [self.concealed(text, args[at], ("args", at), "SECRET") for at, text in enumerate(shown)]

    def concealed(self, shown: str, text: str, path: KeyPath, word: str) -> str:
        if shown == text:
            return text
        number = sum(known.variable.startswith(variable_name(self._server, word)) for known in self.withheld)
        while "***" in shown:
            number += 1
            suffix = str(number) if number > 1 else ""
            shown = shown.replace("***", self._replace(path, variable_name(self._server, word, suffix)), 1)
        return shown

    def _replace(self, path: KeyPath, variable: str) -> str:
        self.withheld.append(Withheld(path=path, variable=variable))
        return f"${{{variable}}}"

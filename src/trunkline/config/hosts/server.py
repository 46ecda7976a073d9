"""A server as another program has it, in our words; and the conversions several programs share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from trunkline.config.fields import KNOWN_KEYS
from trunkline.config.wording import KeyPath

ESCAPED = "${DOLLAR:-$}{"
"""How a standard file writes `${` itself."""

_EDITOR_VARIABLE = re.compile(r"\$\{(workspaceFolderBasename|pathSeparator|/)\}")
_FOLDER = re.compile(r"\$\{workspaceFolder(?::[^}]*)?\}")


class HostServer(msgspec.Struct, frozen=True, kw_only=True):
    """One server of another program."""

    name: str
    raw: Any
    """The entry in the form of a standard file."""
    path: KeyPath
    """Where it stands in the program's file."""
    project: Path | None = None
    """The project it is for, when its file holds servers of several."""
    skipped: str = ""
    """Why it cannot be used outside its program; then `raw` is void."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds a conversion."""

    folder: Path
    """Where the user is."""
    workspace: Path
    """What `${workspaceFolder}` stands for in this file."""


def literal(value: Any) -> Any:
    """Give a value of a file that knows no variables: `${` in its texts stays as written."""
    return map_texts(value, lambda text: text.replace("${", ESCAPED))


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Give a value with every text in it changed; keys stay."""
    match value:
        case str():
            return change(value)
        case Mapping():
            return {key: map_texts(item, change) for key, item in value.items()}
        case list():
            return [map_texts(item, change) for item in value]
        case _:
            return value


def known_fields(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Give the members of an entry that mean something to us, without empty ones."""
    return {key: raw[key] for key in raw if key in KNOWN_KEYS and raw[key] not in (None, {}, [])}


def editor_variables(value: Any, setting: Setting) -> Any:
    """Replace the variables that editors know and standard files do not."""
    names = {"workspaceFolderBasename": setting.workspace.name, "pathSeparator": os.sep, "/": os.sep}

    def change(text: str) -> str:
        return _EDITOR_VARIABLE.sub(lambda match: names[match[1]], _FOLDER.sub("${workspaceFolder}", text))

    return map_texts(value, change)


def each(
    content: Mapping[str, Any], key: str, convert: Callable[[Mapping[str, Any]], Any]
) -> list[HostServer]:
    """Convert every server under one key of a file; what is no object is left as it is for its error."""
    servers = content.get(key)
    if servers is None:
        return []
    if not isinstance(servers, Mapping):
        raise NoServersError((key,))
    found: list[HostServer] = []
    for name, raw in servers.items():
        given = convert(raw) if isinstance(raw, Mapping) else raw
        reason = given if isinstance(given, str) and isinstance(raw, Mapping) else ""
        found.append(HostServer(name=name, raw=None if reason else given, path=(key, name), skipped=reason))
    return found


class NoServersError(Exception):
    """What stands where the servers should is no object."""

    def __init__(self, path: KeyPath) -> None:
        super().__init__(path)
        self.path = path

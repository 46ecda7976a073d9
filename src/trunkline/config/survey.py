"""Every server definition in reach, in the order in which the first wins a name.

What is named is read alone. Otherwise it is: the local file of this user and project, the project's files,
the user's file, and then the files of other programs that the user has linked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trunkline.config.discovery import discover, exists, user_file
from trunkline.config.scopes import find_local
from trunkline.config.source import Definition, Reading, read_file, read_target

LINKS_FILE = "imports.json"


def read_sources(
    target: object, folder: Path, environ: Mapping[str, str], warnings: list[str]
) -> list[Reading]:
    """Read what `target` names, or everything that is found.

    A linked file that cannot be read gives a warning: it is not ours, and the others must not suffer.

    Raises:
        ConfigError: a file that is named or ours cannot be read, or there is none at all.
    """
    if target is None:
        return _read_found(folder, environ, warnings)
    targets = target if isinstance(target, list | tuple) else [target]
    return [read_target(item, folder) for item in targets]


def links_file(environ: Mapping[str, str]) -> Path:
    """Give the file in which the links to other programs' files stand, beside the user's own."""
    return user_file(environ).parent / LINKS_FILE


def is_same_server(one: object, other: object) -> bool:
    """Say whether two raw entries mean the same, whatever each leaves out."""
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return one == other
    return _essence(one) == _essence(other)


def shadowing_warnings(
    definitions: Iterable[tuple[str, Definition]],
) -> tuple[dict[str, Definition], list[str]]:
    """Give the first definition of each name, and one sentence for each other that differs."""
    chosen: dict[str, Definition] = {}
    warnings: list[str] = []
    for name, definition in definitions:
        first = chosen.setdefault(name, definition)
        linked_twin = definition.origin.scope == "link" and is_same_server(first.raw, definition.raw)
        if first is not definition and not linked_twin:
            here, there = definition.origin.source, first.origin.source
            warnings.append(f"{here}: server {name!r} is not used, {there} defines it first")
    return chosen, warnings


def _read_found(folder: Path, environ: Mapping[str, str], warnings: list[str]) -> list[Reading]:
    local = find_local(folder, environ)
    linked: list[Reading] = []
    if exists(links_file(environ)):
        from trunkline.config.hosts.links import read_linked

        linked = read_linked(folder, environ, warnings)
    own, readings = user_file(environ), []
    if local is not None:
        file, project = local
        readings.append(read_file(file, workspace=project, scope="local", beside=project / ".mcp.json"))
    for path in discover(folder, environ, required=local is None and not linked):
        readings.append(read_file(path, scope="user" if path == own else "project"))
    return [*readings, *linked]


def _essence(raw: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in raw.items()
        if value and not (key in ("type", "transport") and value in ("stdio", "local", "http"))
    }

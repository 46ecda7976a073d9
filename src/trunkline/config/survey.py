"""Every server definition in reach, in the order in which the first wins a name.

What is named is read alone. Otherwise it is: the local file of this user and project, the project's files,
the user's file, and then the files of other programs that the user has linked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from trunkline.config.discovery import PROJECT_FILES, candidates, exists, nothing_found, user_file
from trunkline.config.scopes import find_local
from trunkline.config.source import Definition, FileScope, Reading, read_file, read_target
from trunkline.errors import ConfigError

if TYPE_CHECKING:
    from trunkline.config.hosts.program import HostFile

LINKS_FILE = "imports.json"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One file to look at when none is named."""

    path: Path
    scope: FileScope
    workspace: Path | None = None
    """The folder it speaks for; None is the one it stands in."""
    beside: Path | None = None
    """A file in the folder where the policy is looked for; None is the file itself."""
    link: HostFile | None = None
    """What is linked, for a file of another program."""


def read_sources(
    target: object, folder: Path, environ: Mapping[str, str], warnings: list[str]
) -> list[Reading]:
    """Read what `target` names, or everything that is found.

    A linked file that cannot be read gives a warning: it is not ours, and the others must not suffer.

    Raises:
        ConfigError: a file that is named or ours cannot be read, or there is none at all.
    """
    if target is None:
        readings = read_found(folder, environ, warnings)
        if not readings and not warnings:
            raise nothing_found(folder, environ)
        return readings
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


def is_linked_twin(definition: Definition, first: Definition) -> bool:
    """Say whether a linked server is the one that has its name already: nobody needs to hear of it."""
    return definition.origin.scope == "link" and is_same_server(first.raw, definition.raw)


def shadowing_warnings(
    definitions: Iterable[tuple[str, Definition]],
) -> tuple[dict[str, Definition], list[str]]:
    """Give the first definition of each name, and one sentence for each other that differs."""
    chosen: dict[str, Definition] = {}
    warnings: list[str] = []
    for name, definition in definitions:
        first = chosen.setdefault(name, definition)
        if first is not definition and not is_linked_twin(definition, first):
            here, there = definition.origin.source, first.origin.source
            warnings.append(f"{here}: server {name!r} is not used, {there} defines it first")
    return chosen, warnings


def found_places(folder: Path, environ: Mapping[str, str]) -> list[Place]:
    """Give every place that is looked at, there or not, in order of precedence; links are not among them."""
    own = user_file(environ)
    found: list[Place] = []
    if (local := find_local(folder, environ)) is not None:
        file, project = local
        found.append(Place(path=file, scope="local", workspace=project, beside=project / PROJECT_FILES[0]))
    for path in candidates(folder, environ):
        found.append(Place(path=path, scope="user" if path == own else "project"))
    return found


def linked_places(folder: Path, environ: Mapping[str, str]) -> list[Place]:
    """Give the files of other programs that are linked and count in `folder`.

    Raises:
        ConfigError: the file with the links is broken.
    """
    path = links_file(environ)
    if not exists(path):
        return []
    from trunkline.config.hosts.links import applies, read_links

    links = [link for link in read_links(environ) if applies(link, folder)]
    return [Place(path=link.path, scope="link", link=link, beside=path) for link in links]


def read_place(place: Place, folder: Path, environ: Mapping[str, str]) -> Reading:
    """Read one place.

    Raises:
        ConfigError: it cannot be read.
    """
    if place.link is not None:
        from trunkline.config.hosts.reading import read_host

        return read_host(place.link, folder, environ).reading
    return read_file(place.path, workspace=place.workspace, scope=place.scope, beside=place.beside)


def read_found(folder: Path, environ: Mapping[str, str], warnings: list[str]) -> list[Reading]:
    """Read every file that is found, which may be none; a linked one that is broken gives a warning.

    Raises:
        ConfigError: a file of ours cannot be read.
    """
    places = [place for place in found_places(folder, environ) if exists(place.path)]
    readings = [read_place(place, folder, environ) for place in places]
    for place in linked_places(folder, environ):
        try:
            readings.append(read_place(place, folder, environ))
        except ConfigError as error:
            warnings.append(f"servers that are linked cannot be read: {error}")
    return readings


def _essence(raw: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in raw.items()
        if value and not (key in ("type", "transport") and value in ("stdio", "local", "http"))
    }

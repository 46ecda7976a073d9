"""What an import would do, before it does anything: which files, which servers, which names clash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from trunkline.config.definition import is_disabled
from trunkline.config.discovery import discover, exists
from trunkline.config.entry_error import EntryError
from trunkline.config.hosts.links import read_links
from trunkline.config.hosts.places import places_of
from trunkline.config.hosts.program import PROGRAMS, HostFile, files_of
from trunkline.config.hosts.reading import HostReading, read_host
from trunkline.config.source import Definition
from trunkline.config.survey import is_same_server, read_found
from trunkline.errors import ConfigError

FileState = Literal["new", "linked", "read already", "no servers", "missing", "broken"]
ServerState = Literal["new", "same", "clash", "unusable"]


class PlannedServer(msgspec.Struct, frozen=True, kw_only=True):
    """One server of another program."""

    name: str
    kind: str
    """`stdio`, `http`, `sse` or `ws`."""
    state: ServerState
    """`same` and `clash`: the name is taken by an equal or by another server, which stays in use."""
    detail: str = ""
    """The file that has the name, or the reason why it is unusable."""
    disabled: bool = False
    roaming: bool = False
    """Whether its file speaks for whatever folder the user is in."""
    definition: Definition | None = None


class PlannedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of another program."""

    file: HostFile
    state: FileState
    servers: tuple[PlannedServer, ...] = ()
    error: ConfigError | None = None


def plan_import(
    programs: Iterable[str], folder: Path, environ: Mapping[str, str], *, copying: bool = False
) -> list[PlannedFile]:
    """Look at every file of these programs; one that is broken leaves the others alone.

    Args:
        copying: judge names by our own files only, since a copy is meant to stand beside a link.

    Raises:
        ConfigError: one of our own files cannot be read.
    """
    taken = _taken(folder, environ, with_links=not copying)
    linked = {link.path for link in read_links(environ)}
    ours = {str(path) for path in discover(folder, environ, required=False)}
    planned: list[PlannedFile] = []
    for key in programs:
        for file in files_of(PROGRAMS[key], folder, places_of(environ)):
            planned.append(_plan_file(file, folder, environ, taken, linked, ours))
    return planned


def kind_of(raw: Any) -> str:
    """Say how a raw entry is reached."""
    if not isinstance(raw, Mapping) or not any(raw.get(key) for key in ("url", "httpUrl", "serverUrl")):
        return "stdio"
    stated = str(raw.get("type") or raw.get("transport") or "http").lower()
    return stated if stated in ("sse", "ws") else "http"


def _taken(folder: Path, environ: Mapping[str, str], *, with_links: bool) -> dict[str, tuple[str, Any]]:
    taken: dict[str, tuple[str, Any]] = {}
    for reading in read_found(folder, environ, []):
        for definition in reading.definitions:
            if definition.name is not None and (with_links or definition.origin.scope != "link"):
                taken.setdefault(definition.name, (definition.origin.source, definition.raw))
    return taken


def _plan_file(
    file: HostFile,
    folder: Path,
    environ: Mapping[str, str],
    taken: dict[str, tuple[str, Any]],
    linked: set[Path],
    ours: set[str],
) -> PlannedFile:
    if not exists(file.path):
        return PlannedFile(file=file, state="missing")
    try:
        found = read_host(file, folder, environ)
    except ConfigError as error:
        return PlannedFile(file=file, state="broken", error=error)
    state: FileState = "new"
    if str(file.path) in ours:
        state = "read already"
    elif file.path in linked:
        state = "linked"
    elif not found.reading.definitions:
        state = "no servers"
    return PlannedFile(file=file, state=state, servers=tuple(_servers(found, taken)))


def _servers(found: HostReading, taken: dict[str, tuple[str, Any]]) -> Iterable[PlannedServer]:
    for definition in found.reading.definitions:
        name, source = str(definition.name), definition.origin.source
        holder, raw = taken.setdefault(name, (source, definition.raw))
        state: ServerState = "new"
        if raw is not definition.raw and not (holder == source and raw == definition.raw):
            state = "same" if is_same_server(raw, definition.raw) else "clash"
        yield PlannedServer(
            name=name,
            kind=kind_of(definition.raw),
            state=state,
            detail="" if state == "new" else holder,
            disabled=_is_off(definition.raw),
            roaming=found.file.scope == "user" and definition.path[:1] != ("projects",),
            definition=definition,
        )
    for name, reason in found.skipped.items():
        yield PlannedServer(name=name, kind="stdio", state="unusable", detail=reason)


def _is_off(raw: Any) -> bool:
    try:
        return is_disabled(raw)
    except EntryError:
        return False

"""Which files configuration is looked for in, what each one holds, and who won each name.

Unlike `load` it goes on after a file that cannot be used, and resolves no entry.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.config.definition import is_disabled
from trunkline.config.discovery import (
    PROJECT_FILES,
    exists,
    nothing_found,
    policy_candidates,
)
from trunkline.config.entry_error import EntryError
from trunkline.config.loading import name_definitions, working_directory
from trunkline.config.policy_file import examine_policy_file
from trunkline.config.source import ARGUMENT, Definition, Reading, absolute_path, read_target
from trunkline.config.survey import (
    Place,
    found_places,
    is_linked_twin,
    linked_places,
    links_file,
    read_place,
)
from trunkline.config.wording import describe_path
from trunkline.errors import ConfigError

Role = Literal["named", "local", "project", "user", "link", "policy"]
State = Literal["used", "disabled", "overridden", "same", "repeated"]


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """One server that a file defines."""

    name: str
    line: int | None
    key: str | None
    """Where it stands, such as `mcpServers.db`."""
    state: State
    """`overridden`: an earlier file has the name; `same`: likewise, and its server is equal to this linked
    one; `repeated`: written again in the same file, where the first counts and this stands for the others;
    `disabled`: wins the name and is switched off."""
    winner: str
    """The file whose definition is in use."""


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One place that was looked at."""

    path: str
    """Absolute path, or `argument` for a URL."""
    role: Role
    """`named` on the command line or by the caller, a scope when found by looking, `link` for a file of
    another program."""
    exists: bool
    used: bool
    """Whether it is read; of several policy files only the first is."""
    error: ConfigError | None = None
    """Why it cannot be used."""
    servers: tuple[Contribution, ...] = ()
    tables: tuple[str, ...] = ()
    """Of a policy file: its tables that say something, such as `servers."db.*"`."""


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to read, in order of precedence."""

    folder: Path
    files: tuple[SourceFile, ...]
    """Server files first, then the places of the policy file."""
    chosen: dict[str, Definition]
    """The definition in use for each name, disabled ones too."""
    policy: Path | None
    """The policy file in use."""
    missing: ConfigError | None = None
    """Set when files were looked for and there is none."""

    @property
    def complete(self) -> bool:
        """Whether every server file could be read, so that the names are known."""
        return self.missing is None and not any(file.error for file in self.files if file.role != "policy")


def look_up(target: object, *, cwd: str | Path | None, environ: Mapping[str, str]) -> Lookup:
    """Look at every file that `load` would look at for this target.

    Raises:
        ConfigError: the working directory is gone; what is wrong with a file stands in its `error`.
    """
    folder = working_directory(cwd)
    found = _look_at(target, folder, environ)
    readings = [reading for _, reading in found if reading]
    named = name_definitions(readings, None)
    chosen: dict[str, Definition] = {}
    for name, definition in named:
        chosen.setdefault(name, definition)
    files = []
    for file, reading in found:
        here = reading.definitions if reading else ()
        own = [(name, item) for name, item in named if any(item is one for one in here)]
        files.append(msgspec.structs.replace(file, servers=tuple(_contributions(own, chosen))))
    anchors = (_anchor(file, reading) for file, reading in found if file.exists and file.path != ARGUMENT)
    first = next(anchors, None)
    places = policy_candidates(first, folder)
    policy = next((path for path in places if exists(path)), None)
    files += [_policy_file(path, used=path == policy) for path in places]
    nothing = target is None and not any(file.exists for file in files[: len(found)])
    return Lookup(
        folder=folder,
        files=tuple(files),
        chosen=chosen,
        policy=policy,
        missing=nothing_found(folder, environ) if nothing else None,
    )


def _look_at(
    target: object, folder: Path, environ: Mapping[str, str]
) -> list[tuple[SourceFile, Reading | None]]:
    if target is not None:
        named = target if isinstance(target, list | tuple) else [target]
        return [_look_named(item, folder) for item in named]
    places = [_look(place, folder, environ) for place in found_places(folder, environ)]
    try:
        return [*places, *(_look(place, folder, environ) for place in linked_places(folder, environ))]
    except ConfigError as error:
        return [*places, (_broken(links_file(environ), "link", error), None)]


def _look_named(place: object, folder: Path) -> tuple[SourceFile, Reading | None]:
    try:
        reading = read_target(place, folder)
    except ConfigError as error:
        where = Path(error.source) if error.source else None
        there = exists(where) if where is not None else True
        shown = str(absolute_path(place, folder)) if isinstance(place, str | os.PathLike) else ARGUMENT
        return SourceFile(path=shown, role="named", exists=there, used=there, error=error), None
    return SourceFile(path=reading.origin.source, role="named", exists=True, used=True), reading


def _look(place: Place, folder: Path, environ: Mapping[str, str]) -> tuple[SourceFile, Reading | None]:
    if place.link is None and not exists(place.path):
        return SourceFile(path=str(place.path), role=place.scope, exists=False, used=False), None
    try:
        reading = read_place(place, folder, environ)
    except ConfigError as error:
        return _broken(place.path, place.scope, error), None
    return SourceFile(path=reading.origin.source, role=place.scope, exists=True, used=True), reading


def _broken(path: Path, role: Role, error: ConfigError) -> SourceFile:
    return SourceFile(path=str(path), role=role, exists=exists(path), used=True, error=error)


def _anchor(file: SourceFile, reading: Reading | None) -> Path:
    """Give the file beside which the policy is looked for first."""
    beside = reading.origin.beside if reading is not None else None
    return beside or Path(file.path)


def _policy_file(path: Path, *, used: bool) -> SourceFile:
    file = SourceFile(path=str(path), role="policy", exists=exists(path), used=used)
    if not used:
        return file
    examined = examine_policy_file(path)
    every = (examined.policy.written, *examined.policy.profiles.values())
    tables = [table for one in every for table in (*one.defaults, *one.servers, *one.tools)]
    return msgspec.structs.replace(
        file,
        error=next(iter(examined.mistakes), None),
        tables=tuple(table.name for table in tables if table.values),
    )


def _contributions(
    definitions: Iterable[tuple[str, Definition]], chosen: Mapping[str, Definition]
) -> Iterator[Contribution]:
    for name, definition in definitions:
        winner = chosen[name]
        lines: list[int | None] = [line for line, _ in definition.origin.locate(definition.path)] or [None]
        state: State = "overridden" if winner is not definition else "used"
        if state == "overridden" and is_linked_twin(definition, winner):
            state = "same"
        if state == "used" and is_off(definition):
            state = "disabled"
        one = Contribution(
            name=name,
            line=lines[0],
            key=describe_path(definition.path) or None,
            state=state,
            winner=winner.origin.source,
        )
        yield one
        for line in lines[1:] if definition.repeated else ():
            yield msgspec.structs.replace(one, line=line, state="repeated")


def is_off(definition: Definition) -> bool:
    """Tell whether a definition is switched off; one whose switch cannot be read is not."""
    try:
        return is_disabled(definition.raw)
    except EntryError:
        return False


def policy_place(found: Lookup) -> Path:
    """Give the policy file in use, or the first place where one would be."""
    if found.policy is not None:
        return found.policy
    return next(Path(file.path) for file in found.files if file.role == "policy")


def project_place(found: Lookup) -> Path:
    """Give the project's server file in use, or the one to create in the working directory."""
    used = next((file for file in found.files if file.role == "project" and file.exists), None)
    return Path(used.path) if used is not None else found.folder / PROJECT_FILES[0]

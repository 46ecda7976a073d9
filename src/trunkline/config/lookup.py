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
    candidates,
    exists,
    nothing_found,
    policy_candidates,
    user_file,
)
from trunkline.config.entry_error import EntryError
from trunkline.config.loading import name_definitions, working_directory
from trunkline.config.policy_file import examine_policy_file
from trunkline.config.source import ARGUMENT, Definition, Reading, absolute_path, read_file, read_target
from trunkline.config.wording import describe_path
from trunkline.errors import ConfigError

Role = Literal["named", "project", "user", "policy"]
State = Literal["used", "disabled", "overridden", "repeated"]


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """One server that a file defines."""

    name: str
    line: int | None
    key: str | None
    """Where it stands, such as `mcpServers.db`."""
    state: State
    """`overridden`: an earlier file has the name; `repeated`: written again in the same file, where the
    first counts and this stands for the others; `disabled`: wins the name and is switched off."""
    winner: str
    """The file whose definition is in use."""


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """One place that was looked at."""

    path: str
    """Absolute path, or `argument` for a URL."""
    role: Role
    """`named` on the command line or by the caller, `project` or `user` when found by looking."""
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
    found = [_look(place, role, folder) for place, role in _places(target, folder, environ)]
    readings = [reading for _, reading in found if reading]
    named = name_definitions(readings, None)
    chosen: dict[str, Definition] = {}
    for name, definition in named:
        chosen.setdefault(name, definition)
    files = []
    for file, reading in found:
        own = [(name, item) for name, item in named if reading and item.origin is reading.origin]
        files.append(msgspec.structs.replace(file, servers=tuple(_contributions(own, chosen))))
    first = next((Path(file.path) for file in files if file.exists and file.path != ARGUMENT), None)
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


def _places(target: object, cwd: Path, environ: Mapping[str, str]) -> list[tuple[object, Role]]:
    if target is not None:
        named = target if isinstance(target, list | tuple) else [target]
        return [(item, "named") for item in named]
    own = user_file(environ)
    return [(path, "user" if path == own else "project") for path in candidates(cwd, environ)]


def _look(place: object, role: Role, cwd: Path) -> tuple[SourceFile, Reading | None]:
    path = place if isinstance(place, Path) else None
    if role != "named" and path is not None and not exists(path):
        return SourceFile(path=str(path), role=role, exists=False, used=False), None
    try:
        reading = read_file(path) if role != "named" and path is not None else read_target(place, cwd)
    except ConfigError as error:
        where = Path(error.source) if error.source else None
        there = exists(where) if where is not None else True
        shown = str(absolute_path(place, cwd)) if isinstance(place, str | os.PathLike) else ARGUMENT
        return SourceFile(path=shown, role=role, exists=there, used=there, error=error), None
    return SourceFile(path=reading.origin.source, role=role, exists=True, used=True), reading


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
        if state == "used" and _is_off(definition):
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


def _is_off(definition: Definition) -> bool:
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

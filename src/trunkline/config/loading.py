"""The one way in: from a target to a `Config`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from trunkline.config.definition import define, is_disabled
from trunkline.config.discovery import find_policy, home_folder
from trunkline.config.entry import BadEntry, Entry
from trunkline.config.entry_error import EntryError, InputNeededError
from trunkline.config.environment import inherit
from trunkline.config.expansion import Scope
from trunkline.config.fields import Fields, check_name
from trunkline.config.inputs import Ask, asking_once
from trunkline.config.policy import Policy
from trunkline.config.policy_file import parse_policy, read_policy
from trunkline.config.source import (
    ARGUMENT,
    Definition,
    Reading,
    absolute_path,
    repetition_warnings,
)
from trunkline.config.survey import read_sources, shadowing_warnings
from trunkline.config.wording import describe_path, describe_type
from trunkline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PROFILE_VARIABLE = "TRUNKLINE_PROFILE"
"""Names the profile of a policy file when nothing else does."""

UNNAMED = "server"
"""What a server is called that nothing names."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything configuration says: which servers there are, and how to treat them."""

    entries: tuple[Entry, ...] = ()
    """In the order of the files, each name once."""
    policy: Policy
    sources: tuple[str, ...] = ()
    """The server files read, in order; `argument` for values that were passed."""
    warnings: tuple[str, ...] = ()
    """One sentence each; nothing here stops a server."""
    disabled: tuple[str, ...] = ()
    """Names of the servers that are switched off in their file."""


def load(
    target: object = None,
    *,
    cwd: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    name: str | None = None,
    policy: str | Path | Mapping[str, object] | Policy | None = None,
    profile: str | None = None,
    ask: Ask | None = None,
) -> Config:
    """Read servers and policy.

    Args:
        target: a URL, a path, a mapping (a file's content, one entry, or a bare map of servers, whose
            values may be live peers), one live peer, or a list of these; None looks for files.
        cwd: working directory; None is the process's own.
        environ: variables to expand and to pass on; None is the process's own environment.
        name: name of the one server that `target` leaves unnamed; None calls it `server`.
        policy: a path or the content of a `trunkline.toml`; None looks for one.
        profile: the profile of it to activate; None takes the one `TRUNKLINE_PROFILE` names, if any,
            unless `policy` is a `Policy`; "" activates none.
        ask: asks a person for each `${input:id}`; None makes such a server a `BadEntry`, which
            `answer_inputs` can resolve later.

    Raises:
        ConfigError: a file cannot be read or is invalid, the target is none of the above, or there is
            no such profile. A bad entry raises nothing: it becomes a `BadEntry`.
    """
    folder = working_directory(cwd)
    variables = dict(os.environ if environ is None else environ)
    warnings: list[str] = []
    readings = read_sources(target, folder, variables, warnings)
    warnings += [warning for reading in readings for warning in repetition_warnings(reading.definitions)]
    chosen, shadowed = shadowing_warnings(name_definitions(readings, name))
    warnings += shadowed
    entries, disabled = _resolve(chosen, folder, variables, warnings)
    config = Config(
        entries=entries,
        policy=choose_profile(
            _policy(policy, readings, folder), profile, {} if isinstance(policy, Policy) else variables
        ),
        sources=tuple(dict.fromkeys(reading.origin.source for reading in readings)),
        warnings=tuple(warnings),
        disabled=disabled,
    )
    return config if ask is None else answer_inputs(config, ask)


def answer_inputs(config: Config, ask: Ask) -> Config:
    """Ask for what the entries leave open as `${input:id}`, each value of each file once."""
    once = asking_once(ask)
    entries = tuple(
        entry.retry(once) if isinstance(entry, BadEntry) and entry.retry is not None else entry
        for entry in config.entries
    )
    return msgspec.structs.replace(config, entries=entries)


def name_definitions(readings: Iterable[Reading], name: str | None) -> list[tuple[str, Definition]]:
    """Give every definition with its name, in order; those that nothing names get one.

    Raises:
        ConfigError: `name` is given and there is not exactly one definition without a name.
    """
    definitions = [definition for reading in readings for definition in reading.definitions]
    unnamed = sum(definition.name is None for definition in definitions)
    if name is not None and unnamed != 1:
        what = "every server has a name already" if not unnamed else f"{unnamed} servers have none"
        hint = "Leave name out, or pass one URL, one entry or one peer."
        raise ConfigError(f"name={name!r} names one unnamed server, and {what}", hint=hint)
    defaults = itertools.chain([name or UNNAMED], (f"{UNNAMED}-{number}" for number in itertools.count(2)))
    return [
        (next(defaults) if definition.name is None else definition.name, definition)
        for definition in definitions
    ]


def scopes(folder: Path, environ: Mapping[str, str]) -> Callable[[Definition], Scope]:
    """Give what the variables of a definition stand for, by definition."""
    public, home = inherit(environ), home_folder(environ)

    def scope_of(definition: Definition) -> Scope:
        return Scope(
            environ=environ,
            public=public,
            home=home,
            workspace=str(definition.origin.workspace),
            cwd=str(folder),
            inputs=definition.inputs,
            source=definition.origin.source,
        )

    return scope_of


def mistake_in(name: str, definition: Definition, mistake: EntryError) -> ConfigError:
    """Give the error of an entry with server, file and position."""
    origin = definition.origin
    line, column = next(iter(origin.locate((*definition.path, *mistake.path))), (None, None))
    if mistake.source is not None:
        line, column = mistake.line, None
    error = ConfigError(
        mistake.message,
        server=name,
        field=describe_path(mistake.path) or None,
        source=mistake.source or (origin.source if origin.file else None),
        line=line,
        column=column,
        hint=mistake.hint,
    )
    error.__cause__ = mistake.__cause__
    return error


def choose_profile(policy: Policy, asked: str | None, environ: Mapping[str, str]) -> Policy:
    """Activate the profile asked for, else the one the environment names, if any; "" means none.

    Raises:
        ConfigError: there is no such profile; lists those there are.
    """
    profile = environ.get(PROFILE_VARIABLE) if asked is None else asked
    if not profile:
        return policy
    try:
        return policy.activate(profile)
    except ConfigError as error:
        if asked is None:
            error.hint = f"The environment variable {PROFILE_VARIABLE} asks for it. {error.hint}"
        raise


def working_directory(cwd: str | Path | None) -> Path:
    """Make the working directory absolute; None is the process's own.

    Raises:
        ConfigError: it is gone.
    """
    try:
        return Path(os.path.abspath(cwd if cwd is not None else os.getcwd()))
    except OSError as error:
        message = "the working directory does not exist any more"
        raise ConfigError(message, hint="Change to a folder that exists.") from error


def _resolve(
    chosen: Mapping[str, Definition], folder: Path, environ: Mapping[str, str], warnings: list[str]
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    scope_of = scopes(folder, environ)
    entries: list[Entry] = []
    disabled: list[str] = []
    for key, definition in chosen.items():
        scope = scope_of(definition)
        try:
            check_name(key)
            if is_disabled(definition.raw):
                disabled.append(key)
                continue
            warnings += _misspelled(key, definition, scope)
            entries.append(_define(key, definition, scope))
        except EntryError as mistake:
            entries.append(_bad(key, definition, mistake))
    return tuple(entries), tuple(disabled)


def _define(name: str, definition: Definition, scope: Scope) -> Entry:
    def retry(ask: Ask) -> Entry:
        return _define(name, definition, msgspec.structs.replace(scope, ask=ask))

    try:
        return define(name, definition.raw, scope=scope, source=definition.origin.source)
    except InputNeededError as mistake:
        return msgspec.structs.replace(_bad(name, definition, mistake), retry=retry)
    except EntryError as mistake:
        return _bad(name, definition, mistake)


def _misspelled(name: str, definition: Definition, scope: Scope) -> Iterator[str]:
    if not isinstance(definition.raw, Mapping):
        return
    for key, meant in Fields(definition.raw, scope).misspelled().items():
        yield (
            f"{definition.origin.source}: server {name!r} has the unknown key {key!r}, which is not read; "
            f"did you mean {meant!r}?"
        )


def _bad(name: str, definition: Definition, mistake: EntryError) -> BadEntry:
    error = mistake_in(name, definition, mistake)
    shown = name.encode("utf-8", "replace").decode()
    return BadEntry(name=shown, error=error, source=definition.origin.source, outside=mistake.outside)


def _policy(given: object, readings: Iterable[Reading], folder: Path) -> Policy:
    match given:
        case Policy():
            return given
        case str() | os.PathLike():
            return read_policy(absolute_path(given, folder))
        case Mapping():
            return parse_policy(given, source=ARGUMENT)
        case None:
            places = (reading.origin.beside or reading.origin.file for reading in readings)
            file = next((place for place in places if place), None)
            found = find_policy(file, folder)
            return Policy() if found is None else read_policy(found)
        case _:
            message = f"a policy cannot be read from {describe_type(given)}"
            raise ConfigError(message, hint="Pass the path of a trunkline.toml, or a mapping of its tables.")

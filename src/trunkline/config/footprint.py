"""Every file that decides what a configuration says: those that are read, and those that would be if there.

What is below a variable, a URL or a program cannot be watched, and is not among them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from trunkline.config.entry_error import EntryError
from trunkline.config.expansion import Scope, expand, place
from trunkline.config.loading import scopes, working_directory
from trunkline.config.lookup import look_up
from trunkline.config.scopes import local_file, project_folder
from trunkline.config.source import ARGUMENT, absolute_path
from trunkline.config.survey import links_file

_INCLUDED = re.compile(r"\$\{file:([^${}]+)\}")
_MOST_LINKS = 40
"""Symbolic links followed on the way to one file, as in the kernel."""


def files_of(
    target: object,
    *,
    policy: object = None,
    cwd: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Path, ...]:
    """Give the files that `load` looks at for this target, there or not; each once.

    These are the server files, the list of links, linked files of other programs, the places of a
    `trunkline.toml`, and the files entries name as `envFile` or `${file:path}`.

    Raises:
        ConfigError: the working directory is gone.
    """
    variables = dict(os.environ if environ is None else environ)
    folder = working_directory(cwd)
    found = look_up(target, cwd=folder, environ=variables)
    files = [Path(file.path) for file in found.files if file.path != ARGUMENT and file.role != "policy"]
    if target is None:
        files += [links_file(variables), local_file(project_folder(folder), variables)]
    if isinstance(policy, str | os.PathLike):
        files.append(absolute_path(policy, folder))
    elif policy is None:
        files += [Path(file.path) for file in found.files if file.role == "policy"]
    scope_of = scopes(folder, variables)
    for definition in found.chosen.values():
        files += _named_in(definition.raw, scope_of(definition))
    return tuple(dict.fromkeys(files))


def named_files(
    sources: Sequence[str], *, cwd: str | Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Path, ...]:
    """Give the files that the entries of these server files name as `envFile` or `${file:path}`; each once.

    Raises:
        ConfigError: a file cannot be used, or the working directory is gone.
    """
    variables = dict(os.environ if environ is None else environ)
    folder = working_directory(cwd)
    found = look_up(list(sources), cwd=folder, environ=variables)
    scope_of = scopes(folder, variables)
    named = (_named_in(definition.raw, scope_of(definition)) for definition in found.chosen.values())
    return tuple(dict.fromkeys(itertools.chain.from_iterable(named)))


def entries_on_the_way(file: Path) -> tuple[Path, ...]:
    """Give each folder entry whose change can make this path mean another file.

    These are the file itself, and every symbolic link that leads to it. Where a folder is missing, its
    entry is the last one.
    """
    found: list[Path] = []
    here, left = Path(file.anchor), list(file.parts[1:])
    links = 0
    while left:
        name = left.pop(0)
        if name in (os.curdir, os.pardir):
            here = here if name == os.curdir else here.parent
            continue
        entry = here / name
        if (aim := _aim_of(entry)) is not None and links < _MOST_LINKS:
            links += 1
            found.append(entry)
            here = Path(aim.anchor) if aim.anchor else here
            left = [*(aim.parts[1:] if aim.anchor else aim.parts), *left]
        elif left and os.path.isdir(entry):
            here = entry
        else:
            found.append(entry)
            break
    return tuple(found)


def fingerprint(file: Path) -> str | None:
    """Give a digest of a file's content; "" for one that is empty or cannot be read, None for none."""
    import hashlib

    try:
        # What is no plain file may never end, and is read once only.
        content = file.read_bytes() if stat.S_ISREG(file.stat().st_mode) else b""
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(content).hexdigest() if content else ""


def _aim_of(entry: Path) -> Path | None:
    """Give what a symbolic link names; None for what is none, or cannot be seen."""
    try:
        return Path(os.readlink(entry))
    except OSError:
        return None


def _named_in(raw: object, scope: Scope) -> Iterator[Path]:
    if not isinstance(raw, Mapping):
        return
    if isinstance(named := raw.get("envFile"), str):
        with contextlib.suppress(EntryError):  # reported where the entry is
            yield Path(place(expand(named, scope, path=("envFile",)).value, scope))
    for text in _texts(raw):
        yield from (Path(place(match[1], scope)) for match in _INCLUDED.finditer(text))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for inner in value.values():
                yield from _texts(inner)
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)

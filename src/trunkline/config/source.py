"""From what the caller names to raw definitions: which servers, written where."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from trunkline.config.discovery import workspace_of
from trunkline.config.inputs import InputSpec, read_inputs
from trunkline.config.position import find_keys, line_and_column
from trunkline.config.replicas import Replicas
from trunkline.config.syntax import Members, parse_json, read_text, strip_comments
from trunkline.config.wording import KeyPath, describe_type
from trunkline.errors import ConfigError

ARGUMENT = "argument"
"""Source of what was passed as a value and stands in no file."""

_URL_STARTS = ("http://", "https://", "ws://", "wss://")
MAP_KEYS = ("mcpServers", "servers", "mcp_servers")
"""Keys under which files hold their servers."""
_NOT_SERVERS = frozenset({"$schema", "inputs"})

FileScope = Literal["named", "local", "project", "user", "link"]
"""Why a file is read: named by the caller, found in one of the scopes, or linked."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where definitions were written."""

    source: str
    """Absolute path of the file, or `argument`."""
    workspace: Path
    """Folder that relative paths start at."""
    file: Path | None = None
    text: str = ""
    """The file without comments, for positions, if it is JSON."""
    places: Mapping[KeyPath, tuple[int, int]] = {}
    """Line and column of each path, if it is not."""
    scope: FileScope = "named"
    """Why it is read: `named` by the caller, or found."""
    program: str = ""
    """The program whose file it is, for a link."""
    beside: Path | None = None
    """A file in the folder where the policy is looked for; None is `file`."""

    def locate(self, path: KeyPath) -> list[tuple[int, int]]:
        """Give line and column of every place where this path is written, or of its nearest parent."""
        if self.places:
            while path and path not in self.places:
                path = path[:-1]
            return [self.places[path]] if path else []
        if not self.text:
            return []
        while path and not (offsets := find_keys(self.text, path)):
            path = path[:-1]
        return [line_and_column(self.text, offset) for offset in offsets] if path else []


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """One server as written; `name` is None when nothing names it."""

    name: str | None
    raw: Any
    path: KeyPath
    """Where it stands in its file."""
    origin: Origin
    inputs: Mapping[str, InputSpec] = {}
    """What its file says about the values it leaves open."""
    repeated: bool = False
    """Whether the same object defines this name again."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one source holds, in its order."""

    origin: Origin
    definitions: tuple[Definition, ...]


def read_target(target: object, folder: Path) -> Reading:
    """Read one source: a URL, a path, a mapping or a live peer.

    Raises:
        ConfigError: a file cannot be read, or the target is none of these.
    """
    here = Origin(source=ARGUMENT, workspace=folder)
    match target:
        case str() if target.lower().startswith(_URL_STARTS):
            return _single({"url": target}, here)
        case str() | os.PathLike():
            return read_file(absolute_path(target, folder))
        case Mapping():
            return Reading(origin=here, definitions=_from_object(target, here))
        case _ if hasattr(target, "serve") or isinstance(target, Replicas):
            return _single(target, here)
        case _:
            message = f"servers cannot be read from {describe_type(target)}"
            hint = (
                "Pass a path, a URL, a mapping of servers, an object with a serve method, or a list of these."
            )
            raise ConfigError(message, hint=hint)


def read_file(
    path: Path,
    *,
    workspace: Path | None = None,
    scope: FileScope = "named",
    beside: Path | None = None,
) -> Reading:
    """Read one file; `workspace` is the folder it speaks for, by default the one it stands in.

    Raises:
        ConfigError: it cannot be read, is not JSON, or holds no object.
    """
    content, plain = read_object(path)
    origin = Origin(
        source=str(path),
        workspace=workspace or workspace_of(path),
        file=path,
        text=plain,
        scope=scope,
        beside=beside,
    )
    return Reading(origin=origin, definitions=_from_object(content, origin))


def read_object(path: Path) -> tuple[dict[str, Any], str]:
    """Give the object a JSON file holds, and its text without comments.

    Raises:
        ConfigError: it cannot be read, is not JSON, or holds no object.
    """
    source, text = str(path), read_text(path)
    content = parse_json(text, source=source)
    plain = strip_comments(text, source=source)
    if not isinstance(content, dict):
        message = f"the file must hold an object, not {describe_type(content)}"
        line, column = line_and_column(plain, len(plain) - len(plain.lstrip()))
        raise ConfigError(
            message, source=source, line=line, column=column, hint='Write {"mcpServers": {...}}.'
        )
    return content, plain


def absolute_path(target: str | os.PathLike[Any], folder: Path) -> Path:
    """Make a path the caller gave absolute; a relative one starts at `folder`, `~` is the home folder."""
    text = os.fspath(target)
    if not isinstance(text, str):
        raise ConfigError("a path must be text, not bytes", hint="Pass a str or a Path.")
    return Path(os.path.abspath(os.path.join(folder, os.path.expanduser(text))))


def repetition_warnings(definitions: Iterable[Definition]) -> Iterator[str]:
    """Say which names one object defines twice; the first definition is the one in use."""
    for definition in definitions:
        if definition.repeated:
            lines = " and ".join(str(line) for line, _ in definition.origin.locate(definition.path))
            where = f" (lines {lines})" if lines else ""
            yield (
                f"{definition.origin.source}: server {definition.name!r} is defined more than once{where}; "
                "the first is used"
            )


def _single(raw: object, origin: Origin) -> Reading:
    return Reading(origin=origin, definitions=(Definition(name=None, raw=raw, path=(), origin=origin),))


def _from_object(content: Mapping[Any, Any], origin: Origin) -> tuple[Definition, ...]:
    inputs = read_inputs(content, source=origin.source)
    definitions = _definitions(content, origin)
    return tuple(msgspec.structs.replace(one, inputs=inputs) if inputs else one for one in definitions)


def _definitions(content: Mapping[Any, Any], origin: Origin) -> Iterator[Definition]:
    keys = [key for key in MAP_KEYS if key in content]
    if keys:
        for key in keys:
            yield from _from_map(content[key], (key,), origin)
    elif any(isinstance(content.get(key), str) for key in ("command", "url")):
        yield Definition(name=None, raw=content, path=(), origin=origin)
    else:
        yield from _from_map(content, (), origin)


def _from_map(servers: object, path: KeyPath, origin: Origin) -> Iterator[Definition]:
    if servers is None:
        return
    if not isinstance(servers, Mapping):
        raise _refuse(f"must be an object of servers, not {describe_type(servers)}", path, origin)
    repeated = servers.repeated if isinstance(servers, Members) else ()
    for name, raw in servers.items():
        if not isinstance(name, str):
            raise _refuse(f"the name of a server must be a string, not {describe_type(name)}", path, origin)
        if not path and name in _NOT_SERVERS and not isinstance(raw, Mapping):
            continue
        yield Definition(name=name, raw=raw, path=(*path, name), origin=origin, repeated=name in repeated)


def _refuse(message: str, path: KeyPath, origin: Origin) -> ConfigError:
    line, column = next(iter(origin.locate(path)), (None, None))
    field = str(path[0]) if path else None
    source = origin.source if origin.file else None
    hint = 'Write {"name": {"command": "..."}} or {"name": {"url": "..."}}.'
    return ConfigError(message, field=field, source=source, line=line, column=column, hint=hint)

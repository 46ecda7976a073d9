"""Reading one file of another program into definitions like those of our own files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from trunkline.config.discovery import home_folder
from trunkline.config.hosts.conversion import CONVERSIONS
from trunkline.config.hosts.program import PROGRAMS, HostFile
from trunkline.config.hosts.server import HostServer, NoServersError, Setting
from trunkline.config.inputs import read_inputs
from trunkline.config.source import Definition, Origin, Reading, read_object
from trunkline.config.survey import links_file
from trunkline.config.syntax import read_text
from trunkline.config.wording import KeyPath, describe_path
from trunkline.errors import ConfigError

_TABLE = re.compile(r"[ \t]*\[{1,2}(?P<name>[^\[\]#]+)\]")
_ASSIGNMENT = re.compile(r"[ \t]*(?P<name>[\w-]+|\"[^\"]*\"|'[^']*')[ \t]*=")
_AT = re.compile(r"\s*\(at line (\d+), column (\d+)\)\Z|\s*\(at end of document\)\Z")
_Places = dict[KeyPath, tuple[int, int]]


class HostReading(msgspec.Struct, frozen=True, kw_only=True):
    """What one file of another program holds."""

    file: HostFile
    reading: Reading
    skipped: Mapping[str, str] = {}
    """Servers that cannot be used outside their program, each with the reason."""


def read_host(file: HostFile, folder: Path, environ: Mapping[str, str]) -> HostReading:
    """Read a file of another program, for a user who is in `folder`.

    Raises:
        ConfigError: it cannot be read; names the file and, where there is one, the line.
    """
    workspace = file.folder or _workspace(file, folder, environ)
    content, text, places = _parse(file)
    origin = Origin(
        source=str(file.path),
        workspace=workspace,
        file=file.path,
        text=text,
        places=places,
        scope="link",
        program=file.program,
        beside=links_file(environ),
    )
    try:
        servers = list(CONVERSIONS[file.program](content, Setting(folder=folder, workspace=workspace)))
    except NoServersError as error:
        raise _not_servers(origin, error.path) from None
    inputs = {
        **read_inputs(content.get("mcp"), source=str(file.path)),
        **read_inputs(content, source=str(file.path)),
    }
    definitions = tuple(
        Definition(
            name=server.name,
            raw=server.raw,
            path=server.path,
            origin=_origin_for(server, origin),
            inputs=inputs,
        )
        for server in servers
        if not server.skipped
    )
    skipped = {server.name: server.skipped for server in servers if server.skipped}
    return HostReading(file=file, reading=Reading(origin=origin, definitions=definitions), skipped=skipped)


def _origin_for(server: HostServer, origin: Origin) -> Origin:
    if server.project is None or server.project == origin.workspace:
        return origin
    return msgspec.structs.replace(origin, workspace=server.project)


def _workspace(file: HostFile, folder: Path, environ: Mapping[str, str]) -> Path:
    """A user's file speaks for the folder the user is in, except that a desktop program has none."""
    return Path(home_folder(environ)) if file.program == "claude-desktop" else folder


def _parse(file: HostFile) -> tuple[Mapping[str, Any], str, _Places]:
    match PROGRAMS[file.program].style:
        case "json":
            content, plain = read_object(file.path)
            return content, plain, {}
        case "toml":
            return _parse_toml(file.path)
        case "yaml":
            return _parse_yaml(file.path)


def _parse_toml(path: Path) -> tuple[Mapping[str, Any], str, _Places]:
    import tomllib

    text = read_text(path)
    try:
        return tomllib.loads(text), "", _toml_places(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid_toml(error, text, path) from error
    except RecursionError as error:
        raise ConfigError(
            "the TOML is nested too deeply", source=str(path), hint="Remove the nesting."
        ) from error


def _invalid_toml(error: ValueError, text: str, path: Path) -> ConfigError:
    # The parser of Python 3.11 gives the position of an error nowhere but in its text.
    at, reason = _AT.search(str(error)), _AT.sub("", str(error))
    return ConfigError(
        f"invalid TOML: {reason[:1].lower()}{reason[1:]}",
        source=str(path),
        line=int(at[1]) if at and at[1] else text.rstrip().count("\n") + 1,
        column=int(at[2]) if at and at[2] else None,
        hint="Correct the file; the program it belongs to cannot read it either.",
    )


def _toml_places(text: str) -> _Places:
    """Find the lines of tables and keys; a line inside a text of several lines may be taken for one."""
    places: _Places = {}
    table: KeyPath = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _TABLE.match(line):
            table = _toml_path(header["name"])
            places.setdefault(table, (number, line.index("[") + 1))
        elif key := _ASSIGNMENT.match(line):
            places.setdefault((*table, *_toml_path(key["name"])), (number, key.start("name") + 1))
    return places


def _toml_path(name: str) -> KeyPath:
    import tomllib

    path: list[str] = []
    try:
        table: Any = tomllib.loads(f"[{name}]\n")
    except tomllib.TOMLDecodeError:
        return (name,)
    while isinstance(table, dict) and table:
        key, table = next(iter(table.items()))
        path.append(key)
    return tuple(path)


def _parse_yaml(path: Path) -> tuple[Mapping[str, Any], str, _Places]:
    from trunkline.config.hosts.yaml_scalar import YamlError
    from trunkline.config.hosts.yaml_subset import read_member

    try:
        value, places = read_member(read_text(path), "extensions")
    except YamlError as error:
        raise ConfigError(
            f"the YAML is not understood: {error.message}",
            source=str(path),
            line=error.line,
            column=error.column,
            hint="Write it as Goose does: one key or item per line, texts in quotes.",
        ) from error
    except RecursionError as error:
        raise ConfigError(
            "the YAML is nested too deeply", source=str(path), hint="Remove the nesting."
        ) from error
    return {"extensions": value}, "", places


def _not_servers(origin: Origin, path: KeyPath) -> ConfigError:
    line, column = next(iter(origin.locate(path)), (None, None))
    return ConfigError(
        "the servers must stand in an object",
        field=describe_path(path),
        source=origin.source,
        line=line,
        column=column,
        hint=f"Open the file in {PROGRAMS[origin.program].title}, or correct it by hand.",
    )

"""Links: the files of other programs whose servers are ours too, for as long as they stand there.

`imports.json` lies beside the user's own server file and holds nothing but references:
`{"links": [{"program": "cursor", "scope": "user", "file": "/home/ann/.cursor/mcp.json"}]}`. A link to a
project's file has the project's `folder` and counts only inside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trunkline.config.discovery import exists
from trunkline.config.hosts.program import PROGRAMS, HostFile
from trunkline.config.hosts.reading import read_host
from trunkline.config.source import Reading, read_object
from trunkline.config.survey import links_file
from trunkline.config.wording import describe_type
from trunkline.errors import ConfigError

_FORM = '{"program": "cursor", "scope": "user", "file": "/path/of/mcp.json"}'


def read_links(environ: Mapping[str, str]) -> list[HostFile]:
    """Give the linked files, in the order in which the first wins a name.

    Raises:
        ConfigError: `imports.json` cannot be read or is not of our form.
    """
    path = links_file(environ)
    if not exists(path):
        return []
    content, _ = read_object(path)
    listed = content.get("links", [])
    if not isinstance(listed, list):
        raise ConfigError(
            f"must be a list, not {describe_type(listed)}",
            field="links",
            source=str(path),
            hint=f'Write {{"links": [{_FORM}]}}.',
        )
    return [_read_link(raw, number, path) for number, raw in enumerate(listed)]


def read_linked(folder: Path, environ: Mapping[str, str], warnings: list[str]) -> list[Reading]:
    """Read every linked file that counts in `folder`; one that cannot be read becomes a warning."""
    readings: list[Reading] = []
    for link in read_links(environ):
        if not applies(link, folder):
            continue
        if link.program not in PROGRAMS:
            warnings.append(f"{links_file(environ)}: the program {link.program!r} is not known; not read")
            continue
        try:
            found = read_host(link, folder, environ)
        except ConfigError as error:
            warnings.append(f"the servers linked from {PROGRAMS[link.program].title} are missing: {error}")
        else:
            readings.append(_beside(found.reading, links_file(environ)))
    return readings


def applies(link: HostFile, folder: Path) -> bool:
    """Say whether a link counts in `folder`: one of a project counts inside the project."""
    return link.folder is None or link.folder in (folder, *folder.parents)


def link_member(link: HostFile) -> dict[str, str]:
    """Give a link as it stands in `imports.json`."""
    member = {"program": link.program, "scope": link.scope, "file": str(link.path)}
    return member if link.folder is None else {**member, "folder": str(link.folder)}


def order_links(links: Iterable[HostFile]) -> list[HostFile]:
    """Give each link once: those of projects first, then by program."""
    keys = list(PROGRAMS)
    ranked = {link.path: link for link in links}
    return sorted(
        ranked.values(),
        key=lambda link: (
            link.scope != "project",
            keys.index(link.program) if link.program in keys else len(keys),
        ),
    )


def _read_link(raw: Any, number: int, path: Path) -> HostFile:
    link = raw if isinstance(raw, Mapping) else {}
    match link.get("scope"), link.get("program"), link.get("file"), link.get("folder"):
        case "user", str(program), str(file), None:
            return HostFile(program=program, path=Path(file), scope="user")
        case "project", str(program), str(file), str(folder):
            return HostFile(program=program, path=Path(file), scope="project", folder=Path(folder))
        case _:
            hint = f"Write {_FORM}, or remove it and run `trunkline import` again."
            raise ConfigError("this is not a link", field=f"links[{number}]", source=str(path), hint=hint)


def _beside(reading: Reading, file: Path) -> Reading:
    from msgspec.structs import replace

    origin = replace(reading.origin, beside=file)
    return replace(reading, origin=origin)

"""Links: the files of other programs whose servers are ours too, for as long as they stand there.

`imports.json` lies beside the user's own server file and holds nothing but references:
`{"links": [{"program": "cursor", "scope": "user", "file": "/home/ann/.cursor/mcp.json"}]}`. A link to a
project's file has the project's `folder` and counts only inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trunkline.config.discovery import exists
from trunkline.config.hosts.program import PROGRAMS, HostFile
from trunkline.config.source import read_object
from trunkline.config.survey import links_file
from trunkline.config.wording import describe_type
from trunkline.errors import ConfigError

_FORM = '{"program": "cursor", "scope": "user", "file": "/path/of/mcp.json"}'


def read_links(environ: Mapping[str, str]) -> list[HostFile]:
    """Give the linked files, in the order in which the first wins a name: projects first, then by program.

    Raises:
        ConfigError: `imports.json` cannot be read, is not of our form, or names an unknown program.
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
    links = [_read_link(raw, number, path) for number, raw in enumerate(listed)]
    order = list(PROGRAMS)
    return sorted(links, key=lambda link: (link.scope != "project", order.index(link.program)))


def applies(link: HostFile, folder: Path) -> bool:
    """Say whether a link counts in `folder`: one of a project counts inside the project."""
    return link.folder is None or link.folder in (folder, *folder.parents)


def link_member(link: HostFile) -> dict[str, str]:
    """Give a link as it stands in `imports.json`."""
    member = {"program": link.program, "scope": link.scope, "file": str(link.path)}
    return member if link.folder is None else {**member, "folder": str(link.folder)}


def _read_link(raw: Any, number: int, path: Path) -> HostFile:
    link = raw if isinstance(raw, Mapping) else {}
    match link.get("scope"), link.get("program"), link.get("file"), link.get("folder"):
        case "user", str(program), str(file), None if program in PROGRAMS:
            return HostFile(program=program, path=Path(file), scope="user")
        case "project", str(program), str(file), str(folder) if program in PROGRAMS:
            return HostFile(program=program, path=Path(file), scope="project", folder=Path(folder))
        case _:
            hint = (
                f"Write {_FORM} with a program that is known, or remove it and run `trunkline import` again."
            )
            raise ConfigError("this is not a link", field=f"links[{number}]", source=str(path), hint=hint)

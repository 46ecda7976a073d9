"""Carrying out an import: links written down, or entries copied into one of our files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trunkline.config.discovery import exists
from trunkline.config.hosts.links import link_member, read_links
from trunkline.config.hosts.plan import PlannedServer
from trunkline.config.hosts.program import HostFile
from trunkline.config.hosts.server import map_texts
from trunkline.config.inputs import input_member, inputs_used
from trunkline.config.server_text import add_input, add_server, names_in
from trunkline.config.source import Definition
from trunkline.config.survey import links_file
from trunkline.config.text_edit import add_member, render
from trunkline.config.writing import Written, rewrite

_PATHS = ("command", "cwd", "envFile")


def link_files(files: Iterable[HostFile], environ: Mapping[str, str]) -> Written:
    """Write links to these files into `imports.json`.

    Raises:
        ConfigError: it cannot be read or written.
    """
    path, wanted = links_file(environ), list(files)

    def edit(text: str) -> str:
        known = {link.path for link in read_links(environ)} if text.strip() else set()
        for link in wanted:
            if link.path not in known:
                text = _with_link(text, link, str(path))
        return text

    return rewrite(path, edit, environ=environ, private=True)


def unlink_files(programs: Iterable[str], environ: Mapping[str, str]) -> tuple[Written, list[HostFile]]:
    """Remove the links to these programs' files; gives the links removed.

    Raises:
        ConfigError: `imports.json` cannot be read or written.
    """
    named, path = set(programs), links_file(environ)
    removed: list[HostFile] = []

    def edit(text: str) -> str:
        links = read_links(environ)
        removed[:] = [link for link in links if link.program in named]
        if not removed:
            return text
        kept = [link_member(link) for link in links if link.program not in named]
        return render({"links": kept}) + "\n"

    if not exists(path):
        return Written(file=str(path), target=str(path), backup=None, undo=None), []
    return rewrite(path, edit, environ=environ, private=True), removed


def copy_servers(
    servers: Iterable[PlannedServer],
    path: Path,
    *,
    workspace: Path | None,
    private: bool,
    environ: Mapping[str, str],
) -> tuple[Written, list[str]]:
    """Copy entries into one of our files; gives the names that were copied.

    A name that appears there meanwhile is left alone.

    Args:
        workspace: the folder that file speaks for; None for the user's own, which speaks for none.

    Raises:
        ConfigError: the file cannot be read, changed safely, or written.
    """
    wanted = [(server, server.definition) for server in servers if server.definition is not None]
    copied: list[str] = []

    def edit(text: str) -> str:
        copied.clear()
        taken = set(names_in(text, source=str(path)))
        for server, definition in wanted:
            if server.name in taken or not isinstance(definition.raw, Mapping):
                continue
            entry = portable(definition, workspace, roaming=server.roaming)
            text = add_server(text, server.name, entry, source=str(path))
            for spec in inputs_used(definition.raw, definition.inputs):
                text = add_input(text, input_member(spec), source=str(path))
            copied.append(server.name)
            taken.add(server.name)
        return text

    return rewrite(path, edit, environ=environ, private=private), copied


def portable(definition: Definition, workspace: Path | None, *, roaming: bool) -> dict[str, Any]:
    """Give an entry that means in a file of `workspace` what it means where it stands.

    Args:
        roaming: its file speaks for whatever folder the user is in.
    """
    there, raw = definition.origin.workspace, dict(definition.raw)
    if workspace is not None and (roaming or there == workspace):
        return raw
    start = "${cwd}" if roaming else str(there)
    entry: dict[str, Any] = map_texts(raw, lambda text: text.replace("${workspaceFolder}", start))
    for key in _PATHS:
        if isinstance(text := entry.get(key), str) and _is_relative(text, key):
            entry[key] = f"{start}/{text.removeprefix('./')}"
    return entry


def _is_relative(text: str, key: str) -> bool:
    if text.startswith(("/", "~", "$")) or os.path.isabs(text):
        return False
    return key != "command" or text.startswith(("./", "../", ".\\", "..\\"))


def _with_link(text: str, link: HostFile, source: str) -> str:
    member = link_member(link)
    if not text.strip():
        return render({"links": [member]}) + "\n"
    if '"links"' not in text:
        return add_member(text, (), "links", [member], source=source)
    return add_member(text, ("links",), None, member, source=source)

"""What the commands that change server files share: which file is meant, and what was done to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline.cli.exits import UsageError
from trunkline.cli.options import Settings
from trunkline.cli.terminal import Terminal

if TYPE_CHECKING:
    from trunkline.config.scopes import ScopeName
    from trunkline.config.source import Definition, Reading
    from trunkline.config.writing import Written


class Target:
    """The file that is to be changed."""

    def __init__(self, path: Path, scope: str, workspace: Path | None) -> None:
        self.path = path
        self.scope = scope
        """`local`, `project`, `user`, or `named` for a file given with --config."""
        self.workspace = workspace
        """The folder it speaks for; None for the user's own."""

    @property
    def private(self) -> bool:
        """Whether a new file is for this user alone."""
        return self.scope in ("local", "user")


def choose_target(scope: str | None, settings: Settings, *, default: ScopeName) -> Target:
    """Give the file that --config names, or else that of a scope.

    Raises:
        UsageError: there is no such scope, or both or several files are named.
    """
    from trunkline.config.discovery import workspace_of
    from trunkline.config.scopes import project_folder, scope_file
    from trunkline.config.source import absolute_path

    folder = Path.cwd()
    if settings.config:
        if scope is not None or len(settings.config) > 1:
            raise UsageError("name one file with --config, or a scope with --scope")
        path = absolute_path(settings.config[0], folder)
        return Target(path, "named", workspace_of(path))
    name = read_scope(scope) or default
    path = scope_file(name, folder, os.environ)
    if name == "user":
        return Target(path, name, None)
    return Target(path, name, project_folder(folder) if name == "local" else workspace_of(path))


def read_scope(scope: str | None) -> ScopeName | None:
    """Give the scope of this name.

    Raises:
        UsageError: there is none.
    """
    from trunkline.config.scopes import SCOPES

    found = next((known for known in SCOPES if known == scope), None)
    if scope is not None and found is None:
        raise UsageError(f"there is no scope {scope!r}; scopes are {', '.join(SCOPES)}")
    return found


def read_definitions(settings: Settings) -> list[tuple[str, Definition]]:
    """Give every named definition in reach, in the order in which the first wins a name.

    Raises:
        ConfigError: a file of ours is broken, or there is none.
    """
    from trunkline.config.survey import read_sources

    names = list(settings.config) or None
    readings: list[Reading] = read_sources(names, Path.cwd(), os.environ, [])
    found = [definition for reading in readings for definition in reading.definitions]
    return [(definition.name, definition) for definition in found if definition.name is not None]


def place_of(definition: Definition) -> str:
    """Give file, line and column of a definition."""
    position = next(iter(definition.origin.locate(definition.path)), ())
    return ":".join(str(part) for part in (definition.origin.source, *position))


def no_such_server(name: str, known: list[str]) -> Exception:
    """Give the error of a name that nothing defines."""
    from trunkline.config.wording import nearest
    from trunkline.errors import NotFoundError

    close = nearest(name, known, cutoff=0.6)
    hint = f"Did you mean {close!r}?" if close else "`trunkline list` shows the servers."
    return NotFoundError(f"there is no server {name!r}", candidates=(close,) if close else (), hint=hint)


def report_change(
    terminal: Terminal, written: Written, sentence: str, document: Mapping[str, Any] | None = None
) -> None:
    """Say what was changed and how to undo it; with --json as a document."""
    from trunkline.cli.render import line

    if terminal.settings.as_json:
        terminal.print_document({"ok": True, **(document or {}), **change_document(written)})
        return
    terminal.note(line(sentence))
    note_undo(terminal, written)


def note_undo(terminal: Terminal, written: Written) -> None:
    """Write the line that undoes a change, to the letter unless it would act on the terminal."""
    if written.undo is not None:
        from trunkline.security.sanitize import sanitize_text

        terminal.note(f"undo: {sanitize_text(written.undo, multiline=False)}")


def change_document(written: Written) -> dict[str, Any]:
    """Give the members that every change has in its JSON document."""
    return {"file": written.file, "backup": written.backup, "undo": written.undo}


def masked(value: object) -> str:
    """Give a value of `env` or `headers` as it may be shown: a reference as it is, all else as ***."""
    import re

    text = value if isinstance(value, str) else str(value)
    return text if re.fullmatch(r"(?:[A-Za-z]+ )?(?:\$\{[^}]*\})+", text) else "***"

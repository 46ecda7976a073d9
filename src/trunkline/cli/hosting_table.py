"""What an import found, as a table for a person and as a document for a program."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from trunkline.cli.hosting import change_document
from trunkline.cli.render import align, line
from trunkline.config.discovery import home_folder

if TYPE_CHECKING:
    from trunkline.cli.style import Paint, Tone
    from trunkline.config.hosts.plan import PlannedFile, PlannedServer
    from trunkline.config.writing import Written

_TONES: dict[str, Tone] = {"new": "good", "broken": "bad", "clash": "busy", "unusable": "faint"}


def render_import(planned: Sequence[PlannedFile], paint: Paint, *, copy: bool) -> str:
    """Give a table with a line for each server, and each file that has none to offer."""
    rows: list[tuple[str, ...]] = [("PROGRAM", "SCOPE", "SERVER", "TYPE", "STATE", "FILE")]
    tones: list[str] = ["strong"]
    for file in _shown(planned):
        for server in file.servers or (None,):
            rows.append(_row(file, server, copy=copy))
            tones.append(_tone(file, server))
    lines = [
        paint(text, "strong") if tone == "strong" else paint(text, _TONES[tone]) if tone in _TONES else text
        for text, tone in zip(align(rows), tones, strict=True)
    ]
    return "\n".join([*lines, *_errors(planned)])


def import_document(
    planned: Iterable[PlannedFile], written: Written | None, *, copy: bool, dry_run: bool, count: int
) -> dict[str, Any]:
    """Give the document of `trunkline import`."""
    return {
        "ok": True,
        "mode": "copy" if copy else "link",
        "dry_run": dry_run,
        "count": count,
        "files": [_file_document(file) for file in planned],
        "written": None if written is None or written.undo is None else change_document(written),
    }


def shorten(path: str) -> str:
    """Write a path under the home folder with ~, for reading."""
    home = home_folder(os.environ)
    return f"~{path[len(home) :]}" if path.startswith(home + os.sep) else path


def _shown(planned: Sequence[PlannedFile]) -> list[PlannedFile]:
    return [file for file in planned if file.state != "missing"]


def _row(file: PlannedFile, server: PlannedServer | None, *, copy: bool) -> tuple[str, ...]:
    where = (line(file.file.program), file.file.scope)
    if server is None:
        return (
            *where,
            "-",
            "-",
            "broken" if file.error else "no servers",
            line(shorten(str(file.file.path))),
        )
    what = line(_state(file, server, copy=copy))
    return (*where, line(server.name), server.kind, what, line(shorten(str(file.file.path))))


def _state(file: PlannedFile, server: PlannedServer, *, copy: bool) -> str:
    match server.state:
        case "clash":
            return f"clash: {shorten(server.detail)} keeps the name"
        case "same":
            return f"same as in {shorten(server.detail)}"
        case "unusable":
            return f"not usable: {server.detail}"
        case "new":
            ready = "copy" if copy else {"new": "link"}.get(file.state, file.state)
            return f"{ready}, switched off" if server.disabled else ready


def _tone(file: PlannedFile, server: PlannedServer | None) -> str:
    if server is None:
        return "broken" if file.error else "unusable"
    return server.state


def _errors(planned: Iterable[PlannedFile]) -> list[str]:
    lines: list[str] = []
    for file in planned:
        if file.error is not None:
            lines.append(f"trunkline: warning: {line(str(file.error).splitlines()[0])}")
            lines += [f"  hint: {line(file.error.hint)}"] if file.error.hint else []
    return lines


def _file_document(file: PlannedFile) -> dict[str, Any]:
    return {
        "program": file.file.program,
        "scope": file.file.scope,
        "file": str(file.file.path),
        "state": file.state,
        "error": None if file.error is None else {"message": str(file.error), "hint": file.error.hint},
        "servers": [
            {
                "name": server.name,
                "type": server.kind,
                "state": server.state,
                "detail": server.detail or None,
                "disabled": server.disabled,
            }
            for server in file.servers
        ],
    }

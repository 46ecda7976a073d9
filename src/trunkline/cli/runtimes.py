"""Which running runtime a command means: that of its configuration, the named one, or the only one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from trunkline.cli.exits import UsageError
from trunkline.cli.options import Settings
from trunkline.cli.terminal import Terminal
from trunkline.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from trunkline.runtime.control_inspection import Inspector
    from trunkline.runtime.control_record import Record

RuntimeOption = Annotated[
    str | None,
    typer.Option("--runtime", metavar="PID", help="The process to ask, as `status --all` lists it."),
]

START = "`trunkline up` starts one that keeps running; a program has one with `connect(..., control=True)`."
_KINDS = ("up", "library", "command")


def running() -> list[Record]:
    """Give the records of all runtimes of this user that can be asked; removes what killed ones left."""
    from pathlib import Path

    from trunkline.runtime import control_place as place

    if not place.is_supported():
        raise UsageError("running processes cannot be asked on this system: it has no Unix sockets")
    folder = place.folder_of(os.environ)
    if not place.is_ours(folder):
        return []
    from trunkline.runtime.control_record import living

    return living(Path(folder), "up", "library", "command")


def choose(settings: Settings, named: str | None) -> Record:
    """Give the runtime that a command means.

    Args:
        named: what `--runtime` says.

    Raises:
        UnavailableError: no runtime runs, or none of this configuration.
        UsageError: several may be meant.
    """
    records = running()
    if named is not None:
        return _only([one for one in records if named in (str(one.pid), one.name)], records, named)
    if not records:
        raise UnavailableError("no runtime runs", code="no_runtime", hint=START)
    sources = _sources(settings)
    fitting = [one for one in records if _fits(one, sources)]
    if not fitting and sources is None and len(records) == 1:
        return records[0]
    for kind in _KINDS:
        if of_kind := [one for one in fitting if one.kind == kind]:
            return _only(_of_digest(of_kind, settings), of_kind, None)
    raise UnavailableError(
        f"no runtime runs for this configuration; running: {_listed(records)}",
        code="no_runtime",
        hint=f"`--runtime PID` asks one of these. {START}",
    )


def library_of(settings: Settings) -> Record | None:
    """Give the one program whose runtime has this configuration, if there is exactly one."""
    sources = _sources(settings)
    found = [one for one in running() if one.kind == "library" and _fits(one, sources)]
    return found[0] if len(found) == 1 else None


@contextmanager
def asking(record: Record) -> Iterator[Inspector]:
    """Be connected to a runtime while the body runs.

    Raises:
        UnavailableError: it has just ended, does not answer, or speaks another version of the protocol.
    """
    from trunkline.runtime import control_place as place
    from trunkline.runtime.control_inspection import Inspector
    from trunkline.runtime.control_link import ControlLink

    path = os.path.join(place.folder_of(os.environ), record.socket)
    try:
        link = ControlLink.open(path, None)
    except ConfigError as error:
        version = f" (Trunkline {record.version})" if record.version else ""
        raise UnavailableError(
            f"{describe(record)}{version} cannot be asked: {error.message}",
            code="other_version",
            hint="End it with the program that started it, or `trunkline down`, and start it again.",
        ) from error
    except TimeoutError as error:
        raise UnavailableError(
            f"{describe(record)} does not answer",
            code="no_answer",
            hint=f"It is stopped, or too busy: look at it with `ps {record.pid}`; `kill -CONT {record.pid}`"
            " continues one that was stopped.",
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"{describe(record)} cannot be reached: {error.strerror or error}",
            code="no_answer",
            hint="It may have just ended; `trunkline status --all` shows what runs.",
        ) from error
    with Inspector(link) as inspector:
        yield inspector


def describe(record: Record) -> str:
    """Name a runtime for a person."""
    from trunkline.cli.render import line

    return f"process {record.pid} ({line(record.program)})"


def describe_fully(record: Record) -> str:
    """Name a runtime and what it serves."""
    from trunkline.cli.render import line
    from trunkline.config.source import ARGUMENT

    files = [source for source in record.sources if source != ARGUMENT]
    return f"{describe(record)} of {line(', '.join(files) or record.folder or 'no file')}"


def note_choice(record: Record, terminal: Terminal) -> None:
    """Say which runtime is asked, with -v."""
    if terminal.settings.verbose:
        terminal.note(f"trunkline: asking {describe_fully(record)}")


def _only(found: Sequence[Record], among: Sequence[Record], named: str | None) -> Record:
    if len(found) == 1:
        return found[0]
    if not found and not among:
        raise UnavailableError("no runtime runs", code="no_runtime", hint=START)
    if not found:
        raise UnavailableError(
            f"no runtime of process {named} runs; running: {_listed(among)}", code="no_runtime"
        )
    names = ", ".join(f"{one.name} ({describe_fully(one)})" for one in found)
    raise UsageError(f"several runtimes may be meant: {names}", hint="`--runtime` takes these names too.")


def _fits(record: Record, sources: tuple[str, ...] | None) -> bool:
    """Whether a runtime serves these files, or is a program's that was started in this very folder."""
    from trunkline.config.source import ARGUMENT

    if sources is not None and record.sources == sources and ARGUMENT not in sources:
        return True
    is_here = record.kind == "library" and set(record.sources) <= {ARGUMENT}
    return is_here and record.folder == os.getcwd()


def _of_digest(records: list[Record], settings: Settings) -> list[Record]:
    """Of several background processes for the same files, keep the one of this very environment."""
    if len(records) == 1 or records[0].kind != "up":
        return records
    from trunkline.cli import session
    from trunkline.cli.warm.identity import identify

    digest = identify(session.read_config(settings.config, settings.profile)).digest
    return [one for one in records if one.digest == digest] or records


def _sources(settings: Settings) -> tuple[str, ...] | None:
    """Give the files this command line means, or None where there are none."""
    from trunkline.cli.adhoc import describe_server
    from trunkline.cli.sources import sources_of

    if describe_server(settings) is not None:
        raise UsageError("a server described by options is of no running runtime")
    try:
        return sources_of(settings) or None
    except ConfigError:
        if settings.config:
            raise
        return None


def _listed(records: Sequence[Record]) -> str:
    return "; ".join(describe_fully(one) for one in records)

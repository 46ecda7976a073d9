"""Whether a command uses warm servers: decided once, when its configuration is known."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from trunkline.cli import front
from trunkline.cli.options import Settings
from trunkline.cli.terminal import Terminal
from trunkline.runtime import control_place as place

if TYPE_CHECKING:
    from pathlib import Path

    from trunkline.cli.warm.identity import Identity
    from trunkline.config.loading import Config
    from trunkline.runtime.control_link import ControlLink
    from trunkline.runtime.control_record import Record

_TAKING_UP = 3.0
"""Seconds to wait for changed files to be taken up, which happens once they are quiet."""
_LOOK_AGAIN = 0.05
_COMMANDS = (*front.ATTACHING, "trunkline")
_link: ContextVar[ControlLink | None] = ContextVar("link", default=None)
_declines: ContextVar[bool] = ContextVar("declines", default=False)
_warned: ContextVar[bool] = ContextVar("warned", default=False)


class DeclinedError(BaseException):
    """This fork of a template cannot attach; the front runs the command itself."""


class _UnattachedError(Exception):
    """Why a command does not attach, in words for the person at the terminal."""

    def __init__(self, reason: str = "", *, is_warning: bool = False) -> None:
        super().__init__(reason)
        self.is_warning = is_warning


def attach_or_decline() -> None:
    """Let the command of this context raise DeclinedError rather than start servers itself."""
    _declines.set(True)


@contextmanager
def attaching() -> Iterator[None]:
    """Part from the warm servers at the end of the body, if it has attached to any."""
    token, warned = _link.set(None), _warned.set(False)
    try:
        yield
    finally:
        _warned.reset(warned)
        if (link := _link.get()) is not None:
            link.close()
        _link.reset(token)


def attach(config: Config, settings: Settings, terminal: Terminal) -> None:
    """Attach this command to the background process of its configuration, where there is one.

    Anything that stands in the way leaves the command to start its own servers; `-v` says why, and a
    changed file, or a process that does not answer, is a warning.

    Raises:
        DeclinedError: it cannot attach, and must not run here otherwise.
    """
    try:
        link = _find(config, settings)
    except _UnattachedError as reason:
        if _declines.get():
            raise DeclinedError from None
        _warned.set(reason.is_warning)
        if reason.is_warning:
            terminal.warn(str(reason))
        elif settings.verbose and str(reason):
            terminal.note(f"trunkline: {reason}")
        return
    _link.set(link)
    if settings.verbose:
        terminal.note(f"trunkline: attached to the background process {link.pid}")


def is_attached() -> bool:
    """Whether this command uses warm servers."""
    return _link.get() is not None


def has_warned() -> bool:
    """Whether it was said that there are warm servers, and why this command does not use them."""
    return _warned.get()


def use(link: ControlLink) -> None:
    """Attach this command to a background process it has found itself."""
    _link.set(link)


def attached(config: Config) -> ControlLink | None:
    """Give the connection to the background process for these servers of the configuration, or None.

    A server that has a person at the terminal asked for a value is not kept warm.

    Raises:
        DeclinedError: see `attach`.
    """
    asks = any(getattr(entry, "retry", None) is not None for entry in config.entries)
    if not asks:
        return _link.get()
    from trunkline.cli.hosting_asking import is_person_there

    if not is_person_there():
        return _link.get()
    if _declines.get():
        raise DeclinedError
    return None


def _find(config: Config, settings: Settings) -> ControlLink:
    if settings.no_daemon or settings.command not in _COMMANDS or not place.is_supported():
        raise _UnattachedError
    if place.is_switched_off(os.environ) or not place.sockets(os.environ, place.SOCKET):
        raise _UnattachedError
    if settings.wire is not None:
        raise _UnattachedError("--wire shows servers of the command's own")
    from pathlib import Path

    from trunkline.cli.warm.identity import identify

    try:
        identity = identify(config)
    except OSError:
        raise _UnattachedError from None
    folder = Path(place.folder_of(os.environ))
    socket = folder / f"{identity.name}{place.SOCKET}"
    if socket.exists() or is_taken_up(folder, identity):
        return _open(folder, identity)
    raise _explain(folder, identity)


def is_taken_up(folder: Path, identity: Identity) -> bool:
    """Wait for a process that follows these files to take up what they say now; whether one has."""
    from trunkline.runtime.control_record import living

    until = time.monotonic() + _TAKING_UP
    while any(record.follows and _has_changed(record, identity) for record in living(folder)):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_AGAIN)
    return (folder / f"{identity.name}{place.SOCKET}").exists()


def _has_changed(record: Record, identity: Identity) -> bool:
    return serves(record, identity) and record.folder == identity.folder and record.files != identity.files


def _open(folder: Path, identity: Identity) -> ControlLink:
    from trunkline.errors import ConfigError
    from trunkline.runtime.control_link import ControlLink
    from trunkline.runtime.control_record import lives, living

    try:
        return ControlLink.open(str(folder / f"{identity.name}{place.SOCKET}"), identity.digest)
    except ConfigError as error:
        raise _UnattachedError(f"the background process is not used: {error}") from error
    except OSError as error:
        lives_on = lives(folder, identity.name)
        record = next((one for one in living(folder) if one.name == identity.name), None)
        if record is None or not lives_on:
            reason = "the background process had been killed; what it left is removed"
            raise _UnattachedError(reason) from error
        silent = f"process {record.pid} of `trunkline up` does not answer: its servers are not used"
        mend = f"`kill -CONT {record.pid}` continues one that was stopped"
        raise _UnattachedError(f"{silent}; {mend}", is_warning=True) from error


def _explain(folder: Path, identity: Identity) -> _UnattachedError:
    """Say why a process that serves the same files is not the one to use."""
    from trunkline.runtime.control_record import living

    reasons = [_difference(record, identity) for record in living(folder) if serves(record, identity)]
    if not reasons:
        return _UnattachedError()
    return min(reasons, key=lambda reason: reason.is_warning)


def serves(record: Record, identity: Identity) -> bool:
    """Whether a background process was started for the same files."""
    return record.sources == identity.sources


def _difference(record: Record, identity: Identity) -> _UnattachedError:
    from trunkline.cli.render import line
    from trunkline.cli.warm.identity import digest_files

    changed = [path for path, digest in digest_files(record.files).items() if digest != record.files[path]]
    unused = f"the warm servers of process {record.pid} are not used"
    changed = changed or sorted(record.files.keys() ^ identity.files.keys())
    if changed:
        what = line(", ".join(path.removeprefix(f"{identity.folder}/") for path in changed))
        renewal = "`trunkline down` and `trunkline up` renew them"
        return _UnattachedError(
            f"{what} has changed since `trunkline up`: {unused}; {renewal}", is_warning=True
        )
    if record.folder != identity.folder:
        return _UnattachedError(
            f"{unused}: they were started in {line(record.folder)}, and a server has no cwd"
        )
    return _UnattachedError(f"{unused}: they were started with another environment")

"""Starting the background process and waiting until it serves; asking it to end and waiting until it has."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.cli.warm.background import ANNOUNCEMENT
from trunkline.errors import TrunklineError
from trunkline.runtime import control_place as place
from trunkline.runtime.control_record import Record, lives, living, path_of

if TYPE_CHECKING:
    from trunkline.runtime.control_link import ControlLink

_START = 60.0
"""Seconds the process may take to serve; servers connect after that."""
_END = 20.0
"""Seconds it may take to end: what it gives to calls, and what servers take to end."""
_EXIT = 5.0
"""Seconds from its last act to the end of its process."""
_LOOK_AGAIN = 0.02


class LaunchError(TrunklineError):
    """The background process could not be started, or did not end."""

    code = "background_process"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def launch(arguments: Sequence[str]) -> None:
    """Start `trunkline up --detached` with these arguments and return when a process serves.

    Raises:
        LaunchError: it ended before; what it said is in the message.
    """
    # -P: what lies in the working directory must not be imported in place of our own modules.
    command = [sys.executable, "-P", "-m", "trunkline", "up", "--detached", *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with process.stdout as pipe:
        said, announced = _listen(pipe.fileno(), time.monotonic() + _START)
    if announced:
        return
    process.kill()
    process.wait()
    message, _, advice = said.strip().removeprefix("trunkline: error: ").partition("\n  hint: ")
    raise LaunchError(
        message or "the background process ended at once",
        hint=advice or "`trunkline up --foreground` shows what it does.",
    )


def find(folder: Path, name: str, digest: str, patience: float = 0.0) -> ControlLink | None:
    """Connect to a background process, or give None when it does not run or does not answer."""
    from trunkline.errors import ConfigError
    from trunkline.runtime.control_link import ControlLink

    until = time.monotonic() + patience
    while True:
        with contextlib.suppress(OSError, ConfigError):
            return ControlLink.open(str(path_of(folder, name, place.SOCKET)), digest)
        if time.monotonic() >= until:
            return None
        time.sleep(_LOOK_AGAIN)


def not_found(folder: Path, name: str) -> LaunchError:
    """Give the error of a background process that ought to run by now and was not found."""
    record = next((one for one in living(folder) if one.name == name), None)
    if record is None:
        return LaunchError("the background process ended again", hint="`trunkline up --log` shows why.")
    return LaunchError(
        f"the background process {record.pid} does not answer",
        hint=f"`kill -CONT {record.pid}` continues one that was stopped; `kill -9 {record.pid}` ends it.",
    )


def end(folder: Path, record: Record) -> None:
    """End a background process as SIGTERM does and return when it has gone.

    Raises:
        LaunchError: it is still there after 20 s.
    """
    until = time.monotonic() + _END
    with _watched(record.pid) as wait_for_exit:
        _ask_to_end(folder, record)
        while lives(folder, record.name):
            if time.monotonic() >= until:
                raise LaunchError(
                    f"the background process {record.pid} does not end",
                    hint=f"End it with `kill -9 {record.pid}`; its servers end with it.",
                )
            time.sleep(_LOOK_AGAIN)
        wait_for_exit()


def _ask_to_end(folder: Path, record: Record) -> None:
    if (link := find(folder, record.name, record.digest)) is not None:
        with contextlib.closing(link), contextlib.suppress(OSError):
            link.ask_to_end()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGTERM)


@contextmanager
def _watched(pid: int) -> Iterator[Callable[[], object]]:
    """Give a wait for a process to be gone, where the system tells; bounded, as it has nothing left to do."""
    try:
        watch = os.pidfd_open(pid)
    except (AttributeError, OSError):
        yield lambda: None
        return
    try:
        yield lambda: select.select([watch], [], [], _EXIT)
    finally:
        os.close(watch)


def _listen(pipe: int, until: float) -> tuple[str, bool]:
    """Read what the process says until it announces itself or falls silent."""
    said = b""
    while (left := until - time.monotonic()) > 0:
        if not select.select([pipe], [], [], left)[0] or not (chunk := os.read(pipe, 65536)):
            break
        said += chunk
        lines = said.decode(errors="replace").splitlines(keepends=True)
        for line in lines:
            if line.startswith(ANNOUNCEMENT) and line.endswith("\n"):
                json.loads(line.removeprefix(ANNOUNCEMENT))
                return "", True
    return said.decode(errors="replace"), False

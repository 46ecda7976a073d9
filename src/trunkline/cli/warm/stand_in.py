"""A fork of the template that becomes the front's process: its streams, environment, folder, command."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from typing import Literal, NoReturn, TextIO

from trunkline.cli import front
from trunkline.cli.exits import INTERRUPTED
from trunkline.runtime.control_peer import is_same_user

DECLINING = 213
"""Exit code of a fork that declined; no command ends with it."""

_HEAD = 8
_MOST_BYTES = 16 * 1024 * 1024
_PATIENCE = 10.0


def ending_line(code: int) -> bytes:
    """Give the line that says how a fork ended; one that a signal ended counts as a shell counts it."""
    if code == DECLINING:
        return front.DECLINED + b"\n"
    return front.ENDED + b"%d\n" % (code if code >= 0 else 128 - code)


def send_line(link: socket.socket, data: bytes) -> None:
    """Tell a front, if it is still there."""
    with contextlib.suppress(OSError):
        link.sendall(data)


def stand_in(link: socket.socket, inherited: list[int]) -> NoReturn:
    """Be the front's process in this fresh fork: take its place, run its command, end."""
    code = DECLINING
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in inherited:
            os.close(descriptor)
        argv = _take_place(link)
        code = 1
        code = _run(argv)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException:
        # boundary: whatever happens in a fork, it must not go on as the template
        if code != DECLINING:
            sys.excepthook(*sys.exc_info())
    finally:
        send_line(link, ending_line(code))  # at once: to give a process's memory back takes as long as a call
        os._exit(code)


def _take_place(link: socket.socket) -> list[str]:
    """Read the front's message and become its process.

    Raises:
        Exception: the front has gone, or is not one this template can stand for.
    """
    link.settimeout(_PATIENCE)
    head, streams, _, _ = socket.recv_fds(link, _HEAD, 3)
    fields = _read(link, int(head, 16)).split(b"\0")
    program, folder, mask, count, *rest = map(os.fsdecode, fields)
    if _read(link, 1) != front.GO or not is_same_user(link):
        raise PermissionError("the front gave up, or belongs to another user")
    if program != front.interpreter() or len(streams) != 3:
        raise ValueError("the front is another program")
    os.chdir(folder)
    os.umask(int(mask))
    _replace_streams(list(streams))
    os.environ.clear()
    for name, _, value in (pair.partition("=") for pair in rest[int(count) :]):
        os.environ[name] = value
    time.tzset()
    return rest[: int(count)]


def _replace_streams(received: list[int]) -> None:
    """Make the front's three streams the standard streams of this process."""
    for number, descriptor in enumerate(received):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = _open_stream(0, "r", sys.stdin)
    sys.stdout = _open_stream(1, "w", sys.stdout)
    sys.stderr = _open_stream(2, "w", sys.stderr)


def _open_stream(number: int, mode: Literal["r", "w"], like: TextIO) -> TextIO:
    """Open a standard stream as the interpreter does at its start."""
    stream = open(number, mode, encoding=like.encoding, errors=like.errors, closefd=False)  # noqa: SIM115
    stream.reconfigure(line_buffering=number == 2 or stream.isatty())
    return stream


def _read(link: socket.socket, size: int) -> bytes:
    if size > _MOST_BYTES:
        raise ValueError("the message is too long")
    data = bytearray()
    while len(data) < size:
        if not (chunk := link.recv(size - len(data))):
            raise EOFError("the front has gone")
        data += chunk
    return bytes(data)


def _run(argv: list[str]) -> int:
    from trunkline.cli.main import main
    from trunkline.cli.warm.attachment import DeclinedError, attach_or_decline

    attach_or_decline()
    sys.argv = ["trunkline", *argv]
    try:
        return main(argv)
    except DeclinedError:
        return DECLINING
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()

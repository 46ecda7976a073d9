"""The template process: it has every command imported and forks one process for each command line.

A fork is what the front's own process would have become: it has its streams, arguments, environment,
folder and mask, and loads the configuration anew. It only ever attaches to warm servers. Where it cannot,
it declines before it has read or written anything, and the front runs the command itself.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal, NoReturn, TextIO

from trunkline.cli import front
from trunkline.runtime.control_peer import is_same_user

DECLINING = 213
"""Exit code of a fork that declined; no command ends with it."""

_BACKLOG = 64
_HEAD = 8
_MOST_BYTES = 16 * 1024 * 1024
_PATIENCE = 10.0
_MODULES = (
    "asyncio", "difflib", "fnmatch", "hashlib", "json", "mimetypes", "msgspec", "traceback", "unicodedata",
    "encodings.utf_8_sig", "trunkline.runtime.control_client", "trunkline.security.sanitize",
)  # fmt: skip
_PACKAGES = ("trunkline.cli", "trunkline.cli.warm", "trunkline.config")


@contextmanager
def template_running(path: str) -> Iterator[None]:
    """Run a template process that serves at `path` while the body runs.

    Forks: enter it before there are threads or an event loop. Without a template commands still attach,
    only slower, so that a template that cannot start is not an error.
    """
    lifeline, ours = os.pipe()
    ready, theirs = os.pipe()
    if (process := os.fork()) == 0:
        run_template(path, lifeline, theirs)
    for descriptor in (lifeline, theirs):
        os.close(descriptor)
    with open(ready, "rb") as pipe:
        select.select([pipe], [], [], _PATIENCE)
    try:
        yield
    finally:
        os.close(ours)
        os.waitpid(process, os.WNOHANG)


def run_template(path: str, lifeline: int, ready: int) -> NoReturn:
    """Serve command lines at `path` until the other end of `lifeline` is closed; never returns.

    Call it in a fresh fork that has no threads and no event loop.

    Args:
        ready: written to and closed once `path` is there.
    """
    code = 1
    try:
        _close_all_but(lifeline, ready)
        os.setsid()
        _ignore_signals()
        preload()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            os.umask(0o177)
            listener.bind(path)
            listener.listen(_BACKLOG)
            os.write(ready, b"1")
            os.close(ready)
            _Forks(listener, lifeline).serve()
        code = 0
    finally:
        os._exit(code)


def preload() -> None:
    """Import what commands need, so that forks need not."""
    from importlib import import_module
    from pkgutil import iter_modules

    for name in _MODULES:
        import_module(name)
    for package in _PACKAGES:
        for found in iter_modules(import_module(package).__path__, f"{package}."):
            import_module(found.name)
    with contextlib.suppress(ImportError):
        import_module("uvloop")
    _rehearse()
    gc.collect()
    gc.freeze()


def _rehearse() -> None:
    """Build every command once and print its help nowhere: what that makes and imports stays."""
    from trunkline.cli.commands import keep_command
    from trunkline.cli.main import main

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        for command in front.ATTACHING:
            keep_command(command)
            main([command, "--help"])


class _Forks:
    """The forks of one template, and the fronts that wait for them."""

    def __init__(self, listener: socket.socket, lifeline: int) -> None:
        self._listener = listener
        self._lifeline = lifeline
        self._fronts: dict[int, tuple[int, socket.socket]] = {}
        """By descriptor of its connection, which stays ours while the fork runs."""
        self._poll = select.poll()
        self._woken, self._wake = os.pipe()

    def serve(self) -> None:
        """Fork for every connection until the lifeline ends, then stay until every fork has ended."""
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for descriptor in (self._listener.fileno(), self._lifeline, self._woken):
            self._poll.register(descriptor, select.POLLIN)
        while self._listener.fileno() >= 0 or self._fronts:
            for descriptor, _ in self._poll.poll():
                self._answer(descriptor)
            self._reap()

    def _answer(self, descriptor: int) -> None:
        if descriptor == self._listener.fileno():
            self._fork()
        elif descriptor == self._lifeline:
            self._poll.unregister(self._lifeline)
            self._poll.unregister(self._listener)
            self._listener.close()
        elif descriptor == self._woken:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
        elif (found := self._fronts.get(descriptor)) is not None:
            # Nothing but its end is polled for: whoever waited for the command is gone.
            self._poll.unregister(descriptor)
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[0], signal.SIGTERM)

    def _fork(self) -> None:
        try:
            front_end, _ = self._listener.accept()
        except OSError:
            return
        if (process := os.fork()) == 0:
            ours = [self._listener.fileno(), self._lifeline, self._woken, self._wake, *self._fronts]
            _run_command(front_end, ours)
        descriptor = front_end.fileno()
        self._fronts[descriptor] = process, front_end
        self._poll.register(descriptor, 0)
        _send(front_end, front.ACCEPTED + b"%d\n" % process)

    def _reap(self) -> None:
        for process, status in _ended_children():
            found = [(key, link) for key, (owner, link) in self._fronts.items() if owner == process]
            for descriptor, link in found:
                with contextlib.suppress(KeyError):
                    self._poll.unregister(descriptor)
                del self._fronts[descriptor]
                _send(link, _ending(os.waitstatus_to_exitcode(status)))
                link.close()


def _ended_children() -> Iterator[tuple[int, int]]:
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            return
        yield process, status


def _ending(code: int) -> bytes:
    """Give the line that says how a fork ended; one that a signal ended counts as a shell counts it."""
    if code == DECLINING:
        return front.DECLINED + b"\n"
    return front.ENDED + b"%d\n" % (code if code >= 0 else 128 - code)


def _send(link: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        link.sendall(data)


def _close_all_but(*kept: int) -> None:
    """Close what the background process has open: its lock must end with it, not with this process."""
    edges = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for below, above in pairwise(edges):
        os.closerange(below + 1, above)


def _ignore_signals() -> None:
    """Leave signals to the background process, whose end ends this one."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _run_command(link: socket.socket, inherited: list[int]) -> NoReturn:
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
    except BaseException:
        # boundary: whatever happens in a fork, it must not go on as the template
        if code != DECLINING:
            sys.excepthook(*sys.exc_info())
    finally:
        _send(link, _ending(code))  # at once: to give a process's memory back takes as long as a call
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
    except KeyboardInterrupt:
        return 130
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()

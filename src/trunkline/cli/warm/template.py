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
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from trunkline.cli import front
from trunkline.cli.warm.stand_in import ending_line, send_line, stand_in

_BACKLOG = 64
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
            stand_in(front_end, ours)
        descriptor = front_end.fileno()
        self._fronts[descriptor] = process, front_end
        self._poll.register(descriptor, 0)
        send_line(front_end, front.ACCEPTED + b"%d\n" % process)

    def _reap(self) -> None:
        for process, status in _ended_children():
            found = [(key, link) for key, (owner, link) in self._fronts.items() if owner == process]
            for descriptor, link in found:
                with contextlib.suppress(KeyError):
                    self._poll.unregister(descriptor)
                del self._fronts[descriptor]
                send_line(link, ending_line(os.waitstatus_to_exitcode(status)))
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


def _close_all_but(*kept: int) -> None:
    """Close what the background process has open: its lock must end with it, not with this process."""
    for descriptor in map(int, os.listdir("/dev/fd")):
        if descriptor > 2 and descriptor not in kept:
            with contextlib.suppress(OSError):  # the one the folder was read with
                os.close(descriptor)


def _ignore_signals() -> None:
    """Leave signals to the background process, whose end ends this one."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

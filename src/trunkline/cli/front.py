"""The program's entry: hands the command line to a template process where one runs, or runs it itself.

A template process (`trunkline.cli.warm.template`) has every command imported and forks one process for
each command line, which gets the standard streams, the arguments, the environment and the folder of this
one, and attaches to the warm servers or declines. So this module must stay cheap: it imports nothing
that a bare interpreter has not loaded, but for `_socket`.
"""

from __future__ import annotations

import os
import sys

from trunkline._version import __version__
from trunkline.runtime import control_place as place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

ATTACHING = ("list", "tools", "info", "search", "call", "read", "prompt", "status")
"""The commands that use warm servers; no command at all is `list`."""

ACCEPTED, DECLINED, ENDED = b"p", b"d", b"x"
"""First byte of an answer's line: the process that runs the command; that it does not; its exit code."""

GO = b"g"
"""What lets the accepted command begin: one that was given up before never runs."""

LOST = 7
"""Exit code when the process that ran the command vanished: what it did is not known."""

_FLAGS = ("--json", "-v", "-vv", "--verbose", "--read-only")
_VALUED = ("--config", "--timeout", "--profile", "--log-format")
_FORWARDED = (1, 2, 15, 28)
"""SIGHUP, SIGINT, SIGTERM and SIGWINCH, alike on every system that has fork."""
_IGNORED = 1
"""SIG_IGN, as `nohup` sets it."""
_PATIENCE = 10.0


def run() -> None:
    """The console script."""
    code = None
    if attaches(sys.argv[1:], os.environ) and place.is_supported():
        code = hand_over(sys.argv[1:], os.environ)
    if code is not None:
        os._exit(code)  # nothing is left to write, and an orderly end of the interpreter costs time
    from trunkline.cli.main import run as run_here

    run_here()


def attaches(argv: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether this command line may use warm servers; when in doubt it runs in its own process."""
    if place.is_switched_off(environ):
        return False
    words = iter(argv)
    for word in words:
        if word in ATTACHING:
            return "--no-daemon" not in argv
        if word in _VALUED:
            next(words, None)
        elif word not in _FLAGS and not word.startswith(tuple(f"{option}=" for option in _VALUED)):
            return False
    return True


def hand_over(argv: Sequence[str], environ: Mapping[str, str]) -> int | None:
    """Let a template process run the command and give its exit code; None when nothing has run."""
    found = place.sockets(environ, place.TEMPLATE)
    if not found:
        return None
    try:
        import _socket

        for descriptor in (0, 1, 2):
            os.fstat(descriptor)
        message = encode_request(argv, environ)
    except (ImportError, OSError, ValueError):
        return None
    for path in found:
        link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            code = _talk(link, _socket, path, message)
        except OSError:
            code = None
        finally:
            link.close()
        if code is not None:
            return code
    return None


def encode_request(argv: Sequence[str], environ: Mapping[str, str]) -> bytes:
    """Give the message to a template: its length, and the fields apart from each other by a null byte."""
    mask = os.umask(0o077)
    os.umask(mask)
    head = [interpreter(), os.getcwd(), str(mask), str(len(argv))]
    pairs = [f"{name}={value}" for name, value in environ.items()]
    body = b"\0".join(os.fsencode(field) for field in (*head, *argv, *pairs))
    return b"%8x" % len(body) + body


def interpreter() -> str:
    """Name what must be the same for a fork to behave as a process of our own: code, flags, encodings."""
    encodings = [stream.encoding for stream in (sys.stdin, sys.stdout, sys.stderr) if stream]
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # Both differ between a program and the same one started by it: -P, and the locale it has coerced.
    flags = str(sys.flags).replace("safe_path=True", "safe_path=False").replace("utf8_mode=1", "utf8_mode=0")
    python = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("PYTHON"))
    parts = [__version__, package, sys.prefix, sys.version, flags, sys.warnoptions, sys._xoptions]
    return repr([*parts, sys.getfilesystemencoding(), encodings, python])


def _talk(link: Any, sockets: Any, path: str, message: bytes) -> int | None:
    with _Forwarding() as signals:
        link.settimeout(_PATIENCE)
        link.connect(path)
        streams = b"".join(descriptor.to_bytes(4, sys.byteorder) for descriptor in (0, 1, 2))
        link.sendmsg([message[:8]], [(sockets.SOL_SOCKET, sockets.SCM_RIGHTS, streams)])
        link.sendall(message[8:])
        line = _read_line(link)
        if line[:1] != ACCEPTED:
            return None
        link.sendall(GO)
        link.settimeout(None)
        signals.forward_to(int(line[1:]))
        return _await_end(link)


def _await_end(link: Any) -> int | None:
    """Wait for the command's end; from here on it may have had effects, so nothing runs it again."""
    try:
        line = _read_line(link)
    except OSError:
        line = b""
    if line[:1] == DECLINED:
        return None
    if line[:1] == ENDED:
        return int(line[1:])
    os.write(2, b"trunkline: error: the background process was lost while the command ran\n")
    return LOST


class _Forwarding:
    """Takes signals while the body runs, for the process that runs the command."""

    def __init__(self) -> None:
        self._process = 0
        self._waiting: list[int] = []
        self._signals: Any = sys.modules.get("_signal")
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Forwarding:
        for number in _FORWARDED if self._signals is not None else ():
            before = self._signals.getsignal(number)
            if before != _IGNORED:
                self._before[number] = self._signals.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            self._signals.signal(number, before)
        for number in () if self._process else self._waiting:
            os.kill(os.getpid(), number)

    def forward_to(self, process: int) -> None:
        """Pass on what came and what comes."""
        self._process = process
        for number in self._waiting:
            self._take(number)

    def _take(self, number: int, _frame: object = None) -> None:
        if not self._process:
            self._waiting.append(number)
            return
        try:
            os.kill(self._process, number)
        except OSError:
            return


def _read_line(link: Any) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        chunk: bytes = link.recv(1)
        if not chunk:
            return b""
        line += chunk
    return line

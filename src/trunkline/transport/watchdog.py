"""Our side of the watchdog: one process per process of ours that ends our servers if we die without closing.

It is started with the first server and told of each process group over a pipe, whose end it takes for ours.
POSIX only.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

logger = logging.getLogger("trunkline.transport")

_PROGRAM = Path(__file__).with_name("watchdog_process.py")
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Variables an interpreter may need to start; it gets no others, as they may be secrets."""
_LEAVE = 0.5
"""Seconds to wait, at our own end, for a watchdog that has nothing to do."""


class Watchdog:
    """Process groups that must not outlive this process. Callable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        if sys.platform != "win32":
            # A fork that held the pipe open would keep our end from being noticed.
            os.register_at_fork(after_in_child=self._forget)
        atexit.register(self._leave)

    @property
    def pid(self) -> int | None:
        """Process id of the watchdog, or None while there is none."""
        return None if self._process is None else self._process.pid

    def watch(self, group: int) -> None:
        """Have a process group ended with us."""
        with self._lock:
            self._groups.add(group)
            self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """Take a group back that has ended: its number may belong to others from now on."""
        with self._lock:
            if group in self._groups:
                self._groups.discard(group)
                self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        try:
            if self._process is not None:
                os.write(self._pipe, line.encode())
                return
        except OSError:
            # It was killed, or does not read any more: a new one is told everything.
            self._drop()
        if not self._groups:
            return
        try:
            self._start()
            os.write(self._pipe, "".join(f"+{group}\n" for group in sorted(self._groups)).encode())
        except OSError as error:
            logger.warning("there is no watchdog, so servers may outlive this process: %s", error)

    def _start(self) -> None:
        if getattr(sys, "frozen", False) or not sys.executable:
            return
        reading, self._pipe = os.pipe()
        try:
            os.set_blocking(self._pipe, False)
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                (sys.executable, "-I", "-S", str(_PROGRAM), str(os.getpid())),
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(reading)

    def _drop(self) -> None:
        if self._process is not None:
            os.close(self._pipe)
            self._process.kill()
            self._process.wait()
            self._process = None

    def _leave(self) -> None:
        """Let it go: it ends what is left, and itself."""
        if (process := self._process) is None:
            return
        self._process = None
        os.close(self._pipe)
        if not self._groups:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LEAVE)
        # What is left of it ends without us, which is no reason for a warning.
        process.returncode = process.returncode or 0

    def _forget(self) -> None:
        """In a fork of ours: neither the watchdog nor what it watches is the fork's."""
        self._lock = threading.Lock()
        self._groups.clear()
        if self._process is not None:
            os.close(self._pipe)
            self._process.returncode = 0
            self._process = None


WATCHDOG = Watchdog()
"""The one of this process."""

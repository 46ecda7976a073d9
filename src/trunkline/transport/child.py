"""A child process started without the loop's help, so that it is the same under every loop.

asyncio spends a thread on each child (Python 3.11), and uvloop hands a child descriptors that are not
its own; here the kernel tells of the end through a descriptor. POSIX only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from trunkline.transport.pipes import ChildPipes
from trunkline.transport.watchdog import WATCHDOG

_REAP = 0.2
"""Seconds to wait, without the loop, for a child that was killed at the last moment."""


class Child:
    """One child process, which leads a process group of its own. Starting it does not wait.

    Args:
        pipes: its standard streams; nothing else of ours is open in it.
        on_exit: called once, from the loop, when it has ended.

    Raises:
        OSError, ValueError: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None,
        pipes: ChildPipes,
        on_exit: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._process = subprocess.Popen(  # noqa: S603 - running configured commands is what stdio is
            command,
            stdin=pipes.child_stdin,
            stdout=pipes.child_stdout,
            stderr=pipes.child_stderr,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
        WATCHDOG.watch(self._process.pid)
        self._watch = _open_watch(self._process.pid)
        try:
            self._begin_watching()
        except BaseException:
            # A loop may be unable to watch descriptors, and a process nobody watches must not live on.
            self.close()
            raise

    def get_pid(self) -> int:
        """Give its process id, which is also its group's."""
        return self._process.pid

    def get_returncode(self) -> int | None:
        """Give its exit code, negative for a signal, or None while it runs."""
        return self._process.returncode

    def kill(self) -> None:
        """End it at once; `on_exit` is still called."""
        self._process.kill()

    def close(self) -> None:
        """Let go of it; one that still runs is killed."""
        WATCHDOG.release(self._process.pid)
        self._unwatch()
        if self._process.poll() is None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAP)

    def _begin_watching(self) -> None:
        if self._watch is not None:
            self._loop.add_reader(self._watch, self._look)
        else:
            threading.Thread(target=self._wait, name=f"child {self._process.pid}", daemon=True).start()

    def _look(self) -> None:
        if self._process.poll() is not None:
            self._unwatch()
            self._on_exit()

    def _wait(self) -> None:
        self._process.wait()
        # The loop may have been closed meanwhile; then nobody wants to know.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_exit)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._loop.remove_reader(self._watch)
            os.close(self._watch)
            self._watch = None


def _open_watch(pid: int) -> int | None:
    """Give a descriptor that becomes readable when the process ends, where the kernel has such (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            return os.pidfd_open(pid)
    return None

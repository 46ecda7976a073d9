"""Who belongs to a server: its process and every process that comes from it, with what they take. Linux.

A process belongs to a tree when its parent does, or when it is in the session that the server began; it
belongs to it from then on, whatever becomes of its parent. One that has left the session and lost its parent
between two looks is not found.

Source: proc(5), `/proc/pid/stat` and `/proc/pid/smaps_rollup`.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import msgspec

from trunkline.transport.process import signal_group

_PROC = "/proc"
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_ROUNDS = 10
"""How often processes are looked for that were begun while the others were ended."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one tree takes at one moment."""

    memory: int
    """Bytes resident; what its processes share is counted in each."""
    largest: int
    """Bytes resident of its largest process."""
    cpu_seconds: float
    """Of the processes that live, and of those that they have waited for."""
    processes: int


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process at one moment."""

    pid: int
    parent: int
    group: int
    session: int
    begun: int
    """Tells it from a later one of the same id."""
    cpu_seconds: float
    memory: int
    ended: bool
    """Whether it only waits to be collected by its parent."""


class Tree:
    """One server's processes, by id."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.members: dict[int, Process] = {}

    def owns(self, process: Process) -> bool:
        """Whether a process that is new comes from this tree."""
        return process.pid == self.root or process.session == self.root or process.parent in self.members

    def usage(self) -> Usage:
        """Add up what its processes took when they were last looked at."""
        living = [process for process in self.members.values() if not process.ended]
        return Usage(
            memory=sum(process.memory for process in living),
            largest=max((process.memory for process in living), default=0),
            cpu_seconds=sum(process.cpu_seconds for process in self.members.values()),
            processes=len(living),
        )

    def shared_memory(self) -> int:
        """Give its resident memory with what processes share divided among them: exact, and dear where it
        is large."""
        return sum(_proportional(process) for process in self.members.values() if not process.ended)


class Census:
    """Looks at all processes, once for any number of trees; what is not new is looked at only in a tree."""

    def __init__(self) -> None:
        self.trees: set[Tree] = set()
        self._known: set[int] = set()

    def take(self) -> None:
        """Bring every tree up to date."""
        running = {int(name) for name in os.listdir(_PROC) if name.isdigit()}
        fresh = [process for pid in running - self._known if (process := look_at(pid)) is not None]
        self._known = running
        for tree in self.trees:
            _renew(tree)
            _join(tree, fresh)

    def end(self, tree: Tree) -> None:
        """Kill every process of a tree, those begun meanwhile too."""
        for _ in range(_ROUNDS):
            signal_group(tree.root, signal.SIGKILL)
            for process in tree.members.values():
                _kill(process)
            before = set(tree.members)
            self.take()
            if tree.members.keys() <= before:
                return


def look_at(pid: int) -> Process | None:
    """Give what the system says of a process, or None when there is none."""
    try:
        with open(f"{_PROC}/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return Process(
            pid=pid,
            parent=int(fields[1]),
            group=int(fields[2]),
            session=int(fields[3]),
            begun=int(fields[19]),
            cpu_seconds=sum(map(int, fields[11:15])) / _TICKS,
            memory=int(fields[21]) * _PAGE,
            ended=fields[0] in (b"Z", b"X"),
        )
    except (OSError, IndexError, ValueError):
        return None


def look_again(process: Process) -> Process | None:
    """Give a process as it is now, or None when it has ended."""
    now = look_at(process.pid)
    return now if now is not None and now.begun == process.begun and not now.ended else None


def _renew(tree: Tree) -> None:
    now = {pid: look_at(pid) for pid in tree.members}
    tree.members = {
        pid: process
        for pid, process in now.items()
        if process is not None and process.begun == tree.members[pid].begun
    }


def _join(tree: Tree, fresh: list[Process]) -> None:
    """Take in what is new; a child may stand before its parent in the list."""
    while joining := [one for one in fresh if one.pid not in tree.members and tree.owns(one)]:
        tree.members |= {process.pid: process for process in joining}


def _kill(process: Process) -> None:
    if look_again(process) is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGKILL)


def _proportional(process: Process) -> int:
    try:
        with open(f"{_PROC}/{process.pid}/smaps_rollup", "rb") as file:
            return sum(_sizes(file.read()))
    except (OSError, ValueError):
        return process.memory


def _sizes(rollup: bytes) -> Iterator[int]:
    for line in rollup.splitlines():
        if line.startswith(b"Pss:"):
            yield int(line.split()[1]) * 1024

"""What a server started and that has left its process group: found while that runs, ended after it. Linux.

It is followed from parent to child, so what has lost its parent before it was seen is not found, as daemons
are not.

Source: proc(5), `/proc/pid/task/tid/children`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from trunkline.transport.census import Process, look_again, look_at


class Kin:
    """Processes of one server, by id; who was seen stays known. Its group is for others to end.

    Args:
        root: the server's process, which leads the group.
        known: processes that are known to come from it.
    """

    def __init__(self, root: int, known: Iterable[Process] = ()) -> None:
        self.root = root
        self._known = {process.pid: process for process in known if process.pid != root}

    def look(self, *, root: bool) -> None:
        """Find more.

        Args:
            root: whether the server's process still runs, so that its number is its own.
        """
        fresh = [*([self.root] if root else ()), *self._known]
        seen = set(fresh)
        while fresh:
            born = set(_children(fresh.pop())) - seen
            seen |= born
            fresh += born
            self._known |= {pid: process for pid in born if (process := look_at(pid)) is not None}

    def strike(self, number: int) -> bool:
        """Signal those outside the group that still run; whether anybody was there."""
        now = [process for one in self._known.values() if (process := look_again(one)) is not None]
        self._known = {process.pid: process for process in now}
        outside = [process.pid for process in now if process.group != self.root]
        for pid in outside:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        return bool(outside)


def _children(pid: int) -> Iterator[int]:
    """Give the children of a process, which are those of its threads."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                yield from map(int, file.read().split())

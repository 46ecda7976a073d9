"""The watchdog: `python watchdog_process.py PID` ends the process groups it was told of once PID is gone.

Standard input brings lines: `+GROUP` to watch a group, `-GROUP` to forget it; its end is the end of PID. What
is left then gets SIGTERM and, a moment later, SIGKILL: the groups, and on Linux also what descends from them
or is in their sessions. Standard library only, and little of that: it is started with the first server.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time  # noqa: TID251 - a process of its own, without a loop

GRACE = 0.4
"""Seconds between SIGTERM and SIGKILL."""
_LOOK_AGAIN = 0.02
_ROUNDS = 10
"""How often SIGKILL is repeated, for what was just being started."""

Mark = tuple[int, int]
"""A process: its id, and when it started, since ids come again."""


def main(parent: int) -> None:
    """Watch until the parent is gone, then end what is left."""
    groups: dict[int, int | None] = {}
    listen(groups, parent)
    if known := {group for group, began in groups.items() if is_still(group, began)}:
        end(known)


def listen(groups: dict[int, int | None], parent: int, source: int = 0) -> None:
    """Keep the groups as the source says, with the start of their leaders, until that or the parent ends."""
    inputs = [source]
    # A fork of the parent may hold the pipe open; this tells of the parent itself (Linux).
    with contextlib.suppress(OSError, AttributeError):
        inputs.append(os.pidfd_open(parent))
    rest = b""
    while True:
        ready = select.select(inputs, [], [])[0]
        if source not in ready:
            return
        data = os.read(source, 65536)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            group = int(line[1:])
            if line[:1] == b"+":
                groups[group] = started(group)
            else:
                groups.pop(group, None)


def started(pid: int) -> int | None:
    """Give when a process was started; None if it has ended, or where there is no /proc."""
    facts = read_facts(pid)
    return None if facts is None else facts[3]


def is_still(group: int, began: int | None) -> bool:
    """Whether the number is still that group's: it is not given away while the group has members."""
    now = started(group)
    return now is None or now == began


def end(groups: set[int]) -> None:
    """End the groups and all that belongs to them, within GRACE and a moment."""
    strays = find_strays(groups)
    strike(groups, strays, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        if not strike(groups, strays, 0):
            return
        time.sleep(_LOOK_AGAIN)
    for _ in range(_ROUNDS):
        strays |= find_strays(groups | {pid for pid, _ in strays})
        if not strike(groups, strays, signal.SIGKILL):
            return
        time.sleep(_LOOK_AGAIN)


def strike(groups: set[int], strays: set[Mark], number: int) -> bool:
    """Send a signal to all; whether anybody was there."""
    met = False
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, number)
            met = True
    for pid, began in strays:
        if (facts := read_facts(pid)) is None or facts[3] != began:
            continue
        with contextlib.suppress(OSError):
            os.kill(pid, number)
            met = True
    return met


def find_strays(roots: set[int]) -> set[Mark]:
    """Give what has left the groups: descendants, and members of their sessions. Linux only, else nothing."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return set()
    every = {pid: facts for pid in pids if (facts := read_facts(pid)) is not None}
    found = {pid for pid, (_, group, session, _) in every.items() if roots & {pid, group, session}}
    grown = True
    while grown:
        children = {pid for pid, facts in every.items() if facts[0] in found} - found
        found |= children
        grown = bool(children)
    return {(pid, every[pid][3]) for pid in found if every[pid][1] not in roots}


def read_facts(pid: int) -> tuple[int, int, int, int] | None:
    """Give parent, group, session and start of a process that runs, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[0] == b"Z":
        return None
    return int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19])


if __name__ == "__main__":
    main(int(sys.argv[1]))
    os._exit(0)

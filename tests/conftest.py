"""What every test gets: the asyncio backend, the repository, the reference servers, and a watch on leaks.

A test fails when a task, child process, socket or pipe that it opened is still there at its end.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import subprocess
import threading
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

import trunkline
from trunkline.testing.cutting import Awaiting, Place, find_awaits
from trunkline.testing.stage import Cuts

settings.register_profile("a busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("a busy machine")

# Begun in the background, where shells let programs ignore Ctrl-C, or by nohup; tests send both signals.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
PROC = Path("/proc/self")
GRACE = 2.0
"""Seconds that a child process or descriptor may take to vanish after its test."""


class Peers(NamedTuple):
    """How to start each reference server, and the interpreter that has the official SDK."""

    time: tuple[str, ...]
    git: tuple[str, ...]
    filesystem: tuple[str, ...]
    """Append the directories it may serve."""
    everything: tuple[str, ...]
    """Append `stdio`, `sse` or `streamableHttp`; the port of the latter two is `PORT` in its environment."""
    python: str
    older: str
    """A Python that has the first major version of the SDK."""
    conformance: tuple[str, ...]
    """The official conformance suite; append its command."""


class Repository(NamedTuple):
    """The working tree these tests belong to."""

    root: Path
    files: tuple[Path, ...]
    """Every file git tracks or would add, relative to `root`, sorted."""


class Awaits:
    """Which test cuts what waits in the source, as `tests/awaits.toml` says."""

    def __init__(self, source: Path, areas: dict[str, dict[str, list[str]]]) -> None:
        self.source = source
        self.areas = areas
        self._answered: dict[str, dict[str, Awaiting]] = {}

    def check(self, area: str, found: Cuts) -> None:
        """Hold that what was found cuts all that an area answers for, and nothing that never waits."""
        after_all = [name for name, one in self.answered_by("never").items() if found.meet(one)]
        assert (self.missed(area, found), after_all) == ([], [])

    def missed(self, area: str, found: Cuts) -> list[str]:
        """Name what an area answers for and was not cut in both ways."""
        return [name for name, one in self.answered_by(area).items() if found.miss(one)]

    def places_of(self, area: str) -> set[Place]:
        """Give where a play of an area is to look: what it answers for, and what is said never to wait."""
        waits = (self.answered_by(area) | self.answered_by("never")).values()
        return {place for one in waits for place in one.places}

    def answered_by(self, area: str) -> dict[str, Awaiting]:
        """Give what an area answers for, by its name."""
        if area not in self._answered:
            own = self.areas[area]
            others = [other for name, other in self.areas.items() if name != area]
            left = {one for other in others for one in other.get("more", [])}
            waits = {name: one for module in own["modules"] for name, one in self.of(module).items()}
            more = {name: self.of(name.partition(":")[0])[name] for name in own.get("more", [])}
            self._answered[area] = {name: one for name, one in waits.items() if name not in left} | more
        return self._answered[area]

    def of(self, module: str) -> dict[str, Awaiting]:
        """Give what waits in a module, by its name; where the same text waits again, that has a number."""
        found: dict[str, Awaiting] = {}
        for one in sorted(find_awaits(self.source / module, self.source), key=lambda one: one.first):
            number = sum(str(one) == str(other) for other in found.values())
            found[f"{one} ({number + 1})" if number else str(one)] = one
        return found


@pytest.fixture(scope="session")
def awaits() -> Awaits:
    """Give what says which test has to cut what."""
    areas = tomllib.loads((ROOT / "tests/awaits.toml").read_text(encoding="utf-8"))
    return Awaits(Path(trunkline.__file__).parent, areas)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio only."""
    return "asyncio"


@pytest.fixture(scope="session")
def peers() -> Peers:
    """Give the installed reference servers; fail, and do not skip, when they are missing."""
    python = ROOT / ".peers/python/bin"
    servers = ROOT / ".peers/node/node_modules/@modelcontextprotocol"
    suite = servers / "conformance/dist/index.js"
    node = shutil.which("node")
    # The suite needs a newer Node than the servers do; npm installs one where there is one for the platform.
    newer = next((ROOT / ".peers/node/node_modules").glob("node-*/bin/node"), node)
    found = Peers(
        time=(str(python / "mcp-server-time"), "--local-timezone", "UTC"),
        git=(str(python / "mcp-server-git"),),
        filesystem=(node or "node", str(servers / "server-filesystem/dist/index.js")),
        everything=(node or "node", str(servers / "server-everything/dist/index.js")),
        python=str(python / "python"),
        older=str(ROOT / ".peers/older/bin/python"),
        conformance=(str(newer), str(suite)),
    )
    wanted = (found.older, found.time[0], found.git[0], found.filesystem[1], found.everything[1], str(suite))
    missing = [path for path in wanted if not Path(path).is_file()]
    if missing or node is None:
        pytest.fail(
            f"reference servers are not installed ({missing[0] if missing else 'node'}): run make peers"
        )
    return found


@pytest.fixture(scope="session")
def repository() -> Repository:
    """Give the working tree and its files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = sorted({Path(name) for name in listed.split("\0") if name})
    return Repository(root=ROOT, files=tuple(path for path in files if (ROOT / path).is_file()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the reference servers, so that `-m "not peers"` runs without them."""
    for item in items:
        if "peers" in getattr(item, "fixturenames", ()):
            item.add_marker("peers")


def pytest_collection_finish() -> None:
    """Keep the thousands of tests out of Python's collections of garbage, each a third of a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_is_left_open(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a process or descriptor; async tests are watched from their own loop."""
    if request.node.get_closest_marker("leaves_open"):
        yield
    elif "anyio_backend" in request.fixturenames:
        request.getfixturevalue("nothing_is_left_running")
        yield
    else:
        before = census()
        yield
        for _ in range(int(GRACE / 0.02)):
            if not (left := leaked(before)):
                return
            threading.Event().wait(0.02)
        pytest.fail(f"left open by the test: {', '.join(left)}")


@pytest.fixture
async def nothing_is_left_running() -> AsyncIterator[None]:
    """Fail an asynchronous test that leaves a task, process or descriptor."""
    before, tasks = census(), asyncio.all_tasks()
    yield
    for _ in range(10):
        await asyncio.sleep(0)
    names = [
        f"task {task.get_name()} {task.get_coro()}"
        for task in asyncio.all_tasks() - tasks
        if not _runs_tests(task)
    ]
    for _ in range(int(GRACE / 0.02)):
        if not (left := leaked(before)):
            break
        await asyncio.sleep(0.02)
    if names or left:
        pytest.fail(f"left open by the test: {', '.join([*names, *left])}")


def census() -> frozenset[str]:
    """Give the open sockets, pipes and child processes of this process; empty where there is no /proc."""
    return frozenset(_descriptors(PROC)) | frozenset(_children())


def leaked(before: frozenset[str]) -> list[str]:
    """Give what is open now and was not `before`, apart from the one watchdog process and its pipe."""
    left = census() - before
    if left:
        gc.collect()
        left = census() - before
    commands = {child: _command(child.split()[1]) for child in left if child.startswith("process ")}
    watchdogs = {child for child, command in commands.items() if "watchdog" in command}
    theirs = {end for child in watchdogs for end in _descriptors(Path("/proc", child.split()[1]))}
    return sorted(f"{one} {commands.get(one, '')}".rstrip() for one in left - watchdogs - theirs)


def _runs_tests(task: asyncio.Task[object]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")


def _descriptors(process: Path) -> Iterator[str]:
    try:
        entries = os.listdir(process / "fd")
    except OSError:
        return
    for entry in entries:
        try:
            target = os.readlink(process / "fd" / entry)
        except OSError:
            continue
        if target.startswith(("socket:", "pipe:")):
            yield target


def _children() -> Iterator[str]:
    # A list may lack a child while another one ends (proc(5), "children"), so it is read until it stays.
    before, found = None, _child_ids()
    while found != before:
        before, found = found, _child_ids()
    for pid in found:
        # Its command is not told yet: it is none for a moment after a process was started.
        yield f"process {pid}"


def _child_ids() -> list[str]:
    pids: list[str] = []
    for listing in PROC.glob("task/*/children"):
        with suppress(OSError):
            pids += listing.read_text().split()
    return sorted(pids)


def _command(pid: str) -> str:
    try:
        return (
            Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        )
    except OSError:
        return "(ended)"

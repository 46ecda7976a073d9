"""Where programs wait, and at which turns of the loop to cut them short so that every such place is met.

    with Lookout(SOURCE).watching(loop) as lookout:
        seen = [...]                   # at each turn: lookout.find_of(task), or lookout.find_all()
    for turn in choose_turns(seen):    # few turns, every place
        ...                            # play it again, and cancel, or lose the peer, at this turn
    uncut = [one for one in find_awaits(path) if ...]

Works on any loop of asyncio's; on a `VirtualTimeLoop` a program takes the same turns each time it is played.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import gc
import inspect
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

Place = tuple[str, int]
"""A file, relative to its source folder, and a line."""


class Awaiting(NamedTuple):
    """Something in the source at which a program may wait."""

    file: str
    first: int
    last: int
    text: str

    @property
    def places(self) -> frozenset[Place]:
        """Every place at which a program that waits here may be seen."""
        return frozenset((self.file, line) for line in range(self.first, self.last + 1))

    def is_among(self, places: Collection[Place]) -> bool:
        """Whether a program was seen to wait here."""
        return not self.places.isdisjoint(places)

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


def waiting_places(task: asyncio.Task[Any], source: Path) -> Iterator[Place]:
    """Give the place of every coroutine of this source that a task waits in, outermost first."""
    folder = f"{source}/"
    waiting: Any = task.get_coro()
    while waiting is not None:
        if type(waiting).__name__ in ("async_generator_asend", "coroutine_wrapper"):
            waiting = _inside(waiting)
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "ag_frame", None)
        if frame is not None and frame.f_code.co_filename.startswith(folder):
            yield frame.f_code.co_filename.removeprefix(folder), frame.f_lineno
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "ag_await", None)


class _Watched(asyncio.Task[Any]):
    """A task that tells when it is cancelled."""

    on_cancel: Callable[[_Watched], object] = staticmethod(lambda _: None)

    def cancel(self, msg: Any = None) -> bool:
        self.on_cancel(self)
        return super().cancel(msg)


class Lookout:
    """Tells, turn by turn, where tasks wait, and where they are cancelled.

    Who has not moved is not looked at again.

    Args:
        source: whose places are told.
        among: the places that count; None for all.
    """

    def __init__(self, source: Path, among: Collection[Place] | None = None) -> None:
        self._source = source
        self._among = None if among is None else frozenset(among)
        self.cancelled: set[Place] = set()
        """Where tasks waited when they were cancelled, by whoever did that; to be emptied at will."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._known: dict[asyncio.Task[Any], tuple[object, frozenset[Place]]] = {}

    @contextmanager
    def watching(self, loop: asyncio.AbstractEventLoop) -> Iterator[Self]:
        """Watch the tasks of a loop that begin while the body runs."""

        def begin(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
            task = _Watched(work, loop=loop, **options)
            task.on_cancel = self._note_cancelled
            self._tasks.add(task)
            return task

        # Asking asyncio for all tasks at every turn would take longer than all else.
        before = loop.get_task_factory()
        loop.set_task_factory(begin)
        try:
            yield self
        finally:
            loop.set_task_factory(before)

    def find_waiting(self) -> list[asyncio.Task[Any]]:
        """Give the tasks that wait anywhere in the source, but for those of the servers of the test kit."""
        return [task for task in self._find_tasks() if self._waits_in_source(task)]

    def find_all(self) -> frozenset[Place]:
        """Give the places at which any task that is watched waits."""
        found = [places for task in self._find_tasks() if (places := self.find_of(task))]
        return frozenset().union(*found)

    def find_of(self, task: asyncio.Task[Any]) -> frozenset[Place]:
        """Give the places at which one task waits."""
        # Nothing public tells whether a task has moved; it waits for another future once it has.
        waited_for = getattr(task, "_fut_waiter", None)
        known = self._known.get(task)
        if known is not None and known[0] is waited_for is not None:
            return known[1]
        found = frozenset(waiting_places(task, self._source))
        if self._among is not None:
            found &= self._among
        self._known[task] = waited_for, found
        return found

    def _find_tasks(self) -> set[asyncio.Task[Any]]:
        self._tasks = {task for task in self._tasks if not task.done()}
        return self._tasks

    def _waits_in_source(self, task: asyncio.Task[Any]) -> bool:
        work = task.get_coro()
        if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
            return False
        files = {file for file, _ in waiting_places(task, self._source)}
        return bool(files) and not any(file.startswith("testing/") for file in files)

    def _note_cancelled(self, task: asyncio.Task[Any]) -> None:
        # Who cancels itself waits nowhere yet.
        if task is not asyncio.current_task():
            self.cancelled |= self.find_of(task)


def choose_turns(seen: list[frozenset[Place]]) -> list[int]:
    """Give few turns that meet every place between them.

    Args:
        seen: for each turn the places at which was waited.
    """
    left: set[Place] = set().union(*seen)
    chosen: list[int] = []
    while left:
        best = max(range(len(seen)), key=lambda turn: len(seen[turn] & left))
        chosen.append(best)
        left -= seen[best]
    return sorted(chosen)


@functools.cache
def find_awaits(path: Path, source: Path) -> tuple[Awaiting, ...]:
    """Give everything in a file at which may be waited; `asyncio.timeout` itself never does."""
    return tuple(_awaits_in(path, source))


def _awaits_in(path: Path, source: Path) -> Iterator[Awaiting]:
    file = str(path.relative_to(source))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Await):
            yield Awaiting(file, node.lineno, node.end_lineno or node.lineno, ast.unparse(node))
        elif isinstance(node, ast.AsyncFor):
            last = node.iter.end_lineno or node.lineno
            yield Awaiting(file, node.lineno, last, f"async for ... in {ast.unparse(node.iter)}")
        elif isinstance(node, ast.AsyncWith):
            text = ast.unparse(node.items[0])
            if "timeout" not in text:
                yield Awaiting(file, node.lineno, node.lineno, f"async with {text}")


def _inside(wrapper: object) -> Any:
    """Give the coroutine or generator that a step of it, or `__await__` of it, stands for."""
    inner = gc.get_referents(wrapper)
    return next((one for one in inner if hasattr(one, "cr_frame") or hasattr(one, "ag_frame")), None)

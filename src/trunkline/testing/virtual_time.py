"""An asyncio loop whose clock is virtual: an hour of timers runs in a millisecond, always in the same order.

For programs whose only waiting is on timers and on each other, such as a client and a fake server over
memory. Sockets, processes and threads are refused: they take real time, which here does not pass.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Callable
from itertools import groupby
from typing import Any, NoReturn


class DeadlockError(RuntimeError):
    """Nothing is ready and no timer is set, so nothing could ever happen again."""


class RealIOError(RuntimeError):
    """Something real was asked for: a socket, a process or a thread."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer whenever nothing is ready.

    Use it as `asyncio.Runner(loop_factory=VirtualTimeLoop)`, or as anyio's backend
    `("asyncio", {"loop_factory": VirtualTimeLoop})`; for a seeded schedule with
    `partial(VirtualTimeLoop, seed=7)` in its place.

    Args:
        start: what the clock shows at the beginning, in seconds.
        seed: tasks that could go on in the same turn do so in an order drawn from it: the same seed gives
            the same order, another seed another one. Callbacks keep their order, and no task passes one, as
            asyncio promises. None lets tasks go on in the order in which they became able to.

    Raises:
        DeadlockError: from whatever runs the loop, when every task waits for something no timer brings.
        RealIOError: from whatever asks for a socket, a process or a thread.
    """

    _ready: deque[asyncio.Handle]

    def __init__(self, start: float = 0.0, *, seed: int | None = None) -> None:
        self._now = float(start)
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - an order, not a secret
        super().__init__(_JumpingSelector(self._jump, self._describe_wait))

    def time(self) -> float:
        """Give the virtual moment, in seconds; it moves only when the loop has nothing else to do."""
        return self._now

    def _run_once(self) -> None:
        if self._random is not None and len(self._ready) > 1:
            self._shuffle_tasks(self._random)
        super()._run_once()  # type: ignore[misc]

    def _shuffle_tasks(self, order: random.Random) -> None:
        """Let neighboring tasks change places; none passes a callback, which may be what it waits for."""
        shuffled: list[asyncio.Handle] = []
        for are_steps, run in groupby(self._ready, _is_step):
            handles = list(run)
            if are_steps:
                order.shuffle(handles)
            shuffled += handles
        self._ready.clear()
        self._ready.extend(shuffled)

    def _jump(self, seconds: float) -> None:
        self._now += seconds

    def _describe_wait(self) -> str:
        waiting = sorted(f"{task.get_name()} in {_place(task)}" for task in asyncio.all_tasks(self))
        return "; ".join(waiting) or "no task at all"


class _JumpingSelector(selectors.DefaultSelector):
    """Looks at the descriptors without waiting, and moves the clock instead."""

    def __init__(self, jump: Callable[[float], None], describe_wait: Callable[[], str]) -> None:
        super().__init__()
        self._jump = jump
        self._describe_wait = describe_wait

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready now; else jump by `timeout`."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise DeadlockError(f"nothing is ready and no timer is set; waiting: {self._describe_wait()}")
        self._jump(timeout)
        return ready


def _is_step(handle: asyncio.Handle) -> bool:
    """Tell whether a handle lets a task go on."""
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # type: ignore[attr-defined]


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise RealIOError(
            f"a VirtualTimeLoop has no `{name}`: what it waits for takes real time, which here does not pass;"
            " serve a FakeServer in memory, or run this test on an ordinary loop"
        )

    refuse.__name__ = name
    return refuse


for _name in (
    *("add_reader", "add_writer", "run_in_executor", "getaddrinfo", "getnameinfo"),
    *("create_connection", "create_server", "create_unix_connection", "create_unix_server"),
    *("create_datagram_endpoint", "connect_accepted_socket", "connect_read_pipe", "connect_write_pipe"),
    *("sock_accept", "sock_connect", "sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into"),
    *("sock_sendall", "sock_sendto", "sock_sendfile", "sendfile", "start_tls"),
    *("subprocess_exec", "subprocess_shell"),
):
    setattr(VirtualTimeLoop, _name, _refuse(_name))


def _place(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    if not frames:
        return "an unknown place"
    code = frames[-1].f_code
    return f"{code.co_qualname} (line {frames[-1].f_lineno})"

"""The scenarios: ordinary failures, and what a client has to make of each.

In all of them every call ends in time, each call reaches a server once at most, an answer is the right one,
an error says something, and the client can be closed.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from trunkline.testing.eras import Family
from trunkline.testing.faults import Fault
from trunkline.testing.lab.trial import Entry, Trial

_BOTH: tuple[Family, ...] = ("legacy", "modern")
_SLOW = 1.5
"""Seconds a slow server takes to start."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One failure."""

    name: str
    title: str
    passes: str
    """What counts as passing, in one sentence."""
    families: tuple[Family | None, ...]
    """The families it is played in; None is once, for servers that speak both."""
    play: Callable[[Trial], Awaitable[None]]


async def _crash(trial: Trial) -> None:
    server = trial.make_server()
    server.tool("crash")
    server.fault("crash", Fault.kill)
    await trial.connect(shop=trial.as_process(server))
    await trial.answer()
    await trial.fail("the call during which it crashes", "crash")
    await trial.recover()


async def _restart(trial: Trial) -> None:
    server = trial.make_server()
    listener = await trial.listen(server)
    await trial.connect(shop={"url": listener.url})
    await trial.answer()
    listener.crash()
    await listener.start()
    await trial.pause()
    await trial.recover()


async def _down(trial: Trial) -> None:
    server = trial.make_server()
    listener = await trial.listen(server)
    await trial.connect(shop={"url": listener.url})
    await trial.answer()
    listener.crash()
    await trial.fail("the call while it is down")
    await listener.start()
    await trial.recover()


async def _silent(trial: Trial) -> None:
    server = trial.make_server()
    server.fault("*", Fault.hang)
    if await trial.connect_or_fail(shop=trial.as_process(server)):
        await trial.fail("the call to it")


async def _several(trial: Trial) -> None:
    well, silent = trial.make_server(), trial.make_server("silent")
    silent.fault("*", Fault.hang)
    broken: dict[str, Entry] = {
        "missing": {"command": "a-command-that-does-not-exist", "args": []},
        "exits": {"command": sys.executable, "args": ["-c", "raise SystemExit(3)"]},
    }
    await trial.connect(**broken, shop=trial.as_process(well), silent=trial.as_process(silent))
    await trial.answer("the call to the healthy one")
    trial.hurry("the answer of the healthy one")
    for name in (*broken, "silent"):
        await trial.fail(f"the call to `{name}`", server=name)
    await trial.answer("the next call to the healthy one")


async def _frozen(trial: Trial) -> None:
    server = trial.make_server()
    await trial.connect(shop=trial.as_process(server))
    await trial.answer()
    trial.sign(server, signal.SIGSTOP)
    await trial.attempt("the call to the frozen process")
    await trial.recover()


async def _half_open(trial: Trial) -> None:
    server = trial.make_server()
    proxy, entry = await trial.put_between(await trial.listen(server))
    await trial.connect(shop=entry)
    await trial.answer()
    proxy.freeze()
    await trial.attempt("the call over the dead connection")
    await trial.recover()


async def _expiry(trial: Trial) -> None:
    server = trial.make_server()
    listener = await trial.listen(server)
    await trial.connect(shop={"url": listener.url})
    await trial.answer()
    server.expire_sessions()
    await trial.recover()


async def _flapping(trial: Trial) -> None:
    server = trial.make_server()
    await trial.connect(shop=trial.as_process(server))
    await trial.answer()
    for number in range(1, 4):
        trial.sign(server, signal.SIGKILL)
        await trial.pause()
        await trial.recover(f"the call after death {number}")


async def _slow(trial: Trial) -> None:
    server = trial.make_server()
    await trial.connect(shop=trial.as_process(server, start_delay=_SLOW))
    await trial.answer("the first call")


async def _garbage(trial: Trial) -> None:
    server = trial.make_server()
    prelude = 'Starting up ...\n\n{"not": "for you"}\n[1, 2\n\x1b[32mready\x1b[0m\n'
    await trial.connect(shop=trial.as_process(server, prelude=prelude))
    await trial.answer("the first call")
    await trial.answer("the second call")


def _define(name: str, title: str, passes: str, play: Any, families: Any = _BOTH) -> Scenario:
    return Scenario(name=name, title=title, passes=passes, families=families, play=play)


SCENARIOS: tuple[Scenario, ...] = (
    _define("crash", "stdio crash mid-call", "The call raises; the next one works.", _crash),
    _define("restart", "HTTP server restarted while idle", "The next call works.", _restart),
    _define("down", "HTTP down, call, up, call", "The first call raises; the next one works.", _down),
    _define(
        "silent",
        "server never answers at start",
        "Connecting raises in time, or the call does.",
        _silent,
        (None,),
    ),
    _define(
        "several",
        "one broken server among several",
        "The healthy one works at once, the others raise.",
        _several,
    ),
    _define("frozen", "frozen peer (SIGSTOP)", "One call may fail, in time; the next one works.", _frozen),
    _define("half-open", "half-open TCP", "One call may fail, in time; the next one works.", _half_open),
    _define("expiry", "session expired", "The next call works.", _expiry, ("legacy",)),
    _define("flapping", "flapping server", "It works after each of three deaths.", _flapping),
    _define("slow", "slow start", "The first call works.", _slow),
    _define("garbage", "garbage printed first", "The calls work.", _garbage),
)

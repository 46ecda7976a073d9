"""A trunk at work and whoever uses it, the ways to cut that short, and what must hold afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from trunkline.errors import CallError
from trunkline.runtime.trunk import Trunk
from trunkline.testing.cutting import Awaiting, Lookout, Place

Lose = Callable[[], object]
"""Ends the connections there are to a server, as if it had gone."""


class Stage(NamedTuple):
    """What is cut: the trunk, its server and the task of whoever uses it."""

    trunk: Trunk
    lose: Lose
    task: asyncio.Task[Any]
    closing: list[asyncio.Task[None]]
    """Takes the task that closes the trunk, once there is one."""
    lookout: Lookout
    """Sees where anybody waits."""


Cut = Callable[[Stage], None]


def cancel(stage: Stage) -> None:
    """Cancel whoever uses the trunk."""
    stage.task.cancel()


def lose_the_peer(stage: Stage) -> None:
    """Lose the server."""
    stage.lose()


def close(stage: Stage) -> None:
    """Close the trunk beneath whoever uses it."""
    stage.closing.append(stage.task.get_loop().create_task(stage.trunk.aclose()))


def end_the_loop(stage: Stage) -> None:
    """Cancel all who wait, as `asyncio.run` does with what is left at its end; then close the trunk."""
    for task in stage.lookout.find_waiting():
        task.cancel()
    close(stage)


CUTS: tuple[Cut, ...] = (cancel, lose_the_peer, close, end_the_loop)


class Cuts:
    """Where somebody was cut short, by the way it was done."""

    def __init__(self) -> None:
        self.places: dict[Cut, set[Place]] = {cut: set() for cut in CUTS}
        self.cancelled: set[Place] = set()
        """Where somebody was cancelled because of a cut; who is closed may end without that."""

    def add(self, more: Cuts) -> None:
        """Take in the places of another play."""
        self.cancelled |= more.cancelled
        for cut, places in more.places.items():
            self.places[cut] |= places

    def miss(self, wait: Awaiting) -> bool:
        """Whether nobody was cancelled there, or nobody lost the server there."""
        return not (wait.is_among(self.cancelled) and wait.is_among(self.places[lose_the_peer]))

    def known_to(self, cut: Cut) -> set[Place]:
        """Give the places at which this cut would tell nothing new."""
        known = self.places[cut]
        if cut is close:
            return known | self.places[cancel]
        return known | self.cancelled if cut is end_the_loop else known

    def meet(self, wait: Awaiting) -> bool:
        """Whether anybody was cut there."""
        return any(wait.is_among(places) for places in self.places.values())


def places_before(cut: Cut, stage: Stage) -> frozenset[Place]:
    """Give the places at which this cut would meet somebody."""
    return stage.lookout.find_of(stage.task) if cut is cancel else stage.lookout.find_all()


def check_outcome(outcome: object) -> None:
    """Hold that a cut ended what was done with a result or with an error a caller is promised.

    Raises:
        AssertionError: it ended with another error.
    """
    allowed = (CallError, asyncio.CancelledError, TimeoutError, StopAsyncIteration)
    if isinstance(outcome, BaseException) and not isinstance(outcome, allowed):
        raise AssertionError(f"it ended with {outcome!r}") from outcome


async def works_again(trunk: Trunk, tool: str, *, patience: float, pause: float, tries: int) -> None:
    """Hold that one of the next calls is answered: a start that failed is made again after a pause.

    Args:
        tool: one that reports its arguments.
        patience: seconds for each try.
        pause: seconds between two tries.

    Raises:
        AssertionError: none was.
    """
    for _ in range(tries):
        try:
            reply = await trunk.call(tool, {"n": 2}, timeout=patience)
        except CallError:
            await asyncio.sleep(pause)
            continue
        if "2" not in reply.text:
            raise AssertionError(f"it answered {reply.text!r}")
        return
    raise AssertionError("it never worked again")

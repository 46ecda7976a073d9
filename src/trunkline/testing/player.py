"""Plays what an application does over a network or with a process, cut short wherever anybody waits.

    found = await Player(source, handlers=..., policy=...).cut_everywhere([RealScenario(serve, work)])

On a real loop no two plays are the same. So a scenario is played over and over, each time cut at the first
turn of the loop at which somebody waits where nobody was cut before, until a play meets no such place. What
goes on working after a cut is used again in the same play, so that one play cuts many places.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import trunkline
from trunkline.testing.cutting import Lookout, Place
from trunkline.testing.stage import (
    CUTS,
    Cuts,
    Lose,
    Stage,
    check_outcome,
    places_before,
    works_again,
)

LONGEST = 20.0
"""Seconds after which what was cut counts as hung."""
MOST_PLAYS = 200

Serve = Callable[[], AbstractAsyncContextManager[tuple[Any, Lose]]]
"""Serves a new server: its configuration, and what ends its connections."""
Work = Callable[[trunkline.Trunk, Lose], Awaitable[Any]]


class RealScenario(NamedTuple):
    """Something an application does with a trunk whose one server is `fake`."""

    serve: Serve
    work: Work
    final: bool = False
    """Whether nothing works afterwards."""
    options: Mapping[str, Any] = {}
    """Of `connect`, beside those of the player."""


class Player:
    """Plays scenarios with servers that have a tool `echo` which reports its arguments.

    Args:
        source: whose awaits are looked at.
        among: the places that count; None for all.
        options: of `connect`. Failed starts are to be repeated soon.
    """

    def __init__(self, source: Path, among: Collection[Place] | None = None, **options: Any) -> None:
        self._make_lookout = functools.partial(Lookout, source, among)
        self._options = options
        self._found = Cuts()
        self._has_cut = False

    async def cut_everywhere(self, scenarios: Iterable[RealScenario]) -> Cuts:
        """Cut scenarios wherever anybody waits, where none before was cut; give where that was.

        The trunk is closed only where nobody could be cancelled alone.

        Raises:
            AssertionError: something was not as is promised after a cut.
        """
        for scenario in scenarios:
            await self._play_until_known(scenario)
        return self._found

    async def _play_until_known(self, scenario: RealScenario) -> None:
        for _ in range(MOST_PLAYS):
            if not await self._play(scenario):
                return
        raise AssertionError("there is always something new")

    async def _play(self, scenario: RealScenario) -> int:
        """Work with a new server, again and again until nothing new is met; tell how often it was cut."""
        options = {**self._options, **scenario.options}
        async with scenario.serve() as (entry, lose):
            with self._make_lookout().watching(asyncio.get_running_loop()) as lookout:
                async with trunkline.connect({"fake": entry}, **options) as trunk:
                    return await self._play_in(scenario, trunk, lose, lookout)

    async def _play_in(
        self, scenario: RealScenario, trunk: trunkline.Trunk, lose: Lose, lookout: Lookout
    ) -> int:
        for times in range(MOST_PLAYS):
            stage = Stage(trunk, lose, asyncio.ensure_future(scenario.work(trunk, lose)), [], lookout)
            try:
                async with asyncio.timeout(LONGEST):
                    await self._work(scenario, stage)
            except TimeoutError:
                raise AssertionError("it hung") from None
            if not self._has_cut:
                return times
            if scenario.final or stage.closing:
                return times + 1
        raise AssertionError("there is always something new")

    async def _work(self, scenario: RealScenario, stage: Stage) -> None:
        self._has_cut = False
        with _before_each_turn(functools.partial(self._look, stage)):
            outcome = (await asyncio.gather(stage.task, return_exceptions=True))[0]
        self._judge(outcome)
        if stage.closing:
            await stage.closing[0]
        elif not scenario.final:
            await works_again(stage.trunk, "fake.echo", patience=5, pause=0.02, tries=100)

    def _judge(self, outcome: object) -> None:
        if self._has_cut:
            check_outcome(outcome)
        elif isinstance(outcome, BaseException):
            raise AssertionError("it fails when nobody cuts it") from outcome

    def _look(self, stage: Stage) -> None:
        """Cut in the first way in which it meets somebody new."""
        if self._has_cut or stage.task.done():
            return
        for cut in CUTS:
            found = places_before(cut, stage)
            if not found <= self._found.known_to(cut):
                self._found.places[cut] |= found
                # What is cancelled from now on is for this cut.
                stage.lookout.cancelled = self._found.cancelled
                self._has_cut = True
                cut(stage)
                return


@contextmanager
def _before_each_turn(look: Callable[[], object]) -> Iterator[None]:
    """Call a function before each turn of the running loop."""
    # Every turn of asyncio's own loop begins in its selector; nothing public tells of turns.
    loop: Any = asyncio.get_running_loop()
    selector = loop._selector
    select = selector.select

    def looking(timeout: float | None = None) -> Any:
        look()
        return select(0 if loop._ready else timeout)

    selector.select = looking
    try:
        yield
    finally:
        del selector.select

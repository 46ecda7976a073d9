"""Plays what an application does over a network or with a process, cut short wherever anybody waits.

    found = await Player(source, handlers=..., policy=...).cut_everywhere([RealScenario(serve, work)])

On a real loop no two plays are the same. So a scenario is played over and over, each time cut at the first
turn of the loop at which somebody waits where nobody was cut before, until a play meets no such place.
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
    Cut,
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
        self._cut: Cut = CUTS[0]
        self._done: set[Place] = set()
        self._has_cut = False

    async def cut_everywhere(self, scenarios: Iterable[RealScenario]) -> Cuts:
        """Cut scenarios in every way, wherever anybody waits; give where that was.

        Each is cut only where none before it was.

        Raises:
            AssertionError: something was not as is promised after a cut.
        """
        found = Cuts()
        for scenario in scenarios:
            for self._cut, self._done in found.places.items():
                await self._play_until_known(scenario)
        return found

    async def _play_until_known(self, scenario: RealScenario) -> None:
        for _ in range(MOST_PLAYS):
            self._has_cut = False
            await self._play(scenario)
            if not self._has_cut:
                return
        raise AssertionError("there is always something new")

    async def _play(self, scenario: RealScenario) -> None:
        options = {**self._options, **scenario.options}
        async with (
            scenario.serve() as (entry, lose),
            trunkline.connect({"fake": entry}, **options) as trunk,
        ):
            stage = Stage(trunk, lose, asyncio.ensure_future(scenario.work(trunk, lose)), [])
            try:
                async with asyncio.timeout(LONGEST):
                    with _before_each_turn(functools.partial(self._look, stage, self._make_lookout())):
                        outcome = (await asyncio.gather(stage.task, return_exceptions=True))[0]
                    self._judge(outcome)
                    if stage.closing:
                        await stage.closing[0]
                    elif not scenario.final:
                        await works_again(trunk, "fake.echo", patience=5, pause=0.02, tries=100)
            except TimeoutError:
                raise AssertionError("it hung") from None

    def _judge(self, outcome: object) -> None:
        if self._has_cut:
            check_outcome(outcome)
        elif isinstance(outcome, BaseException):
            raise AssertionError("it fails when nobody cuts it") from outcome

    def _look(self, stage: Stage, lookout: Lookout) -> None:
        if self._has_cut or stage.task.done():
            return
        found = places_before(self._cut, stage, lookout)
        if not found <= self._done:
            self._done |= found
            self._has_cut = True
            self._cut(stage)


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

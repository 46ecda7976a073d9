"""Runs every scenario with every client, several at a time, and ends whatever is left of each."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from trunkline.testing.eras import Family
from trunkline.testing.lab.client import Patience
from trunkline.testing.lab.contenders import CONTENDERS
from trunkline.testing.lab.outcome import Contender, Judged, Outcome
from trunkline.testing.lab.remote import Factory, MissingClientError, driving
from trunkline.testing.lab.scenarios import SCENARIOS, Scenario
from trunkline.testing.lab.trial import Trial


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All that came of one run."""

    contenders: tuple[Contender, ...]
    missing: Mapping[str, str]
    """Clients that could not be imported, and why."""
    outcomes: tuple[Outcome, ...]

    def passed(self, client: str) -> bool:
        """Whether a client took part and passed everything."""
        verdicts = [one.verdict for one in self.outcomes if one.client == client]
        return bool(verdicts) and set(verdicts) == {"pass"}


async def run_lab(
    clients: Sequence[str] = tuple(CONTENDERS),
    *,
    scenarios: Sequence[Scenario] = SCENARIOS,
    patience: Patience = Patience(),  # noqa: B008 - it cannot be changed
    at_once: int | None = None,
    quiet: bool = True,
    told: Callable[[Outcome], None] = lambda _: None,
) -> Findings:
    """Play scenarios against clients.

    Args:
        clients: names in `CONTENDERS`, `MODULE:CLASS` or `PATH.py:CLASS`.
        at_once: how many trials run at the same time; None asks the machine.
        quiet: drop what the libraries print.
        told: told of each outcome as it comes.

    Raises:
        ValueError: two clients have the same name.
    """
    folder = Path(tempfile.mkdtemp(prefix="lab-"))
    missing: dict[str, str] = {}
    try:
        async with AsyncExitStack() as stack:
            factories = await _start(clients, folder, stack, missing, quiet=quiet)
            run = _Run(
                patience, folder, asyncio.Semaphore(at_once or max(12, 4 * (os.cpu_count() or 1))), told
            )
            outcomes = await asyncio.gather(
                *(
                    run.play(scenario, family, factory)
                    for scenario in scenarios
                    for family in scenario.families
                    for factory in factories
                )
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    contenders = tuple(factory.contender for factory in factories)
    return Findings(contenders=contenders, missing=missing, outcomes=tuple(outcomes))


async def _start(
    clients: Sequence[str], folder: Path, stack: AsyncExitStack, missing: dict[str, str], *, quiet: bool
) -> list[Factory]:
    async def start(number: int, client: str) -> Factory | None:
        place = folder / str(number)
        place.mkdir()
        try:
            driver = driving(CONTENDERS.get(client, client), place, quiet=quiet)
            return await stack.enter_async_context(driver)
        except MissingClientError as error:
            missing[client] = str(error)
            return None

    started = await asyncio.gather(*(start(number, client) for number, client in enumerate(clients)))
    factories = [one for one in started if one is not None]
    names = [one.contender.name for one in factories]
    if len(set(names)) < len(names):
        raise ValueError(f"two clients have the same name: {', '.join(names)}")
    return factories


class _Run:
    def __init__(
        self, patience: Patience, folder: Path, room: asyncio.Semaphore, told: Callable[[Outcome], None]
    ) -> None:
        self._patience = patience
        self._folder = folder
        self._room = room
        self._told = told

    async def play(self, scenario: Scenario, family: Family | None, factory: Factory) -> Outcome:
        """Play one scenario with one client."""
        async with self._room, AsyncExitStack() as stack:
            place = self._folder / f"{scenario.name}-{family}-{factory.contender.name}"
            place.mkdir()
            remote = await factory.start(self._patience)
            families: tuple[Family, ...] = ("legacy", "modern") if family is None else (family,)
            trial = Trial(remote, families, place, stack)
            stack.callback(trial.end_processes)
            stack.callback(remote.end)
            began = asyncio.get_running_loop().time()
            judged = await _judge(scenario, trial)
            outcome = Outcome(
                scenario=scenario.name,
                family=family,
                client=factory.contender.name,
                verdict="pass" if judged is None else judged.verdict,
                reason="" if judged is None else judged.reason,
                seen=tuple(trial.notes),
                seconds=round(asyncio.get_running_loop().time() - began, 2),
            )
        self._told(outcome)
        return outcome


async def _judge(scenario: Scenario, trial: Trial) -> Judged | None:
    try:
        await scenario.play(trial)
        await trial.close()
        trial.count()
    except Judged as judged:
        return judged
    return None

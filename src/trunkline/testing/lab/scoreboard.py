"""The scoreboard: one row per scenario, one column per client, and below it why something did not pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trunkline.testing.lab.outcome import Outcome
from trunkline.testing.lab.running import Findings
from trunkline.testing.lab.scenarios import SCENARIOS

_TITLES = {scenario.name: scenario.title for scenario in SCENARIOS}
_WIDTH = 14


def draw_scoreboard(findings: Findings, *, steps: bool = False) -> str:
    """Give the scoreboard as plain text.

    Args:
        steps: also tell every step of every trial, of those that passed too.
    """
    return "\n".join(
        [*_table(findings), "", *_totals(findings), "", *_reasons(findings.outcomes, steps=steps)]
    )


def _table(findings: Findings) -> Iterator[str]:
    names = [one.name for one in findings.contenders]
    yield f"{'':42}" + "".join(f"{name:<{_width(name)}}" for name in names)
    cells = {(one.scenario, one.family, one.client): one for one in findings.outcomes}
    for scenario, family in dict.fromkeys((one.scenario, one.family) for one in findings.outcomes):
        row = f"{_TITLES.get(scenario, scenario)}{f', {family}' if family else ''}"
        shown = (_cell(cells[scenario, family, name], name) for name in names)
        yield f"{row:<42}" + "".join(shown).rstrip()


def _width(name: str) -> int:
    return max(_WIDTH, len(name) + 2)


def _cell(outcome: Outcome, name: str) -> str:
    return f"{f'{outcome.verdict:<5} {outcome.seconds:4.1f} s':<{_width(name)}}"


def _totals(findings: Findings) -> Iterator[str]:
    for contender in findings.contenders:
        mine = [one for one in findings.outcomes if one.client == contender.name]
        good = sum(one.verdict == "pass" for one in mine)
        yield f"{contender.name} {contender.version}: {good} of {len(mine)} passed"
    for name, reason in findings.missing.items():
        yield f"{name}: not installed ({reason})"


def _reasons(outcomes: Sequence[Outcome], *, steps: bool) -> Iterator[str]:
    for one in outcomes:
        if one.verdict == "pass" and not steps:
            continue
        where = f"{one.scenario}{f', {one.family}' if one.family else ''}"
        yield f"{where}, {one.client}: {one.verdict}{f': {one.reason}' if one.reason else ''}"
        if steps:
            yield from (f"    {note}" for note in one.seen)

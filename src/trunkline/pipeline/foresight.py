"""Learns which call of a server follows which, and with what arguments. Pure.

An argument may be one of the call before, a value out of that one's answer, or always the same. There is one
object per server and principal, so that nothing learned from one is used for another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from trunkline.core.prefetch import Expected, PrefetchSettings

Source = tuple[str, Any]
"""Where a value comes from: `("argument", name)`, `("answer", path)` or `("value", value)`."""

_MOST_STEPS = 256
"""Pairs of calls that are remembered; the pair seen longest ago is forgotten."""
_MOST_VALUES = 200
"""Values of an answer that are looked at."""
_DEEPEST = 4
_LONGEST = 500
"""Characters of a text that is remembered."""
_SCALARS = (str, int, float)
_BURST = 4.0
"""Most requests that may be saved up."""
_LONGEST_PAUSE = 60.0
"""Seconds after which a call follows no other one."""


class Made:
    """A call that was made, and what came of it."""

    __slots__ = ("arguments", "ended", "name", "values")

    def __init__(self, name: str, arguments: Mapping[str, Any], answer: Any, ended: float) -> None:
        self.name = name
        self.arguments = {key: value for key, value in arguments.items() if _is_small(value)}
        self.values = dict(_walk(answer))
        self.ended = ended


class _Step:
    """One call that followed another one."""

    __slots__ = ("name", "seen", "sources")

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen = 0
        self.sources: dict[str, list[Source]] = {}
        """For each argument, every source that gave its value every time so far."""


class Foresight:
    """What is known of the calls of one principal on one server."""

    def __init__(self, settings: PrefetchSettings) -> None:
        self._settings = settings
        self._before: Made | None = None
        self._steps: OrderedDict[tuple[str, str, frozenset[str]], _Step] = OrderedDict()
        self._counts: dict[str, int] = {}
        """How many times any call followed each."""
        self._allowance = 0.0

    def note(self, made: Made, started: float) -> list[Expected]:
        """Take a call that has ended, and give those to be expected now, the likeliest first.

        Args:
            started: moment at which it was begun; calls side by side do not follow each other.
        """
        before, self._before = self._before, made
        self._allowance = min(self._allowance + self._settings.budget, _BURST)
        if before is not None and before.ended <= started <= before.ended + _LONGEST_PAUSE:
            self._learn(before, made)
        return list(self._expect(made))

    def _learn(self, before: Made, made: Made) -> None:
        key = (before.name, made.name, frozenset(made.arguments))
        step = self._steps.get(key)
        if step is None:
            step = self._steps[key] = _Step(made.name)
            while len(self._steps) > _MOST_STEPS:
                (gone, _, _), _ = self._steps.popitem(last=False)
                if not any(other == gone for other, _, _ in self._steps):
                    self._counts.pop(gone, None)
        self._steps.move_to_end(key)
        self._counts[before.name] = self._counts.get(before.name, 0) + 1
        step.seen += 1
        for name, value in made.arguments.items():
            possible = list(_sources(before, value))
            known = (
                possible if step.seen == 1 else [one for one in step.sources.get(name, ()) if one in possible]
            )
            step.sources[name] = known

    def _expect(self, made: Made) -> Iterator[Expected]:
        total = self._counts.get(made.name, 0)
        likely = [
            step
            for (before, _, _), step in self._steps.items()
            if before == made.name
            and step.seen >= self._settings.least
            and step.seen >= self._settings.confidence * total
        ]
        for step in sorted(likely, key=lambda step: -step.seen):
            arguments = _fill(step, made)
            if arguments is None or self._allowance < 1.0:
                continue
            self._allowance -= 1.0
            yield Expected(name=step.name, arguments=arguments)


def _sources(before: Made, value: Any) -> Iterator[Source]:
    """Give every source that could have given a value."""
    for name, given in before.arguments.items():
        if _same(given, value):
            yield "argument", name
    for path, given in before.values.items():
        if _same(given, value):
            yield "answer", path
    yield "value", value


def _fill(step: _Step, made: Made) -> dict[str, object] | None:
    """Give the arguments that would follow this call; None where one of them cannot be told."""
    filled: dict[str, object] = {}
    for name, sources in step.sources.items():
        for kind, what in sources:
            if kind == "argument" and what in made.arguments:
                filled[name] = made.arguments[what]
            elif kind == "answer" and what in made.values:
                filled[name] = made.values[what]
            elif kind == "value":
                filled[name] = what
            if name in filled:
                break
        else:
            return None
    return filled


def _walk(answer: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Give the plain values of an answer with the way to each: the first two hundred, four levels deep."""
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), answer)]
    given = 0
    while waiting and given < _MOST_VALUES:
        path, value = waiting.pop(0)
        if isinstance(value, _SCALARS) and _is_small(value):
            given += 1
            yield path, value
        elif len(path) < _DEEPEST and isinstance(value, Mapping):
            waiting += [((*path, name), inner) for name, inner in list(value.items())[:_MOST_VALUES]]
        elif len(path) < _DEEPEST and isinstance(value, list):
            waiting += [((*path, place), inner) for place, inner in enumerate(value[:_MOST_VALUES])]


def _is_small(value: Any) -> bool:
    """Whether a value is plain and short enough to be remembered."""
    return (
        value is None or (isinstance(value, str) and len(value) <= _LONGEST) or isinstance(value, int | float)
    )


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)

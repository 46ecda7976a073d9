"""Guess which name was meant, at a bounded cost whatever the size of the catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from heapq import nlargest

_MAX_LENGTH = 64
_MAX_NAMES = 5_000
_MAX_PAIRS = 16
_MAX_COMPARED = 16
_MIN_LIKENESS = 0.6
_PART_OF_NAME = 0.7
_MIN_PART = 3


def nearest_names(typed: str, names: Sequence[str], *, limit: int) -> tuple[int, ...]:
    """Give the places of the names most like `typed`, best first; case does not count.

    Only the few that share most pairs of letters with it are compared in full, and what is not near is
    left out. Of very many names the first are looked at.
    """
    typed = typed[:_MAX_LENGTH].lower()
    names = [name[:_MAX_LENGTH].lower() for name in names[:_MAX_NAMES]]
    shared: Counter[int] = Counter()
    for pair in _pairs(typed):
        shared.update([place for place, name in enumerate(names) if pair in name])
    likely = nlargest(
        _MAX_COMPARED, shared, key=lambda place: (shared[place] / (len(names[place]) + 8), -place)
    )
    matcher = SequenceMatcher(b=typed, autojunk=False)
    scored = sorted((-_likeness(matcher, typed, names[place]), place) for place in likely)
    return tuple(place for likeness, place in scored[:limit] if -likeness >= _MIN_LIKENESS)


def _pairs(typed: str) -> list[str]:
    pairs = list(dict.fromkeys(typed[at : at + 2] for at in range(len(typed) - 1))) or [typed]
    return pairs[:: 1 + len(pairs) // _MAX_PAIRS]


def _likeness(matcher: SequenceMatcher[str], typed: str, name: str) -> float:
    part = _PART_OF_NAME if len(typed) >= _MIN_PART and typed in name else 0.0
    matcher.set_seq1(name)
    return max(part, matcher.ratio()) if matcher.quick_ratio() >= _MIN_LIKENESS else part

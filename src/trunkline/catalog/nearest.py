"""Guess which name was meant, at a bounded cost whatever the size of the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from heapq import nlargest

from trunkline.core.tool import Tool

_MAX_LENGTH = 80
_MAX_COMPARED = 24
_MIN_LIKENESS = 0.6
_PART_OF_NAME = 0.7
_MIN_PART = 3


def nearest_tools(typed: str, tools: Sequence[Tool], *, limit: int = 3) -> tuple[Tool, ...]:
    """Give the tools whose own or public name is most like `typed`, best first; none when nothing is near."""
    typed = typed[:_MAX_LENGTH].lower()
    pairs = {typed[at : at + 2] for at in range(len(typed) - 1)} or {typed}
    names = [tool.public_name[-_MAX_LENGTH:].lower() for tool in tools]
    shared = [sum(pair in name for pair in pairs) / (len(name) + len(typed)) for name in names]
    possible = (place for place, share in enumerate(shared) if share)
    likely = nlargest(_MAX_COMPARED, possible, key=shared.__getitem__)
    scored = [(_likeness(typed, tools[place]), place) for place in likely]
    near = sorted((-likeness, place) for likeness, place in scored if likeness >= _MIN_LIKENESS)
    return tuple(tools[place] for _, place in near[:limit])


def _likeness(typed: str, tool: Tool) -> float:
    name, public_name = tool.name[:_MAX_LENGTH].lower(), tool.public_name[:_MAX_LENGTH].lower()
    part = _PART_OF_NAME if len(typed) >= _MIN_PART and typed in name else 0.0
    matcher = SequenceMatcher(b=typed, autojunk=False)
    for candidate in (name, public_name):
        matcher.set_seq1(candidate)
        part = max(part, matcher.ratio())
    return part

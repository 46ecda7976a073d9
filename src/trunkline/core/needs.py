"""What a replica must have to be given a call: one line of `needs`, read once and checked often. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec

from trunkline.core.health import Health

WANTED = 'a capability such as "tasks", "tag:gpu", "era>=2025-11-25" or "version>=2.1"'

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_LINE = re.compile(r"(era|version)\s*(>=|<=|==|!=|>|<)\s*(\S+)")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_NUMBERS = re.compile(r"\d+")


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is needed."""

    what: Literal["feature", "tag", "era", "version"]
    value: str
    compare: str = ""
    """How `era` and `version` are compared."""

    def is_met(self, replica: Health) -> bool:
        """Whether a replica has it, or may have: what it can do is not known before it is connected."""
        if replica.rank is None and self.what != "tag":
            return True
        if self.what == "feature":
            return self.value in replica.features
        if self.what == "tag":
            return self.value in replica.tags
        known = replica.era if self.what == "era" else replica.version
        return bool(known) and _COMPARED[self.compare](_ordered(known), _ordered(self.value))


def read_need(line: str) -> Need | None:
    """Read one line, or give None for one that means nothing."""
    if (found := _LINE.fullmatch(line.strip())) is not None:
        what, compare, value = found.groups()
        if not _NUMBERS.search(value):
            return None
        return Need(what="era" if what == "era" else "version", value=value, compare=compare)
    kind, colon, tag = line.partition(":")
    if colon:
        return Need(what="tag", value=tag.strip()) if kind == "tag" and tag.strip() else None
    return Need(what="feature", value=line) if _NAME.fullmatch(line) else None


def meets(replica: Health, lines: Sequence[str]) -> bool:
    """Whether a replica has all that these lines ask for."""
    return all(_read(line).is_met(replica) for line in lines)


@lru_cache(maxsize=1024)
def _read(line: str) -> Need:
    need = read_need(line)
    if need is None:
        raise ValueError(f"{line!r} is not {WANTED}")
    return need


def _ordered(text: str) -> tuple[int, ...]:
    """Give the numbers of a date or version, so that 2.10 comes after 2.9 and 2.1 equals 2.1.0."""
    numbers = [int(one[:18]) for one in _NUMBERS.findall(text)[:8]]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)

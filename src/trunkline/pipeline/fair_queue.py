"""A bounded line in which principals take turns, the greatest priority first. Pure."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Place(Protocol):
    """What one who waits is known by."""

    @property
    def principal(self) -> str:
        """Whose it is."""
        ...

    @property
    def priority(self) -> int:
        """The greatest goes first."""
        ...


Item = TypeVar("Item", bound=Place)


class FairQueue(Generic[Item]):
    """Those who wait. Each principal has a line of its own at each priority, in order of arrival.

    Args:
        most: how many may wait.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._levels: dict[int, OrderedDict[str, deque[Item]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, item: Item) -> Item | None:
        """Take one in. Where that is too many give back who has to go: the newcomer, or another one.

        A line that is half full is shared out: who has its share of it has no more. In a full one the last
        of the longest line of the least priority makes room, where that is less or it has more than a share.
        """
        lines = self._levels.get(item.priority) or OrderedDict()
        own = len(lines.get(item.principal, ()))
        share = math.ceil(self.most / (len(lines) + (not own)))
        if own >= share and 2 * self._count >= self.most:
            return item
        victim = None
        if self._count >= self.most:
            victim = self._victim(item, share)
            if victim is item:
                return item
            self.remove(victim)
        lines = self._levels.setdefault(item.priority, OrderedDict())
        lines.setdefault(item.principal, deque()).append(item)
        self._count += 1
        return victim

    def pop(self, may_go: Callable[[str], bool]) -> Item | None:
        """Take out who is next among the principals that may go, or give None."""
        for priority in sorted(self._levels, reverse=True):
            lines = self._levels[priority]
            for principal in lines:
                if may_go(principal):
                    item = lines[principal][0]
                    lines.move_to_end(principal)
                    self.remove(item)
                    return item
        return None

    def has(self, may_go: Callable[[str], bool]) -> bool:
        """Whether anybody waits who may go."""
        return any(may_go(principal) for lines in self._levels.values() for principal in lines)

    def remove(self, item: Item) -> None:
        """Take one out, wherever it stands; nothing happens to one who is not there."""
        lines = self._levels.get(item.priority, OrderedDict())
        line = lines.get(item.principal)
        if line is None or item not in line:
            return
        line.remove(item)
        self._count -= 1
        if not line:
            del lines[item.principal]
        if not lines:
            del self._levels[item.priority]

    def principals(self) -> set[str]:
        """Give those who wait."""
        return {principal for lines in self._levels.values() for principal in lines}

    def _victim(self, newcomer: Item, share: int) -> Item:
        least = min(self._levels, default=newcomer.priority)
        if not self._levels or least > newcomer.priority:
            return newcomer
        longest = max(self._levels[least].values(), key=len)
        return longest[-1] if least < newcomer.priority or len(longest) > share else newcomer

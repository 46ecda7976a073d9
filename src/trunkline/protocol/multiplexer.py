"""The correlation table: which waiting exchange an incoming message belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

Waiting = TypeVar("Waiting")


class Multiplexer(Generic[Waiting]):
    """Requests in flight on one link, by id.

    Ids are ours, counted up and never used twice on a link, so a late or repeated answer can only
    miss. Misses are counted, never delivered.
    """

    __slots__ = ("_next_id", "_pending", "_standing", "strays")

    def __init__(self) -> None:
        self._next_id = 0
        self._pending: dict[int, Waiting] = {}
        self._standing: dict[int, Waiting] = {}
        self.strays = 0
        """Answers that matched no waiting exchange: late, repeated or invented."""

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._pending.values())

    def next_id(self) -> int:
        """Give an id no request of this link has had."""
        self._next_id += 1
        return self._next_id

    def open(self, request_id: int, waiting: Waiting) -> None:
        """Remember who waits for the answer to this request."""
        self._pending[request_id] = waiting

    def stand(self, request_id: int, waiting: Waiting) -> None:
        """Remember who waits for an answer that ends something long-lived; it counts as no work in flight."""
        self._standing[request_id] = waiting

    def get(self, request_id: object) -> Waiting | None:
        """Give who waits, without settling it; an id of another type is never ours."""
        if type(request_id) is not int:
            return None
        waiting = self._pending.get(request_id)
        return self._standing.get(request_id) if waiting is None else waiting

    def take(self, request_id: object) -> Waiting | None:
        """Give who waits and settle it, or count a stray."""
        waiting = self._pending.pop(request_id, None) if type(request_id) is int else None
        if waiting is None and type(request_id) is int:
            waiting = self._standing.pop(request_id, None)
        if waiting is None:
            self.strays += 1
        return waiting

    def forget(self, request_id: int) -> None:
        """Stop waiting for this request; its answer, should it come, is a stray."""
        self._pending.pop(request_id, None)
        self._standing.pop(request_id, None)

    def only(self) -> int | None:
        """Give the single id in flight, or None when there are none or several."""
        return next(iter(self._pending)) if len(self._pending) == 1 else None

    def take_all(self) -> list[Waiting]:
        """Settle everything; used when the link is lost."""
        waiting = [*self._pending.values(), *self._standing.values()]
        self._pending.clear()
        self._standing.clear()
        return waiting

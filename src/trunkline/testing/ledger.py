"""What a fake server received, what it did about it, and a bounded wait for either."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import asyncio


class Received:
    """One request or notification, as the server saw it."""

    __slots__ = (
        "arguments", "cancelled", "executed", "headers", "meta", "method", "name", "params", "position",
        "request_id", "version",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        request_id: str | int | None = None,
        version: str | None = None,
        headers: Mapping[str, str] | None = None,
        executed: bool = False,
        cancelled: bool = False,
    ) -> None:
        self.method = method
        self.params: Mapping[str, Any] = params or {}
        self.request_id = request_id
        """None for a notification."""
        self.version = version
        """Protocol revision the message was read under, or None before one was agreed."""
        self.headers: Mapping[str, str] = headers or {}
        """HTTP request headers, names in lower case; empty on other transports."""
        self.executed = executed
        """Whether the request ran to its end. A reply may still have been lost."""
        self.cancelled = cancelled
        """Whether the client cancelled it while it was running."""
        self.name: str | None = self.params.get("name", self.params.get("uri"))
        """The tool, prompt or resource URI asked for, or None."""
        self.arguments: Mapping[str, Any] = self.params.get("arguments") or {}
        self.meta: Mapping[str, Any] = self.params.get("_meta") or {}
        self.position = -1
        """How many messages the ledger had seen before this one."""

    def __repr__(self) -> str:
        marks = "".join(f" {mark}" for mark in ("executed", "cancelled") if getattr(self, mark))
        target = f" {self.name}" if self.name else ""
        return f"<{self.method}{target} id={self.request_id!r}{marks}>"


Sink = Callable[[str, Received], None]
"""Told of each `received`, `executed` and `cancelled` record."""


class Ledger:
    """Every message in the order of arrival. Iterating it gives all of them.

    Args:
        keep: how many of the latest messages to hold on to, for runs of millions; None keeps all.
        sink: told of every change.
    """

    def __init__(self, keep: int | None = None, sink: Sink | None = None) -> None:
        self._records: deque[Received] = deque(maxlen=keep)
        self._seen = 0
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self.sink = sink

    @property
    def calls(self) -> list[Received]:
        """The `tools/call` requests."""
        return self.of("tools/call")

    def of(self, method: str, name: str | None = None) -> list[Received]:
        """Give the messages of one method, and of one tool, prompt or URI where `name` is given."""
        return [one for one in self._records if one.method == method and name in (None, one.name)]

    def executed(self, name: str) -> int:
        """Count how often a tool ran to its end."""
        return sum(one.executed for one in self.calls if one.name == name)

    async def wait_for(
        self,
        condition: Callable[[Ledger], bool],
        timeout: float = 5.0,  # noqa: ASYNC109 - it bounds the wait and names what came instead
    ) -> None:
        """Wait until `condition` holds; it is asked again after every change, never on a timer.

        Args:
            timeout: seconds on the clock of the running loop.

        Raises:
            TimeoutError: it did not become true in time; the message lists what was received.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    changed = loop.create_future()
                    self._waiters.append((loop, changed))
                    if condition(self):
                        return
                    await changed
        except TimeoutError:
            raise TimeoutError(f"not within {timeout} s; received: {self!r}") from None
        finally:
            self._waiters = [(owner, waiter) for owner, waiter in self._waiters if waiter is not changed]

    def add(self, record: Received) -> None:
        """Append a message and wake whoever waits."""
        record.position = self._seen
        self._seen += 1
        self._records.append(record)
        self._changed("received", record)

    def mark(self, record: Received, what: str) -> None:
        """Set `executed` or `cancelled` of a record and wake whoever waits."""
        setattr(record, what, True)
        self._changed(what, record)

    def clear(self) -> None:
        """Forget everything received so far."""
        self._records.clear()

    def __iter__(self) -> Iterator[Received]:
        return iter(tuple(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return repr(list(self._records))

    def _changed(self, what: str, record: Received) -> None:
        if self.sink is not None:
            self.sink(what, record)
        waiters, self._waiters = self._waiters, []
        for loop, waiter in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_wake, waiter)


class Journal:
    """The ledger of a stdio fake, which lives in another process, as a file of JSON lines."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def pids(self) -> list[int]:
        """Process ids of every start, in order."""
        return [line["pid"] for line in self._lines() if line["event"] == "start"]

    def read(self) -> Ledger:
        """Give what the processes received so far, over all starts, in order."""
        ledger = Ledger()
        records: dict[tuple[int, int], Received] = {}
        for line in self._lines():
            key = (line["pid"], line.get("position", -1))
            if line["event"] == "received":
                records[key] = Received(
                    line["method"], line["params"], request_id=line["id"], version=line["version"]
                )
                ledger.add(records[key])
            elif key in records:
                ledger.mark(records[key], line["event"])
        return ledger

    def moments(self, event: Literal["received", "executed", "cancelled"]) -> dict[int, float]:
        """Give when each message met this, by its position, on the system's monotonic clock."""
        return {line["position"]: line["at"] for line in self._lines() if line["event"] == event}

    def _lines(self) -> list[dict[str, Any]]:
        try:
            with open(self.path, encoding="utf-8") as file:
                return [json.loads(line) for line in file]
        except FileNotFoundError:
            return []


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)

"""Holds what a client was told of its calls against what the server did: nothing twice, lost or untrue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from trunkline.core.reply import Reply
from trunkline.errors import CallError
from trunkline.testing.ledger import Ledger, Received


class Balance(NamedTuple):
    """What an account comes to; `is_fair` is what is hoped for."""

    calls: int
    verdicts: dict[str, int]
    """How many calls ended how: `ok`, or what is known of the delivery of those that failed."""
    received: int
    """Requests the server has read whole."""
    executed: int
    duplicated: tuple[Any, ...]
    """Calls that the server executed more than once."""
    lost: tuple[Any, ...]
    """Calls that were answered to the client, and that the server has not executed."""
    untrue: tuple[str, ...]
    """Verdicts that the server's ledger refutes, in words."""

    @property
    def is_fair(self) -> bool:
        """Whether nothing was done twice, nothing lost, and every verdict is true."""
        return not (self.duplicated or self.lost or self.untrue)


class Account:
    """The client's side. Each call carries a value that no other has, in one of its arguments.

    Args:
        key: the name of that argument.
    """

    def __init__(self, key: str = "n") -> None:
        self._key = key
        self._verdicts: dict[Any, str] = {}

    def note(self, value: Any, outcome: Reply | BaseException) -> None:
        """Write down what the client was told of the call with this value.

        Raises:
            ValueError: there was a call with this value before, or the outcome is no verdict.
        """
        if value in self._verdicts:
            raise ValueError(f"there were two calls with {value!r}")
        if isinstance(outcome, Reply):
            self._verdicts[value] = "ok"
        elif isinstance(outcome, CallError):
            self._verdicts[value] = outcome.delivery
        else:
            raise ValueError(f"the call with {value!r} ended without a verdict: {outcome!r}") from outcome

    def compare(self, *ledgers: Ledger) -> Balance:
        """Hold all that was noted against the ledgers of the servers that may have served it."""
        calls = [call for ledger in ledgers for call in ledger.calls if self._key in call.arguments]
        received = Counter(self._values(calls))
        executed = Counter(self._values(call for call in calls if call.executed))
        return Balance(
            calls=len(self._verdicts),
            verdicts=dict(Counter(self._verdicts.values())),
            received=received.total(),
            executed=executed.total(),
            duplicated=tuple(value for value, count in executed.items() if count > 1),
            lost=tuple(
                value for value, verdict in self._verdicts.items() if verdict == "ok" and not executed[value]
            ),
            untrue=tuple(self._refute(received, executed)),
        )

    def _values(self, calls: Iterable[Received]) -> list[Any]:
        return [call.arguments[self._key] for call in calls]

    def _refute(self, received: Counter[Any], executed: Counter[Any]) -> Iterable[str]:
        for value in executed.keys() - self._verdicts.keys():
            yield f"{value!r} was executed, and no verdict was noted"
        for value, verdict in self._verdicts.items():
            if verdict in ("never_sent", "refused") and executed[value]:
                yield f"{value!r} is told to be {verdict}, and was executed"
            if verdict == "never_sent" and received[value]:
                yield f"{value!r} is told to be never_sent, and was received"

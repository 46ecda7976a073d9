"""The closed set of faults a fake server can commit, and the plan that says when.

Named tuples, not structs: a stdio fake imports this module and has to start in a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, get_args

Kind = Literal[
    "crash", "kill", "hang", "close", "reset", "delay", "rpc_error", "status", "comments",
    "garbage", "raw", "truncated", "oversized", "endless", "invalid_utf8", "deep", "wrong_id",
    "duplicate", "drip", "cut_after_headers", "gzip_bomb",
]  # fmt: skip
EARLY: frozenset[str] = frozenset(
    {"crash", "kill", "hang", "close", "reset", "delay", "rpc_error", "status", "comments"}
)
"""Kinds that strike before the request runs, unless `after_commit` was asked; the others spoil the reply."""
HTTP_ONLY: frozenset[str] = frozenset({"reset", "status", "comments", "cut_after_headers", "gzip_bomb"})
STREAM_ONLY: frozenset[str] = frozenset({"kill", "drip", "endless"})
"""Kinds that need a byte stream or a process: stdio and HTTP, not memory."""


class _Facts(NamedTuple):
    kind: Kind
    committed: bool = False
    seconds: float = 0.0
    size: int = 0
    code: int = 0
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    data: Any = None


class Fault(_Facts):
    """One way to misbehave. Compare, store and reuse freely; build only through the names below."""

    __slots__ = ()

    crash_before_reply: ClassVar[Fault]
    """The server dies on receipt and nothing ran. stdio: exit status 70. HTTP: the port closes and every
    connection breaks."""
    crash_after_commit: ClassVar[Fault]
    """The request runs, then the server dies without a reply."""
    kill: ClassVar[Fault]
    """stdio: the process sends itself SIGKILL. HTTP: as `crash_before_reply`."""
    hang: ClassVar[Fault]
    """No reply, ever; the request does not run. A cancellation is still recorded."""
    close_connection: ClassVar[Fault]
    """Ends the connection in good order without a reply. stdio: closes stdout and lives on. HTTP: FIN."""
    reset: ClassVar[Fault]
    """HTTP: a TCP reset before the first byte of the response."""
    garbage: ClassVar[Fault]
    """Text that is not JSON where the reply should be; the connection goes on."""
    truncated: ClassVar[Fault]
    """The first half of the reply, then the end. stdio: the process exits with status 70. HTTP: FIN in the
    middle of the body."""
    invalid_utf8: ClassVar[Fault]
    """A reply whose text holds the bytes `C3 28 FF`."""
    wrong_id: ClassVar[Fault]
    """A good reply to an id nobody asked for."""
    duplicate_reply: ClassVar[Fault]
    """The reply, twice. HTTP: two events of one stream."""
    endless: ClassVar[Fault]
    """A reply that starts well and never ends."""
    cut_after_headers: ClassVar[Fault]
    """HTTP: status line and headers, then FIN."""

    def after_commit(self) -> Fault:
        """Give the same fault, striking after the request ran."""
        return Fault(*self._replace(committed=True))

    @property
    def early(self) -> bool:
        """Whether it strikes before the request runs."""
        return self.kind in EARLY and not self.committed

    @classmethod
    def delay(cls, seconds: float) -> Fault:
        """Wait before the request runs, then answer it as usual."""
        return cls("delay", seconds=seconds)

    @classmethod
    def rpc_error(cls, code: int, message: str, data: Any = None) -> Fault:
        """Answer with this JSON-RPC error."""
        return cls("rpc_error", code=code, text=message, data=data)

    @classmethod
    def raw(cls, text: str) -> Fault:
        """Answer with this text in place of the encoded reply; `$ID` stands for the request's id as JSON."""
        return cls("raw", text=text)

    @classmethod
    def oversized(cls, size: int) -> Fault:
        """Answer with a valid reply padded to exactly `size` bytes of JSON."""
        return cls("oversized", size=size)

    @classmethod
    def deep(cls, levels: int) -> Fault:
        """Answer with a result that nests `levels` arrays in each other."""
        return cls("deep", size=levels)

    @classmethod
    def drip(cls, seconds: float, size: int = 1) -> Fault:
        """Send the reply `size` bytes at a time with `seconds` between."""
        return cls("drip", seconds=seconds, size=size)

    @classmethod
    def http_status(cls, code: int, headers: Mapping[str, str] | None = None, body: str = "") -> Fault:
        """HTTP: answer with this status, headers and body."""
        return cls("status", code=code, headers=tuple((headers or {}).items()), text=body)

    @classmethod
    def redirect(cls, url: str, code: int = 307) -> Fault:
        """HTTP: point the client to another address."""
        return cls.http_status(code, {"Location": url})

    @classmethod
    def comments(cls, seconds: float) -> Fault:
        """HTTP: open an event stream and send one comment every `seconds`, for ever."""
        return cls("comments", seconds=seconds)

    @classmethod
    def gzip_bomb(cls, size: int) -> Fault:
        """HTTP: a valid JSON reply of exactly `size` bytes, sent gzip-compressed."""
        return cls("gzip_bomb", size=size)

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object that `from_json` reads back."""
        facts = {**self._asdict(), "headers": dict(self.headers)}
        return {
            key: value for key, value in facts.items() if value not in (self._field_defaults.get(key), {})
        }

    @classmethod
    def from_json(cls, value: str | Mapping[str, Any]) -> Fault:
        """Read a fault: its name, such as `"hang"`, or the object `to_json` gives.

        Raises:
            ValueError: there is no such fault.
        """
        if isinstance(value, str):
            constant = getattr(cls, value, None)
            if not isinstance(constant, cls):
                raise ValueError(f"unknown fault {value!r}")
            return constant
        facts = dict(value)
        if facts.get("kind") not in get_args(Kind):
            raise ValueError(f"unknown fault kind {facts.get('kind')!r}")
        if "headers" in facts:
            facts["headers"] = tuple(facts["headers"].items())
        return cls(**facts)


Fault.crash_before_reply = Fault("crash")
Fault.crash_after_commit = Fault("crash", committed=True)
Fault.kill = Fault("kill")
Fault.hang = Fault("hang")
Fault.close_connection = Fault("close")
Fault.reset = Fault("reset")
Fault.garbage = Fault("garbage")
Fault.truncated = Fault("truncated")
Fault.invalid_utf8 = Fault("invalid_utf8")
Fault.wrong_id = Fault("wrong_id")
Fault.duplicate_reply = Fault("duplicate")
Fault.endless = Fault("endless")
Fault.cut_after_headers = Fault("cut_after_headers")


class FaultRule(NamedTuple):
    """When a fault strikes: on which requests, and which of them, counted from 1."""

    target: str
    """A method, a tool, a prompt or a resource URI; `*` is every request."""
    fault: Fault
    nth: int | None = None
    times: int | None = None

    def strikes(self, count: int) -> bool:
        """Tell whether the rule applies to the `count`-th request that matches its target."""
        first = self.nth or 1
        if self.times is None:
            return count == first if self.nth else True
        return first <= count < first + self.times


class FaultPlan:
    """The rules of one server and how often each target was met."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self.rules = list(rules)
        self._met: dict[int, int] = {}

    def add(self, rule: FaultRule) -> None:
        """Add a rule; where several strike the same request, the earliest added wins."""
        self.rules.append(rule)

    def clear(self) -> None:
        """Drop all rules and counts."""
        self.rules.clear()
        self._met.clear()

    def pick(self, method: str, name: str | None) -> Fault | None:
        """Count this request for every rule it matches and give the fault that strikes it."""
        struck: Fault | None = None
        for index, rule in enumerate(self.rules):
            if rule.target not in ("*", method, name):
                continue
            self._met[index] = self._met.get(index, 0) + 1
            if struck is None and rule.strikes(self._met[index]):
                struck = rule.fault
        return struck

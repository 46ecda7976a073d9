"""What can go wrong between a client and a server that are well: values, and what they do to bytes. Sans-IO.

An exchange is a request and its response on a connection that carries one at a time, as HTTP/1.1 does; it
begins with the first byte up after the last one down. Offsets count the bytes of one in one direction:
negative ones from the end of the message, None is all of it. Those two need a message with a Content-Length,
whose head comes in one piece.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from trunkline.testing.http_message import RequestParser, render_response

Kind = Literal["latency", "bandwidth", "refuse", "cut", "reset", "blackhole", "status"]
Way = Literal["up", "down"]
"""`up`: what the client sends; `down`: what the server sends."""
End = Literal["close", "reset"]
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Facts(NamedTuple):
    kind: Kind
    way: Way = "down"
    after: int | None = 0
    seconds: float = 0.0
    rate: float = 0.0
    status: int = 0
    retry_after: int | None = None


class Toxic(_Facts):
    """One way to spoil an exchange. Compare, store and reuse freely; build only through the names below."""

    __slots__ = ()

    @classmethod
    def latency(cls, seconds: float, *, way: Way = "down") -> Toxic:
        """Hold back every piece by so many seconds."""
        return cls("latency", way, seconds=seconds)

    @classmethod
    def bandwidth(cls, bytes_per_second: float, *, way: Way = "down") -> Toxic:
        """Carry no more than so many bytes a second."""
        return cls("bandwidth", way, rate=bytes_per_second)

    @classmethod
    def refuse(cls) -> Toxic:
        """Take no connection; on one that is there already, reset it before the first byte."""
        return cls("refuse", "up")

    @classmethod
    def cut(cls, after: int | None = 0, *, way: Way = "down") -> Toxic:
        """Carry so many bytes, then end the connection in good order (FIN), on both sides."""
        return cls("cut", way, after)

    @classmethod
    def reset(cls, after: int | None = 0, *, way: Way = "down") -> Toxic:
        """Carry so many bytes, then break the connection (RST), on both sides."""
        return cls("reset", way, after)

    @classmethod
    def blackhole(cls, after: int | None = 0, *, way: Way = "down") -> Toxic:
        """Carry so many bytes and nothing more, neither way; the connection looks alive."""
        return cls("blackhole", way, after)

    @classmethod
    def http_status(cls, status: int, *, retry_after: int | None = None) -> Toxic:
        """Answer the request with this status in place of the server, which never sees it, and close."""
        return cls("status", "up", status=status, retry_after=retry_after)


Draw = Callable[[], Iterable[Toxic]]
"""Gives the toxics of the exchange that begins."""


class Toxics:
    """Which toxics strike which exchanges: each one a share of them, drawn from a seed.

    Calling it gives those of the exchange that begins.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self._rules: list[tuple[float, Toxic]] = []
        self.exchanges = 0
        """How many exchanges have begun."""
        self.struck: Counter[Toxic] = Counter()
        """How often each toxic has struck."""

    def add(self, toxic: Toxic, *, share: float = 1.0) -> None:
        """Strike so large a share of all exchanges, 0 to 1, from now on."""
        self._rules.append((share, toxic))

    def heal(self) -> None:
        """Spoil no exchange from now on; what was spoiled stays so."""
        self._rules.clear()

    def __call__(self) -> tuple[Toxic, ...]:
        self.exchanges += 1
        found = tuple(toxic for share, toxic in self._rules if self._random.random() < share)
        self.struck.update(found)
        return found


class Step(NamedTuple):
    """What becomes of a piece: these bytes go that way after so many seconds, then the connection may end."""

    way: Way
    data: bytes
    seconds: float = 0.0
    end: End | None = None


class Passage:
    """One connection through a place that spoils things."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._drawn: tuple[Toxic, ...] | None = None
        self._toxics: tuple[Toxic, ...] = ()
        self._asking = False
        self._carried = {"up": 0, "down": 0}
        self._parser = RequestParser()
        self._silent = False
        self._size = 0
        """Bytes of the message that is carried, where an offset needs it."""

    def accept(self) -> bool:
        """Whether the connection is taken; the toxics drawn for that are those of its first exchange."""
        self._drawn = tuple(self._draw())
        return all(toxic.kind != "refuse" for toxic in self._drawn)

    def take(self, way: Way, data: bytes) -> Step:
        """Say what becomes of a piece."""
        if way == "up" and not self._asking:
            self._begin()
        elif way == "down":
            self._asking = False
        if self._silent:
            return Step(way, b"")
        seconds = 0.0
        for toxic in self._toxics:
            if toxic.way != way:
                continue
            match toxic.kind:
                case "latency":
                    seconds += toxic.seconds
                case "bandwidth":
                    seconds += len(data) / toxic.rate
                case "refuse":
                    return Step(way, b"", end="reset")
                case "status":
                    return self._answer(toxic, data)
                case "cut" | "reset" | "blackhole":
                    room = self._offset(toxic, data) - self._carried[way]
                    if len(data) >= room:
                        return self._stop(toxic, data[: max(0, room)], seconds)
        self._carried[way] += len(data)
        return Step(way, data, seconds)

    def _begin(self) -> None:
        self._asking = True
        self._toxics = tuple(self._draw()) if self._drawn is None else self._drawn
        self._drawn = None
        self._carried = {"up": 0, "down": 0}

    def _offset(self, toxic: Toxic, data: bytes) -> int:
        if toxic.after is not None and toxic.after >= 0:
            return toxic.after
        if not self._carried[toxic.way]:
            head, separator, _ = data.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            self._size = len(head) + len(separator) + (int(length[1]) if length else 0)
        return self._size + (toxic.after or 0)

    def _stop(self, toxic: Toxic, rest: bytes, seconds: float) -> Step:
        self._silent = True
        if toxic.kind == "blackhole":
            return Step(toxic.way, rest, seconds)
        return Step(toxic.way, rest, seconds, "close" if toxic.kind == "cut" else "reset")

    def _answer(self, toxic: Toxic, data: bytes) -> Step:
        if not self._parser.feed(data):
            return Step("up", b"")
        self._silent = True
        headers = {} if toxic.retry_after is None else {"Retry-After": str(toxic.retry_after)}
        response = render_response(toxic.status, {**headers, "Connection": "close"})
        return Step("down", response, end="close")

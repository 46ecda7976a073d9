"""The laws that every layer of the pipeline keeps, alone and in any stack, and what holds a layer to them.

1. A layer with nothing to do changes nothing: neither the call, nor the reply, nor the error.
2. It calls the service within it no more often than it promises, and never again after an answer.
3. What may have happened is not made to happen again, unless that is known to be safe.
4. A cancellation passes at once, and leaves no task, timer or call behind.
5. What it does not know passes as it is, after one try.
6. No principal gets what another one asked for.

They hold for middleware of an application's own as well, see `check_middleware`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import msgspec

from trunkline.core.reply import Reply
from trunkline.errors import CallError, DeadlineExceededError
from trunkline.pipeline.middleware import Function
from trunkline.testing.law_play import ENDS, Act, Asked, Build, End, Foreign, Played, Told, play

UNKNOWN: tuple[End, ...] = ("lost", "malformed")
"""Ends after which the call may have been executed, or not."""
ANSWERED: tuple[End, ...] = ("reply", "tool_error", "answered")
"""Ends after which it is known that the peer has dealt with the call."""

_MOMENTS = (0.0, 0.25, 1.0, 1.05, 1.5, 2.5)
"""When calls are cancelled: before they begin, while they run, as they end, and between tries."""
_ROOM = 0.002
"""Seconds by which a moment of the loop's clock may be missed: timers ring by its resolution."""


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a layer, or a stack of them, promises."""

    tries: int = 1
    """Most calls of the service within it, for one call."""
    repeats: bool = False
    """Whether all calls of the play are known to be safe to repeat, so that law 3 asks nothing."""
    changes: bool = False
    """Whether it is there to change calls, replies or errors, so that law 1 asks for no delay only."""
    shares: bool = False
    """Whether a call of the service may be for several callers: it goes on when one of them leaves."""
    deadline: bool = False
    """Whether it ends calls when their time is over."""


def check_layer(build: Build, promise: Promise | None = None) -> None:
    """Hold a layer to the laws, in every way in which one call, and three at a time, may go.

    Args:
        build: puts the layer, or several, around a service; called anew for each play.
        promise: what it promises; by default one call of the service for each call, never repeated.

    Raises:
        AssertionError: it breaks a law; says which, and in which play.
    """
    promise = promise or Promise()
    for end in (*ANSWERED, "foreign"):
        check_idle(build, end, promise)
    for asked in _plays():
        check_play(play(build, asked), promise)


def check_middleware(function: Function, promise: Promise | None = None) -> None:
    """Hold a function `async def mw(call, next)` to the laws, see `check_layer`."""
    check_layer(lambda inner: lambda call: function(call, inner), promise)


def check_idle(build: Build, end: End, promise: Promise) -> None:
    """Hold that a call that ends at once, with nothing to be done about it, passes untouched."""
    (told,) = play(build, [Asked(acts=(Act(ends=end),))]).told
    _hold(len(told.tries) == 1, f"law 2: {len(told.tries)} tries of what needs one", told)
    tried = told.tries[0]
    _hold(told.ended == told.asked.at, "law 1: it took time", told)
    if promise.changes:
        return
    _hold(tried.call == told.call, "law 1: the call was changed", told)
    if isinstance(tried.gave, Reply) and isinstance(told.outcome, Reply):
        _hold(_plain(told.outcome) == _plain(tried.gave), "law 1: the reply was changed", told)
    else:
        _hold(told.outcome is tried.gave, "law 1: the error was changed", told)


def check_play(played: Played, promise: Promise) -> None:
    """Hold that no law was broken in a play."""
    for told in played.told:
        _check_tries(told, promise)
        _check_outcome(told, played, promise)
        _check_end(told, promise)
    if played.left:
        raise AssertionError(f"law 4: left behind: {'; '.join(played.left)}")


def _check_tries(told: Told, promise: Promise) -> None:
    ends = [one.act.ends for one in told.tries]
    _hold(len(ends) <= promise.tries, f"law 2: {len(ends)} tries, promised {promise.tries}", told)
    done, earlier = (*ANSWERED, "foreign"), ends[:-1]
    _hold(not any(end in done for end in earlier), "law 2: it was tried again after an answer", told)
    if not promise.repeats:
        _hold(not any(end in UNKNOWN for end in earlier), "law 3: what may have happened was repeated", told)
    cut = [one for one in told.tries[:-1] if one.gave is None]
    _hold(not cut, "law 4: it was tried again after a cancellation", told)


def _check_outcome(told: Told, played: Played, promise: Promise) -> None:
    outcome, own = told.outcome, [one.gave for one in told.tries]
    if isinstance(outcome, Reply):
        about = {"principal": told.asked.principal, "arguments": {"number": told.asked.number}}
        _hold(outcome.structured == about, "law 6: a reply to somebody else", told)
    elif isinstance(outcome, Foreign):
        _hold(not own or outcome is own[-1], "law 5: somebody else's exception", told)
    elif isinstance(outcome, CallError):
        others = [
            one.gave
            for other in played.told
            for one in other.tries
            if other.asked.principal != told.asked.principal
        ]
        _hold(all(outcome is not error for error in others), "law 6: an error of somebody else's", told)
    else:
        known = isinstance(outcome, asyncio.CancelledError)
        _hold(known, f"law 5: an exception that nobody raised: {outcome!r}", told)
    left = promise.shares and isinstance(outcome, asyncio.CancelledError | DeadlineExceededError)
    foreign = [
        one.gave
        for one in told.tries
        # What several callers share goes on when one of them has left, and may end otherwise.
        if isinstance(one.gave, Foreign) and not (left and told.ended <= one.at + one.act.takes + _ROOM)
    ]
    _hold(all(outcome is one for one in foreign), "law 5: an unknown exception was swallowed", told)


def _check_end(told: Told, promise: Promise) -> None:
    asked, lasted = told.asked, told.ended - told.asked.at
    if isinstance(told.outcome, asyncio.CancelledError):
        _hold(asked.cancel_after is not None, "law 4: cancelled, although nobody cancelled", told)
    if asked.cancel_after is not None:
        late = lasted - asked.cancel_after
        _hold(late <= _ROOM, f"law 4: ended {late:g} s after it was cancelled", told)
    if promise.deadline:
        _hold(lasted <= asked.timeout + _ROOM, "it outlived its deadline", told)


def _plays() -> Iterator[Sequence[Asked]]:
    for end in ENDS:
        for moment in (None, *_MOMENTS):
            yield [Asked(acts=(Act(ends=end, takes=1.0),), cancel_after=moment)]
        yield [Asked(acts=(Act(ends=end), Act()), timeout=60.0)]
        # Alike but for who asks, at the same time and once more when the first have ended.
        yield [
            Asked(acts=(Act(ends=end, takes=1.0),), principal=name, at=at)
            for at in (0.0, 700.0)
            for name in ("alice", "bob", "carol")
        ]
    # One of those who ask the same is cancelled; the others are answered.
    yield [Asked(acts=(Act(takes=1.0),), cancel_after=0.5 if place == 0 else None) for place in range(3)]


def _plain(reply: Reply) -> Reply:
    """Leave out what the layers fill in of how a call went."""
    return msgspec.structs.replace(reply, elapsed=0.0, attempts=1, timing=None)


def _hold(holds: bool, law: str, told: Told) -> None:
    if not holds:
        raise AssertionError(f"{law}: {told}")

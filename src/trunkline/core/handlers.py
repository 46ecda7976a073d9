"""Answers an application gives when a server asks; each is off unless given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from trunkline.core.elicitation import ElicitRequest, ElicitResult, Mode
from trunkline.core.events import ServerChanged
from trunkline.core.sampling import Root, SampleRequest, SampleResult

Elicited = ElicitResult | Mapping[str, Any] | None
Sampled = SampleResult | Mapping[str, Any] | None
Rooted = Iterable[Root | Mapping[str, Any] | str | Path]

Elicit = Callable[[ElicitRequest], Elicited | Awaitable[Elicited]]
Sample = Callable[[SampleRequest], Sampled | Awaitable[Sampled]]
Roots = Callable[[str], Rooted | Awaitable[Rooted]]
TakeNotification = Callable[[str, Mapping[str, Any]], object]
TakeServerChange = Callable[[ServerChanged], object]
AnswerRequest = Callable[[str, Mapping[str, Any]], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]


class HandlerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much servers may ask; what goes over it is refused and fails only that."""

    rounds: int = 8
    """How often one call may be sent again with answers (2026-07-28, basic/patterns/mrtr)."""
    prompts: int = 16
    """How often a person or model may be asked during one call."""
    sample_tokens: int = 100_000
    """Tokens that one server may have generated while it is configured, over all its calls."""
    concurrency: int = 8
    """Handlers that may run for one server at a time; one more question is refused."""
    timeout: float = 600.0
    """Seconds that one handler may take; a call that it works for may end it sooner."""


class Handlers(msgspec.Struct, frozen=True, kw_only=True):
    """What the application is willing to do for servers; what is not given is refused and not declared.

    Every function may be sync or async. A sync one runs in a thread of its own and so never holds the
    event loop; an async one that blocks does.
    """

    elicit: Elicit | None = None
    """Puts an `ElicitRequest` to a person and gives an `ElicitResult`, or a mapping with `action` and
    `content`; None declines."""
    sample: Sample | None = None
    """Gives a model's `SampleResult` to a `SampleRequest`, or a mapping with `content` and `model`; None
    declines."""
    roots: Roots | None = None
    """Gives the roots a server, named by its configured name, may see: `Root`, mapping, path or URI."""
    notifications: Mapping[str, TakeNotification] = {}
    """Takes a server's name and the params of a notification, by method, such as `notifications/message`;
    in order. If it is slower than the server, the oldest of more than 1,024 waiting ones are dropped."""
    requests: Mapping[str, AnswerRequest] = {}
    """Answers requests of extensions, by method: takes a server's name and the params, gives the result."""
    on_connect: TakeServerChange | None = None
    """Told of every server that becomes ready; `restarts` says whether it came back."""
    on_disconnect: TakeServerChange | None = None
    """Told of every server that was ready and is no more, with the `reason` where there is one."""
    on_error: TakeServerChange | None = None
    """Told of every server that cannot be reached, is lost, or does not answer, with the `reason`."""
    elicit_modes: tuple[Mode, ...] = ("form", "url")
    """The kinds of question `elicit` takes."""
    sample_tools: bool = False
    """Whether `sample` can let its model use tools; without it such requests are refused."""
    allow_credentials: bool = False
    """Whether forms that ask for a password, key, token or card number reach `elicit`; else they are
    declined, as no server may ask for one in a form (2026-07-28, client/elicitation)."""
    limits: HandlerLimits = HandlerLimits()

"""Answers an application gives when a server asks; each is off unless given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

Handler = Callable[[Mapping[str, Any]], Any | Awaitable[Any]]


class Handlers(msgspec.Struct, frozen=True, kw_only=True):
    """What the application is willing to do for servers.

    `notifications` maps a method, such as `notifications/message`, to a function of its params.
    """

    elicit: Handler | None = None
    sample: Handler | None = None
    roots: Handler | None = None
    notifications: Mapping[str, Callable[[str, Mapping[str, Any]], None]] = {}

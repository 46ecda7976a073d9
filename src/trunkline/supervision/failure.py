"""How a server's failure is told: to whoever waits for its start, and to every call after that. Pure."""

from __future__ import annotations

from trunkline.core.process_limits import Exceeded
from trunkline.errors import (
    CallError,
    ConfigError,
    NotFoundError,
    RejectedError,
    ServerError,
    TrunklineError,
    UnavailableError,
)
from trunkline.supervision.recovery import Ending, RestartPolicy

_UNUSABLE = frozenset(
    (
        *("command_not_found", "command_not_executable", "interpreter_not_found", "missing_directory"),
        *("no_common_revision", "foreign_endpoint", "internal"),
        *("tls_untrusted", "tls_wrong_name", "tls_expired", "tls_client_certificate", "tls_version"),
        *("tls_not_spoken", "proxy_authorization"),
    )
)
"""Codes of failed starts that only a person can mend."""
_OURS = ("stdio", "memory")
"""Transports to servers that we start."""


def start_failed(server: str, phase: str, cause: CallError, transport: str = "stdio") -> CallError:
    """Tell a failed start as one; what was lost on the way was no call of anybody's."""
    if isinstance(cause, UnavailableError) and cause.code != "unavailable":
        return cause
    verb, hint = "started", "Look at the last lines of its standard error, or run its command by hand."
    if transport not in _OURS:
        verb, hint = (
            "connected",
            f"Check that its URL is that of an MCP endpoint: `trunkline doctor {server}`.",
        )
    error = UnavailableError(
        f"it could not be {verb} ({phase}): {cause.message}",
        code="start_failed",
        server=server,
        status=cause.status,
        hint=hint,
    )
    error.__cause__ = cause
    return error


def ended(server: str) -> UnavailableError:
    """Tell that the application itself has ended the server."""
    return UnavailableError(
        "the server was removed or the runtime is closed",
        code="closed",
        server=server,
        retryable=False,
        hint="Make calls before `remove` and inside `async with connect(...)`.",
    )


def too_slow(server: str, phase: str, timeout: float, transport: str = "stdio") -> UnavailableError:
    """Tell a start that did not end within its time."""
    look = "Run its command by hand to see what it waits for"
    if transport not in _OURS:
        look = "Check its URL, and that nothing on the way swallows what is sent (`trunkline doctor` tells)"
    return UnavailableError(
        f"it did not become ready within {timeout:g} s ({phase})",
        code="connect_timeout",
        server=server,
        hint=f"{look}, or raise `connect` in trunkline.toml.",
    )


def lost_server(server: str, reason: str) -> UnavailableError:
    """Tell that a ready server was lost."""
    return UnavailableError(
        f"the server was lost: {reason}", code="lost", server=server, hint="The next call starts it again."
    )


def over_limit(server: str, exceeded: Exceeded) -> UnavailableError:
    """Tell that a server took more of the machine than it may, and was ended."""
    return UnavailableError(
        f"the server was ended: {exceeded}",
        code="limit_exceeded",
        server=server,
        hint=f"Raise `process.{exceeded.limit}` of this server in trunkline.toml, or find out what it does.",
    )


def silent(server: str, reason: str) -> UnavailableError:
    """Tell that a connected server gives no sign of life."""
    return UnavailableError(
        f"the server gives no sign of life: {reason}",
        code="silent",
        server=server,
        hint="If it is only slow, raise `health_check_interval` of this server in trunkline.toml.",
    )


def exhausted(server: str, cause: TrunklineError, policy: RestartPolicy, ending: Ending) -> UnavailableError:
    """Tell that a server was started again too often in too short a time.

    One that does not even come up has the code of its last start, as after the first one.
    """
    error = UnavailableError(
        f"it was started again {policy.most} times in {policy.window:g} s; the last time: {describe(cause)}",
        code="restarts_exhausted" if ending == "lost" else cause.code,
        server=server,
        status=cause.status if isinstance(cause, CallError) else None,
        hint=cause.hint,
    )
    error.__cause__ = cause
    return error


def ending_of(error: TrunklineError) -> Ending:
    """Say what a failed start means for the next one."""
    if isinstance(error, ConfigError):
        return "invalid"
    if isinstance(error, CallError) and (error.code in _UNUSABLE or error.status in (401, 403)):
        return "unusable"
    return "refused"


def internal(cause: BaseException) -> UnavailableError:
    """Tell a fault of ours, or of an injected part, in full."""
    error = UnavailableError(f"an internal error: {type(cause).__name__}: {cause}", code="internal")
    error.__cause__ = cause
    return error


def unavailable(server: str, cause: TrunklineError, stderr: str) -> UnavailableError:
    """Give the error of a call to a server that is down for this cause."""
    known = cause if isinstance(cause, CallError) else None
    return UnavailableError(
        f"the server is not available: {describe(cause)}",
        code=cause.code,
        server=server,
        delivery="never_sent",
        status=known.status if known is not None else None,
        retry_after=known.retry_after if known is not None else None,
        stderr=stderr,
        hint=cause.hint or f"`trunkline doctor {server}` finds out in which phase it fails.",
    )


def unsupported_subscription(server: str, reason: str) -> NotFoundError:
    """Tell that a server cannot be subscribed to, or not to this resource."""
    return NotFoundError(
        f"it cannot be subscribed to: {reason}",
        code="not_offered",
        server=server,
        hint="Read the resource again when you need it.",
    )


def refused_subscription(server: str, cause: ServerError) -> RejectedError:
    """Tell that a server answered a subscription with an error."""
    error = RejectedError(
        f"it refused the subscription: {cause.message}",
        code="subscription_refused",
        server=server,
        delivery="refused",
        retryable=False,
        hint="Check the URI; `trunkline info` shows what the server lists.",
    )
    error.__cause__ = cause
    return error


def describe(error: TrunklineError) -> str:
    """Give an error's sentence without the names that its context already says."""
    if isinstance(error, ConfigError) and error.field is not None:
        return f"{error.field}: {error.message}"
    return error.message if isinstance(error, CallError | ConfigError) else str(error)

"""Exit codes: one number for each kind of end, and the error of a mistyped command line."""

from __future__ import annotations

from trunkline.errors import (
    AmbiguousNameError,
    AuthorizationRequiredError,
    ConfigError,
    DeadlineExceededError,
    DeniedError,
    InvalidArgumentsError,
    NotFoundError,
    OutcomeUnknownError,
    ProtocolError,
    RejectedError,
    ServerError,
    TrunklineError,
    UnavailableError,
)

OK = 0
INTERNAL = 1
USAGE = 2
AUTHORIZATION = 3
UNREACHABLE = 4
TOOL_ERROR = 5
DENIED = 6
UNKNOWN_OUTCOME = 7
INTERRUPTED = 130

MEANINGS: dict[int, str] = {
    OK: "done",
    INTERNAL: "an internal failure; `-v` shows where",
    USAGE: "the command line, the arguments or the configuration are wrong",
    AUTHORIZATION: "the server wants credentials",
    UNREACHABLE: "the server cannot be reached, or turned the call away",
    TOOL_ERROR: "the tool failed, or there is no such tool",
    DENIED: "not allowed: by policy, by `--read-only`, or by you when asked",
    UNKNOWN_OUTCOME: "the time ran out, or it is not known whether the tool ran",
    INTERRUPTED: "stopped by Ctrl-C or a signal; the server is told to stop too",
}
"""What each exit code says, as in the documentation and `--help-json`."""


class UsageError(TrunklineError):
    """The command line cannot be understood; nothing was started or sent."""

    code = "usage_error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InterruptedRunError(TrunklineError):
    """Ctrl-C, a termination signal or the end of the terminal stopped the command."""

    code = "interrupted"


_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (UsageError, USAGE),
    (ConfigError, USAGE),
    (InvalidArgumentsError, USAGE),
    (AuthorizationRequiredError, AUTHORIZATION),
    (RejectedError, UNREACHABLE),
    (NotFoundError, TOOL_ERROR),
    (AmbiguousNameError, TOOL_ERROR),
    (ServerError, TOOL_ERROR),
    (DeniedError, DENIED),
    (DeadlineExceededError, UNKNOWN_OUTCOME),
    (OutcomeUnknownError, UNKNOWN_OUTCOME),
    (InterruptedRunError, INTERRUPTED),
    (KeyboardInterrupt, INTERRUPTED),
)


def exit_code(error: BaseException) -> int:
    """Give the exit code of a command that ended with `error`.

    A broken protocol is an internal failure (1) unless the request may have been executed (7). A server
    that is down for want of credentials (3) or of a usable configuration (2) is told apart from one that
    cannot be reached (4).
    """
    if isinstance(error, UnavailableError):
        cause = error.__cause__
        return (
            exit_code(cause) if isinstance(cause, ConfigError | AuthorizationRequiredError) else UNREACHABLE
        )
    if isinstance(error, ProtocolError):
        return UNKNOWN_OUTCOME if error.delivery == "unknown" else INTERNAL
    return next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL)

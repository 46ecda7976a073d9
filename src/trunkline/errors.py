"""Every error Trunkline raises, and the facts each one carries.

Nothing here knows how a call travels. Lower layers raise with the facts they have; the outermost
layer of the pipeline fills in the rest (`CallError.complete`) before the caller sees the error.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Delivery = Literal["never_sent", "refused", "unknown", "answered"]
"""What is known of a failed call's request.

`never_sent`: not one byte left. `refused`: the peer said that it did not execute it. `unknown`: bytes
left and no complete answer was read. `answered`: a complete response to this request was read.
"""


class TrunklineError(Exception):
    """The root of the tree.

    Attributes:
        code: stable name of the kind of failure, for programs.
        hint: one sentence that says what to do, or None.
    """

    code: str = "error"
    hint: str | None = None

    @property
    def page(self) -> str:
        """The page of the documentation about this code, which `trunkline doctor --explain` prints."""
        return f"docs/diagnostics/{self.code}.md"


class ConfigError(TrunklineError):
    """A configuration file, entry or argument cannot be used.

    Attributes:
        server: configured name of the server concerned, or None.
        field: path of the offending key, such as `env.TOKEN` or `url`, or None.
        source: file the value came from, or None.
        line, column: 1-based position in `source`, or None.
    """

    code = "config_error"

    def __init__(
        self,
        message: str,
        *,
        server: str | None = None,
        field: str | None = None,
        source: str | None = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.server = server
        self.field = field
        self.source = source
        self.line = line
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        position = ":".join(str(part) for part in (self.source, self.line, self.column) if part)
        where = [position] if position else []
        if self.server is not None:
            where.append(f"server {self.server!r}")
        if self.field is not None:
            where.append(f"field {self.field!r}")
        return f"{', '.join(where)}: {self.message}" if where else self.message


class CallError(TrunklineError):
    """One call failed; `delivery` says what is known of it.

    Attributes:
        code: stable name of the kind of failure.
        call_id: identifier of the call, as in logs and events.
        tool: public name (`server.tool`) of what was called.
        server: configured name of the server.
        attempts: how many times the request was tried.
        elapsed: seconds from the caller's call to this error.
        delivery: see `Delivery`.
        retryable: whether calling again may help and cannot repeat a side effect.
        retry_after: seconds the server asked to wait, or None.
        status: HTTP status of the answer, or None.
        stderr: last lines the server wrote to its standard error, or "".
        hint: one sentence that says what to do, or None.
        reply: the `Reply` that was read, where it could not become the type asked for; else None.
        task: handle of the task that the server made of the call and that may still run, or None.
        timing: the `Timing` of the call: where its time went.
    """

    code = "call_error"
    default_delivery: ClassVar[Delivery] = "never_sent"
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        server: str | None = None,
        tool: str | None = None,
        delivery: Delivery | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        status: int | None = None,
        stderr: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.call_id: str | None = None
        self.tool = tool
        self.server = server
        self.attempts = 0
        self.elapsed: float | None = None
        self.reply: Any = None
        self.task: str | None = None
        self.timing: Any = None
        self.delivery: Delivery = delivery or self.default_delivery
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.status = status
        self.stderr = stderr
        self.hint = hint

    def complete(
        self, *, call_id: str, server: str, tool: str, attempts: int, elapsed: float, stderr: str
    ) -> None:
        """Fill in what the raising layer could not know; facts already set stay."""
        self.call_id = self.call_id or call_id
        self.server = self.server or server
        self.tool = self.tool or tool
        self.attempts = self.attempts or attempts
        self.elapsed = elapsed
        self.stderr = self.stderr or stderr

    def __str__(self) -> str:
        target = self.tool or self.server
        return f"{target}: {self.message}" if target else self.message


class NotFoundError(CallError):
    """No configured server, or no tool of that server, has this name.

    Attributes:
        candidates: the nearest names that exist, best first.
    """

    code = "not_found"

    def __init__(self, message: str, *, candidates: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.candidates = candidates


class AmbiguousNameError(CallError):
    """A bare name belongs to several servers.

    Attributes:
        candidates: the public names it could mean, sorted.
    """

    code = "ambiguous_name"

    def __init__(self, message: str, *, candidates: tuple[str, ...], **facts: Any) -> None:
        super().__init__(message, **facts)
        self.candidates = candidates


class DeniedError(CallError):
    """Policy does not allow this call, or an approval is missing."""

    code = "denied"


class AuthorizationRequiredError(CallError):
    """The server wants credentials it was not given (HTTP 401 or 403)."""

    code = "authorization_required"
    default_delivery = "refused"


class InvalidArgumentsError(CallError):
    """The arguments do not match the tool's input schema; nothing was sent.

    Attributes:
        problems: one sentence each, naming the argument.
    """

    code = "invalid_arguments"

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.problems = problems


class RejectedError(CallError):
    """The call was turned away unexecuted: rate limit, open breaker, overload."""

    code = "rejected"
    default_retryable = True


class DeadlineExceededError(CallError):
    """The call's total or idle time ran out."""

    code = "deadline_exceeded"


class UnavailableError(CallError):
    """The server is known to be down; the request was not executed."""

    code = "unavailable"
    default_retryable = True


class LeaseLostError(UnavailableError):
    """The connection that was leased, or its session, is gone, and all that it held with it."""

    code = "lease_lost"
    default_retryable = False


class OutcomeUnknownError(CallError):
    """The request left and the link was lost before an answer: it may have run."""

    code = "outcome_unknown"
    default_delivery = "unknown"


class ProtocolError(CallError):
    """The peer broke the protocol or a limit of ours."""

    code = "protocol_error"
    default_delivery = "unknown"


class ServerError(CallError):
    """The peer answered with a JSON-RPC error.

    Attributes:
        rpc_code: the JSON-RPC error code.
        rpc_message: the peer's message (untrusted text).
        data: the error's `data` member, or None.
    """

    code = "server_error"
    default_delivery: ClassVar[Delivery] = "answered"

    def __init__(
        self, message: str, *, rpc_code: int, rpc_message: str, data: Any = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.rpc_code = rpc_code
        self.rpc_message = rpc_message
        self.data = data


class ElicitationRequiredError(ServerError):
    """The server does not make the call before a person has visited its URLs (-32042, 2025-11-25).

    Attributes:
        elicitations: an `ElicitRequest` for each URL; empty when one of them must not be shown.
    """

    code = "elicitation_required"
    default_delivery: ClassVar[Delivery] = "refused"

    def __init__(self, message: str, *, elicitations: tuple[Any, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.elicitations = elicitations


class WorkflowError(TrunklineError):
    """A workflow definition or run failed."""

    code = "workflow_error"


class AgentError(TrunklineError):
    """A model or an assistant failed."""

    code = "agent_error"

"""Why a question of a server was not answered, told to the server and to our caller each in their way."""

from __future__ import annotations

from trunkline.errors import CallError, DeniedError, ProtocolError
from trunkline.protocol.eras import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND

USER_REJECTED = -1
"""Code of a sampling request that was declined (specification 2025-11-25, client/sampling)."""


class RefusalError(Exception):
    """A question that gets no answer; raised and met inside this package only.

    Attributes:
        message: in words that may be told to the server: nothing of the application's own.
        rpc_code: the JSON-RPC code a legacy server is answered with.
        code: the stable code of the error a caller gets.
        detail: what only our caller may know, or "".
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        rpc_code: int,
        kind: type[CallError] = ProtocolError,
        detail: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.rpc_code = rpc_code
        self.detail = detail
        self._kind = kind
        self._hint = hint

    def to_error(self, server: str, asked: str) -> CallError:
        """Give the error of the call in whose course the server asked; its cause is this one's.

        Args:
            asked: the method and, of several questions, the key.
        """
        detail = f" ({self.detail})" if self.detail else ""
        error = self._kind(
            f"the server asked for {asked}: {self.message}{detail}",
            code=self.code,
            server=server,
            delivery="answered",
            hint=self._hint or "What the tool did before it asked is not known; ask the server's author.",
        )
        error.__cause__ = self.__cause__
        return error


def not_offered(method: str) -> RefusalError:
    """The application has no handler for it, so it was not declared."""
    return RefusalError(
        f"this client does not offer {method}",
        code="undeclared_input_request",
        rpc_code=METHOD_NOT_FOUND,
        hint="Give `trunkline.Handlers` a function for it.",
    )


def unknown(method: str) -> RefusalError:
    """No revision of ours has such a question."""
    return RefusalError(
        f"this client does not know {method}",
        code="unknown_input_request",
        rpc_code=METHOD_NOT_FOUND,
        hint="If an extension defines it, give `trunkline.Handlers(requests={...})` a function for it.",
    )


def malformed(reason: str) -> RefusalError:
    """The question breaks the protocol."""
    return RefusalError(reason, code="malformed_input_request", rpc_code=INVALID_PARAMS)


def over_limit(reason: str, code: str, hint: str) -> RefusalError:
    """The server asked for more than `HandlerLimits` allows."""
    return RefusalError(reason, code=code, rpc_code=INVALID_REQUEST, hint=hint)


def declined(what: str) -> RefusalError:
    """The application or its person said no, where the protocol has no result for that."""
    return RefusalError(
        f"the user declined {what}",
        code="declined",
        rpc_code=USER_REJECTED,
        kind=DeniedError,
        hint="The call can be made again if the answer would be another one.",
    )


def failed(detail: str, cause: BaseException | None = None) -> RefusalError:
    """The application's handler gave nothing that can be sent; the server learns no more than that."""
    refusal = RefusalError(
        "this client could not answer",
        code="handler_failed",
        rpc_code=INTERNAL_ERROR,
        kind=CallError,
        detail=detail,
        hint="Correct the handler given to `trunkline.Handlers`; the server was sent nothing of its result.",
    )
    refusal.__cause__ = cause
    return refusal

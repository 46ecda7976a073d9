"""One request on its way through a fake server, from receipt to the last byte of its reply.

Sans-IO: `steps` yields effects and is told the return value of a tool's function. Whoever plays the
steps stops when `cancelled` is called and the request may be cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trunkline.testing import answers, eras, tasks
from trunkline.testing.asking import InputRequired, as_rounds, play_asks
from trunkline.testing.effects import Effect, Invoke, Pause, Steps, Write
from trunkline.testing.faults import Fault
from trunkline.testing.framing import error_message, note_message, result_message
from trunkline.testing.ledger import Received
from trunkline.testing.script import Result, RpcError, Tool
from trunkline.testing.watching import LISTEN

if TYPE_CHECKING:
    from trunkline.testing.dialogue import Conversation


class Request(NamedTuple):
    """A JSON-RPC request and the revision it is to be served under, if that is known."""

    method: str
    params: Mapping[str, Any]
    id: str | int
    version: str | None


class Carrier(Protocol):
    """Turns the messages of one exchange into bytes and endings."""

    def note(self, message: Mapping[str, Any]) -> bytes:
        """Give the bytes of a notification; none where the carrier cannot deliver it."""

    def reply(self, message: Mapping[str, Any], fault: Fault | None) -> Iterator[Effect]:
        """Give the effects that answer the request, or fail to."""


class Exchange:
    """One request being served."""

    def __init__(
        self,
        conversation: Conversation,
        request: Request,
        received: Received,
        carrier: Carrier,
        refusal: RpcError | None = None,
    ) -> None:
        self.conversation = conversation
        self.server = conversation.server
        self.request = request
        self.received = received
        self.on_cancel: Callable[[], None] | None = None
        """Called once when the client cancels; set by whoever plays the steps."""
        self.steps: Steps = self._play()
        self.carrier = carrier
        self._refusal = refusal
        tool = self.server.tools.get(received.name or "") if request.method == "tools/call" else None
        self.cancellable = tool is None or tool.cancellable
        """Whether playing has to stop at a cancellation."""

    @property
    def stopped(self) -> bool:
        """Whether the client cancelled and playing has to stop."""
        return self.received.cancelled and self.cancellable

    def cancel(self) -> None:
        """Record that the client cancelled, and tell whoever plays the steps."""
        if not self.received.cancelled:
            self.server.ledger.mark(self.received, "cancelled")
            if self.on_cancel is not None:
                self.on_cancel()

    def finish(self) -> None:
        """Let go of the exchange, however far it got."""
        self.steps.close()
        if self.conversation.running.get(self.request.id) is self:
            del self.conversation.running[self.request.id]

    def note(self, method: str, params: Mapping[str, Any]) -> bytes:
        """Give the bytes of a notification that belongs to this exchange."""
        return self.carrier.note(note_message(method, params))

    def progress(self, progress: float, total: float | None = None, message: str | None = None) -> bytes:
        """Give the bytes of a progress notification; none if the client did not ask for any."""
        token = self.received.meta.get("progressToken")
        if token is None:
            return b""
        params = eras.shape_progress(self.request.version or "", progress, total, message)
        return self.note("notifications/progress", {"progressToken": token, **params})

    def log(self, level: str, data: Any, logger: str | None = None) -> bytes:
        """Give the bytes of a log message; none if the client did not ask for this level."""
        modern = eras.family(self.request.version or "") == "modern"
        wanted = self.received.meta.get(eras.META_LOG_LEVEL) if modern else self.conversation.log_level
        if wanted is None or eras.LOG_LEVELS.index(level) < eras.LOG_LEVELS.index(wanted):
            return b""
        named = {} if logger is None else {"logger": logger}
        return self.note("notifications/message", {"level": level, **named, "data": data})

    def _play(self) -> Steps:
        if self.request.version is None:
            self.request = self.request._replace(version=self.conversation.version)
        fault = self.server.strike(self.request.method, self.received.name)
        if fault is not None and fault.kind == "delay" and not fault.committed:
            yield Pause(fault.seconds)
        if fault is not None and fault.early and fault.kind != "delay":
            message = result_message(self.request.id, {})
        else:
            message = yield from self._answer()
        if fault is not None and fault.kind == "delay" and fault.committed:
            yield Pause(fault.seconds)
        if fault is not None and fault.kind == "rpc_error":
            message = error_message(self.request.id, RpcError(fault.code, fault.text, fault.data))
        yield from self.carrier.reply(message, fault)

    def _answer(self) -> Generator[Effect, Any, dict[str, Any]]:
        try:
            if self._refusal is not None:
                raise self._refusal
            answers.admit(self.conversation, self.request)
            if self.request.method == "tools/call":
                result = yield from self._call_or_task()
            elif self.request.method == LISTEN:
                result = yield from self.server.watchers.listen(self)
            elif self.request.method in tasks.METHODS:
                result = yield from tasks.answer(self)
            else:
                result = answers.answer(self.conversation, self.request)
            self.server.ledger.mark(self.received, "executed")
        except RpcError as error:
            return error_message(self.request.id, error)
        if eras.family(self.request.version or "") == "modern":
            result = self.server.complete(result, self.request.method)
        return result_message(self.request.id, result)

    def _call_or_task(self) -> Generator[Effect, Any, Mapping[str, Any]]:
        """Serve a call, as a task where its tool is scripted to and the client can."""
        tool = answers.find_tool(self.server, self.received.name)
        if not tasks.wants_task(self, tool):
            return (yield from self._call())
        try:
            outcome: Mapping[str, Any] | RpcError = yield from self._call()
        except RpcError as error:
            outcome = error
        if isinstance(outcome, dict) and outcome.get("resultType") == "input_required":
            return outcome
        return tasks.create(self, tool, outcome)

    def _call(self) -> Generator[Effect, Any, Mapping[str, Any]]:
        tool = answers.find_tool(self.server, self.received.name)
        arguments = dict(self.received.arguments)
        try:
            told = yield from play_asks(self, as_rounds(tool.asks))
            if isinstance(told, Result):
                return told
            yield from self._perform(tool)
            if tool.function is not None:
                value = yield Invoke(tool, arguments)
            else:
                value = answers.scripted_value(tool, arguments, told)
        except InputRequired as more:
            return more.result
        except RpcError:
            raise
        except Exception as error:  # boundary: a tool's own failure is a result its caller has to see
            value = Result(content=[{"type": "text", "text": str(error)}], isError=True)
        return value if isinstance(value, Result) else eras.shape_content(value, self.request.version or "")

    def _perform(self, tool: Tool) -> Iterator[Effect]:
        """Spread the tool's progress evenly over its delay."""
        if tool.delay and not tool.progress:
            yield Pause(tool.delay)
        for note in tool.progress:
            yield Write(self.progress(*note))
            yield Pause(tool.delay / len(tool.progress))

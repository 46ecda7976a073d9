"""Tasks of a fake server: calls it answers with a promise, well behaved or hostile, in both families' ways.

The modern extension makes a task of a call by itself; 2025-11-25 does where the client asks for one. A
task's outcome is settled when it is made and shown after as many polls as scripted.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from trunkline.testing import eras
from trunkline.testing.asking import Ask, Rounds, as_rounds, ask_legacy
from trunkline.testing.effects import Effect, Pause
from trunkline.testing.script import Result, RpcError

if TYPE_CHECKING:
    from trunkline.testing.exchange import Exchange
    from trunkline.testing.fake import FakeServer
    from trunkline.testing.script import Tool

EXTENSION = "io.modelcontextprotocol/tasks"
METHODS = frozenset({"tasks/get", "tasks/update", "tasks/cancel", "tasks/result"})
EXPERIMENTAL = "2025-11-25"
CREATED = "2026-01-01T00:00:00Z"

Ends = Literal["completed", "failed", "cancelled", "never"]
Quirk = Literal["unknown_status", "new_id", "backward", "no_result", "no_id", "repeated_key", "new_keys"]
"""What breaks the protocol: a status there is not, another task's id, a task that was created completed and
works again, no result, no id, a key asked again after its answer, or new questions without end."""


class TaskScript(NamedTuple):
    """How a tool's calls become tasks."""

    polls: int = 1
    """How often `tasks/get` says `working` before the task has ended or asks."""
    asks: Sequence[Ask | Sequence[Ask]] = ()
    """Questions to the client before the end: of one round, or a list of rounds."""
    ends: Ends = "completed"
    """`completed` shows what the tool gave, an `isError` result too; a tool that gives a JSON-RPC error has
    failed whatever stands here."""
    poll_ms: Any = 10
    """`pollIntervalMs`; None leaves it out."""
    ttl_ms: Any = 60_000
    message: str | None = None
    support: Literal["optional", "required"] = "optional"
    """What 2025-11-25 clients are told of the tool; a call of one that requires a task and asks for none is
    refused."""
    obeys: bool = True
    """Whether `tasks/cancel` ends it."""
    quirk: Quirk | None = None


class FakeTask:
    """One task that was made. Its `polls`, `answers` and `cancelled` are for tests to read."""

    def __init__(self, number: str, script: TaskScript, outcome: Mapping[str, Any] | RpcError) -> None:
        self.id = number
        self.script = script
        self.outcome = outcome
        self.rounds: Rounds = as_rounds(script.asks)
        self.polls = 0
        self.answers: dict[str, Mapping[str, Any]] = {}
        self.cancelled = False

    @property
    def status(self) -> str:
        """How far it is now."""
        if self.cancelled and self.script.obeys:
            return "cancelled"
        if self.script.quirk == "unknown_status":
            return "paused"
        if self.polls <= self.script.polls:
            return "working"
        if self.open_asks():
            return "input_required"
        if self.script.ends == "never":
            return "working"
        if isinstance(self.outcome, RpcError):
            return "failed"
        return self.script.ends

    def open_asks(self) -> tuple[Ask, ...]:
        """Give the questions of the first round that is not answered whole."""
        if self.script.quirk == "repeated_key":
            return self.rounds[0]
        if self.script.quirk == "new_keys":
            return tuple(ask._replace(key=f"{ask.key}-{len(self.answers)}") for ask in self.rounds[0])
        for asks in self.rounds:
            if missing := tuple(ask for ask in asks if ask.key not in self.answers):
                return missing
        return ()

    def describe(self, *, modern: bool, created: bool = False) -> dict[str, Any]:
        """Give the `Task` object of a family."""
        script = self.script
        status = self.status
        if created and script.quirk in ("backward", "unknown_status"):
            status = "completed" if script.quirk == "backward" else "working"
        number = f"{self.id}-other" if script.quirk == "new_id" and not created else self.id
        ttl, interval = ("ttlMs", "pollIntervalMs") if modern else ("ttl", "pollInterval")
        described = {
            "taskId": number,
            "status": status,
            "createdAt": CREATED,
            "lastUpdatedAt": CREATED,
            ttl: script.ttl_ms,
            interval: script.poll_ms,
            "statusMessage": script.message,
        }
        left_out = {"statusMessage", interval} | ({"taskId"} if script.quirk == "no_id" else set())
        return {
            key: value
            for key, value in described.items()
            if not (key in left_out and (value is None or key == "taskId"))
        }


def declare(server: FakeServer, version: str) -> dict[str, Any]:
    """Give the capabilities that a server with such tools declares."""
    if all(tool.task is None for tool in server.tools.values()):
        return {}
    if eras.family(version) == "modern":
        return {"extensions": {EXTENSION: {}}}
    whole: dict[str, Any] = {"cancel": {}, "requests": {"tools": {"call": {}}}}
    return {"tasks": whole} if version == EXPERIMENTAL else {}


def wants_task(exchange: Exchange, tool: Tool) -> bool:
    """Tell whether a call becomes a task; raises RpcError where it has to and the client cannot."""
    request = exchange.request
    if tool.task is None:
        return False
    if eras.family(request.version or "") == "modern":
        meta = request.params.get("_meta") or {}
        offered = (meta.get(eras.META_CAPABILITIES) or {}).get("extensions") or {}
        return EXTENSION in offered
    if request.version != EXPERIMENTAL:
        return False
    if "task" not in request.params and tool.task.support == "required":
        raise RpcError(eras.METHOD_NOT_FOUND, "this tool has to be called as a task")
    return "task" in request.params


def create(exchange: Exchange, tool: Tool, outcome: Mapping[str, Any] | RpcError) -> dict[str, Any]:
    """Make a task of a call and give the result that says so."""
    server = exchange.server
    assert tool.task is not None  # noqa: S101 - `wants_task` has looked
    task = FakeTask(f"{server.name}-task-{len(server.tasks) + 1}", tool.task, outcome)
    server.tasks[task.id] = task
    modern = eras.family(exchange.request.version or "") == "modern"
    described = task.describe(modern=modern, created=True)
    return Result(resultType="task", **described) if modern else {"task": described}


def answer(exchange: Exchange) -> Generator[Effect, Any, Mapping[str, Any]]:
    """Give the result of a method about a task; raises RpcError."""
    request = exchange.request
    modern = eras.family(request.version or "") == "modern"
    if request.method == ("tasks/result" if modern else "tasks/update"):
        raise RpcError(eras.METHOD_NOT_FOUND, f"Method not found: {request.method}")
    task = exchange.server.tasks.get(str(request.params.get("taskId")))
    if task is None:
        raise RpcError(eras.INVALID_PARAMS, "Failed to retrieve task: Task not found")
    match request.method:
        case "tasks/update":
            task.answers.update(request.params.get("inputResponses") or {})
            return {}
        case "tasks/cancel":
            return _cancel(task, modern=modern)
        case "tasks/result":
            return (yield from _wait(exchange, task))
    task.polls += 1
    return _show(task) if modern else task.describe(modern=False)


def _cancel(task: FakeTask, *, modern: bool) -> Mapping[str, Any]:
    if not modern and task.status in ("completed", "failed", "cancelled"):
        raise RpcError(eras.INVALID_PARAMS, f"Cannot cancel task: already in status '{task.status}'")
    task.cancelled = True
    return {} if modern else task.describe(modern=False)


def _show(task: FakeTask) -> dict[str, Any]:
    described = task.describe(modern=True)
    match described["status"]:
        case "input_required":
            asked = {ask.key: {"method": ask.method, "params": dict(ask.params)} for ask in task.open_asks()}
            return {**described, "inputRequests": asked}
        case "failed":
            error = task.outcome if isinstance(task.outcome, RpcError) else RpcError(-32603, "it broke")
            return {**described, "error": error.to_error()}
        case "completed" if task.script.quirk != "no_result" and not isinstance(task.outcome, RpcError):
            return {**described, "result": dict(task.outcome)}
    return described


def _wait(exchange: Exchange, task: FakeTask) -> Generator[Effect, Any, Mapping[str, Any]]:
    """Serve `tasks/result`: ask what is to be asked, and answer when the task has ended."""
    task.polls = max(task.polls, task.script.polls + 1)
    while asks := task.open_asks():
        task.answers.update((yield from ask_legacy(exchange, asks)))
    while task.status == "working":
        yield Pause(0.05)
    if isinstance(task.outcome, RpcError):
        raise task.outcome
    if task.status == "cancelled":
        raise RpcError(eras.INVALID_REQUEST, "the task was cancelled")
    meta = {"io.modelcontextprotocol/related-task": {"taskId": task.id}}
    return {**task.outcome, "_meta": meta}

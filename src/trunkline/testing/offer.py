"""What a fake server offers, and the ways to add to it."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, Unpack, overload

from trunkline.testing.asking import Ask, as_rounds
from trunkline.testing.script import Completion, Function, Note, Prompt, Report, Resource, Tool, pad
from trunkline.testing.tasks import FakeTask, TaskScript

AnyFunction = TypeVar("AnyFunction", bound=Function)


class ToolScript(TypedDict, total=False):
    """How a tool is listed and what a call of it does."""

    schema: Mapping[str, Any]
    """JSON Schema of the arguments, for listing only: a fake validates nothing."""
    description: str
    title: str
    output_schema: Mapping[str, Any]
    annotations: Mapping[str, Any]
    returns: Any
    """What it gives, in the forms a function may return."""
    error: str
    """Text of an `isError` result."""
    rpc_error: tuple[int, str] | tuple[int, str, Any]
    """Code, message and data of a JSON-RPC error."""
    delay: float
    """Seconds before it gives its result; in this process on the clock of the running loop."""
    progress: Sequence[Note]
    """Notifications spread evenly over `delay`, for clients that ask for them."""
    reports: Report
    """Answer with its own arguments, the client's answers, or facts of the server's process."""
    asks: Sequence[Ask | Sequence[Ask]]
    """Questions to the client before the result: of one round, or a list of rounds."""
    task: TaskScript | None
    """Make tasks of its calls, for clients that can; `TaskScript()` is a well-behaved one."""
    cancellable: bool
    """False records a cancellation and replies all the same."""


class Offer:
    """Tools, resources and prompts, each in the order they were added."""

    def __init__(self) -> None:
        self.tools: dict[str, Tool] = {}
        self.resources: dict[str, Resource] = {}
        self.prompts: dict[str, Prompt] = {}
        self.completions: dict[tuple[str, str], Completion] = {}
        self.tasks: dict[str, FakeTask] = {}
        """The tasks that were made, by id, over all connections."""

    @overload
    def tool(self, name: AnyFunction, /) -> AnyFunction: ...

    @overload
    def tool(
        self, name: str | None = None, /, **script: Unpack[ToolScript]
    ) -> Callable[[AnyFunction], AnyFunction]: ...

    def tool(self, name: str | AnyFunction | None = None, /, **script: Unpack[ToolScript]) -> Any:
        """Add a tool: `tool("list", returns="...")` at once, or `@tool`, `@tool(schema=...)` on a function.

        A function takes nothing, `(arguments)` or `(arguments, context)`, sync or async, and gives what
        `returns` may be: a string, a list of content blocks, a `Result` sent as it is, None, or any other
        JSON value as structured content. If it raises, the caller gets an `isError` result; `RpcError` gives
        a JSON-RPC error.

        Raises:
            ValueError: a function and a scripted outcome at once.
        """
        listed = Tool(name if isinstance(name, str) else "", **_normalize(script))
        if isinstance(name, str):
            self.tools[name] = listed

        def decorate(function: AnyFunction) -> AnyFunction:
            if clash := script.keys() & {"returns", "error", "rpc_error", "reports", "asks"}:
                raise ValueError(f"{function.__name__} is a function and cannot also have {', '.join(clash)}")
            chosen = listed.name or function.__name__
            self.tools[chosen] = listed._replace(
                name=chosen,
                description=listed.description or function.__doc__,
                function=function,
                takes=_count_parameters(function),
            )
            return function

        return decorate(name) if callable(name) else decorate

    def raw_tool(self, definition: Mapping[str, Any]) -> None:
        """List a definition verbatim, however malformed; a call of its name answers with no content."""
        name = str(definition.get("name", f"raw-{len(self.tools)}"))
        self.tools[name] = Tool(name, definition=definition)

    def resource(
        self,
        uri: str,
        text: str = "",
        *,
        name: str | None = None,
        mime_type: str | None = None,
        data: bytes | None = None,
    ) -> None:
        """Add a resource, or a template if the URI holds `{...}`.

        Args:
            text: in that of a template with one variable, `{variable}` is filled in.
            data: bytes, given as base64 in place of text.
        """
        blob = None if data is None else binascii.b2a_base64(data, newline=False).decode()
        self.resources[uri] = Resource(uri, name or uri, text, mime_type, blob)

    def raw_resource(self, definition: Mapping[str, Any], *, template: bool = False) -> None:
        """List a definition verbatim, however malformed, among the resources or the templates."""
        key = f"raw-{len(self.resources)}{'{}' if template else ''}"
        self.resources[key] = Resource(key, key, definition=definition)

    def raw_prompt(self, definition: Mapping[str, Any]) -> None:
        """List a definition verbatim, however malformed."""
        key = f"raw-{len(self.prompts)}"
        self.prompts[key] = Prompt(key, definition=definition)

    def completion(self, target: str, argument: str, values: Sequence[str]) -> None:
        """Complete an argument of a prompt or URI template with those of these that begin as typed."""
        self.completions[target, argument] = Completion(target, argument, tuple(values))

    def prompt(
        self, name: str, text: str = "", *, arguments: Sequence[str] = (), description: str | None = None
    ) -> None:
        """Add a prompt of one user message in which `{argument}` is filled in; `tone?` is an optional one."""
        self.prompts[name] = Prompt(name, text, tuple(arguments), description)


def _normalize(script: ToolScript) -> dict[str, Any]:
    error, task = script.get("rpc_error"), script.get("task")
    return {
        **script,
        "task": None if task is None else task._replace(asks=as_rounds(task.asks)),
        "progress": tuple(script.get("progress", ())),
        "asks": as_rounds(script.get("asks", ())),
        "rpc_error": None if error is None else pad(error),
    }


def _count_parameters(function: Function) -> int:
    import inspect

    return len(inspect.signature(function).parameters)

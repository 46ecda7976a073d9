"""What a fake server offers, as values: tools, resources and prompts, and how its process behaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Note = tuple[float, float | None, str | None]
"""One scripted progress notification: progress, total, message."""
Report = Literal["arguments", "answers", "environment", "cwd", "pid"]
"""What a tool that reports gives back: its arguments, what the client answered, or facts of the process."""
Function = Callable[..., Any]


class Result(dict[str, Any]):
    """A result object sent as it is, such as `Result(content=[...], isError=True)`."""


class RpcError(Exception):
    """Raise it in a tool's function to answer with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_error(self) -> dict[str, Any]:
        """Give the `error` member of the response."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        return error if self.data is None else {**error, "data": self.data}


class Tool(NamedTuple):
    """One tool: how it is listed and what happens when it is called."""

    name: str
    schema: Mapping[str, Any] = {"type": "object"}
    description: str | None = None
    title: str | None = None
    output_schema: Mapping[str, Any] | None = None
    annotations: Mapping[str, Any] | None = None
    definition: Mapping[str, Any] | None = None
    """The whole definition, listed verbatim in place of the fields above."""
    returns: Any = None
    error: str | None = None
    rpc_error: tuple[int, str, Any] | None = None
    delay: float = 0.0
    progress: tuple[Note, ...] = ()
    reports: Report | None = None
    cancellable: bool = True
    """Whether a cancellation stops it. If not, it is recorded and the reply comes all the same."""
    asks: tuple[tuple[Any, ...], ...] = ()
    """Rounds of questions to the client before it gives its result, see `asking.Ask`."""
    task: Any = None
    """How calls of it become tasks, a `tasks.TaskScript`; None never does."""
    function: Function | None = None
    takes: int = 0
    """How many of arguments and context the function takes."""

    def define(self) -> dict[str, Any]:
        """Give the definition as `tools/list` shows it."""
        if self.definition is not None:
            return dict(self.definition)
        optional: dict[str, Any] = {
            "title": self.title,
            "description": self.description,
            "outputSchema": self.output_schema,
            "annotations": self.annotations,
        }
        if self.task is not None:
            optional["execution"] = {"taskSupport": self.task.support}
        present = {key: value for key, value in optional.items() if value is not None}
        return {"name": self.name, "inputSchema": dict(self.schema), **present}

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object that `from_json` reads back.

        Raises:
            ValueError: the tool is a Python function, which cannot leave its process.
        """
        if self.function is not None:
            raise ValueError(
                f"tool {self.name!r} is a Python function and cannot run in another process;"
                " script it with returns=, error=, progress= or reports="
            )
        defaults = self._field_defaults
        members = {key: value for key, value in self._asdict().items() if value != defaults.get(key)}
        if isinstance(self.returns, Result):
            members["result"] = members.pop("returns", {})
        return members

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Tool:
        """Read a tool from a script; raises ValueError for a member that does not exist."""
        members = dict(value)
        if "result" in members:
            members["returns"] = Result(members.pop("result"))
        _refuse_unknown(members, cls._fields[:-2], f"tool {members.get('name')!r}")
        if "rpc_error" in members:
            members["rpc_error"] = pad(members["rpc_error"])
        members["progress"] = tuple(pad(note) for note in members.get("progress", ()))
        if members.get("task") is not None:
            from trunkline.testing.tasks import TaskScript

            members["task"] = TaskScript(*members["task"])
        return cls(**members)


class Resource(NamedTuple):
    """One resource, or with a `uri` that holds braces a template of resources."""

    uri: str
    name: str
    text: str = ""
    mime_type: str | None = None
    blob: str | None = None
    """Its bytes in base64, in place of text."""
    definition: Mapping[str, Any] | None = None
    """The whole definition, listed verbatim in place of the fields above."""

    @property
    def is_template(self) -> bool:
        """Whether it is listed as a template."""
        return "{" in self.uri

    def define(self) -> dict[str, Any]:
        """Give the definition as the lists show it."""
        if self.definition is not None:
            return dict(self.definition)
        key = "uriTemplate" if self.is_template else "uri"
        mime = {"mimeType": self.mime_type} if self.mime_type else {}
        return {key: self.uri, "name": self.name, **mime}

    def give(self, uri: str) -> dict[str, Any]:
        """Give the content as reading it under this URI shows it."""
        mime = {"mimeType": self.mime_type} if self.mime_type else {}
        body = {"text": self._fill(uri)} if self.blob is None else {"blob": self.blob}
        return {"uri": uri, **mime, **body}

    def _fill(self, uri: str) -> str:
        """Put the value of a template's only variable into its text."""
        start, opened, rest = self.uri.partition("{")
        name, _, end = rest.partition("}")
        if not opened or "{" in end:
            return self.text
        return self.text.replace(f"{{{name}}}", uri[len(start) : len(uri) - len(end)])

    def matches(self, uri: str) -> bool:
        """Tell whether this resource or template answers for a URI."""
        if not self.is_template:
            return uri == self.uri
        start, _, rest = self.uri.partition("{")
        return uri.startswith(start) and uri.endswith(rest.rpartition("}")[2])


class Prompt(NamedTuple):
    """One prompt: a single user message with `{argument}` places."""

    name: str
    text: str = ""
    arguments: tuple[str, ...] = ()
    """Their names; one that ends in `?` need not be given."""
    description: str | None = None
    definition: Mapping[str, Any] | None = None
    """The whole definition, listed verbatim in place of the fields above."""

    def define(self) -> dict[str, Any]:
        """Give the definition as `prompts/list` shows it."""
        if self.definition is not None:
            return dict(self.definition)
        described = {"description": self.description} if self.description else {}
        arguments = [
            {"name": one.removesuffix("?"), "required": not one.endswith("?")} for one in self.arguments
        ]
        return {"name": self.name, **described, "arguments": arguments}

    def render(self, arguments: Mapping[str, str]) -> str:
        """Fill in the arguments; raises KeyError for a missing one."""
        text = self.text
        for one in self.arguments:
            name = one.removesuffix("?")
            value = arguments[name] if name == one else arguments.get(name, "")
            text = text.replace(f"{{{name}}}", value)
        return text


class Completion(NamedTuple):
    """What may stand for one argument of a prompt or template."""

    target: str
    """The prompt's name or the URI template."""
    argument: str
    values: tuple[str, ...] = ()

    def matching(self, typed: str) -> list[str]:
        """Give the values that begin with what was typed."""
        return [value for value in self.values if value.startswith(typed)]


class Process(NamedTuple):
    """How a stdio fake behaves as a process, apart from what it answers."""

    stderr: tuple[str, ...] = ()
    """Lines written to standard error at the start."""
    stderr_flood: int = 0
    """Bytes of noise written to standard error before the first read; blocks if nobody drains it."""
    start_delay: float = 0.0
    """Seconds before it reads its first byte."""
    prelude: str = ""
    """Text printed to standard output before anything else, newline not added."""
    failing_starts: int = 0
    """How many of its first starts exit at once with `exit_code`; needs a journal to count them."""
    exit_code: int = 70
    """Exit status of a crash and of a failing start."""
    ignore_eof: bool = False
    """Stay alive when standard input ends."""
    ignore_sigterm: bool = False
    journal: str | None = None
    """File the ledger is written to, one JSON line per event."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Process:
        """Read the settings from a script; raises ValueError for a member that does not exist."""
        _refuse_unknown(value, cls._fields, "process")
        return cls(**{**value, "stderr": tuple(value.get("stderr", ()))})


def _refuse_unknown(members: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    if unknown := sorted(set(members) - set(known)):
        raise ValueError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")


def pad(values: Sequence[Any]) -> Any:
    """Give three members, None for those that are missing."""
    return tuple((*values, None, None)[:3])

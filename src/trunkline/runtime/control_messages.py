"""What travels over a control socket: one JSON object a line, each a frozen record.

A client says `Hello` first and is answered with `Welcome` or a `Failure`. Every other request is answered
with one `Answer` or `Failure` of its number; a call that asks for it gets `Report` lines before that.
A client that says it only inspects may ask any runtime of its user, whatever the configuration; it is
answered `Status` and the requests of `Inspection`, and nothing that uses a server.
What its server asks a person comes as a `Question` and is answered by `Told`, which has no answer itself.
Requests of one connection run side by side, and all of them are cancelled when the connection ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trunkline.core.elicitation import ElicitRequest, ElicitResult
from trunkline.core.journal import LogLine
from trunkline.core.prompt import Prompt
from trunkline.core.resource import Resource, Template
from trunkline.core.status import ServerStatus
from trunkline.core.task import Task
from trunkline.core.tool import Tool

VERSION = 6
MAX_LINE_BYTES = 256 * 1024 * 1024
"""Longest line either side takes: a reply of the frame limit, written as JSON once more, with room."""

Statuses = dict[str, ServerStatus]


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: int
    """Number of the request, chosen by the client; 0 for `Hello`."""


class _Viewing(_Message, frozen=True, kw_only=True):
    servers: tuple[str, ...] | None = None
    """The servers that exist for this request; None is all of them."""


class Hello(_Message, tag="hello", frozen=True, kw_only=True):
    """Opens a connection."""

    version: int
    digest: str
    """Of the configuration the client found; another one is refused, unless it only inspects."""
    inspects: bool = False


class Ready(_Viewing, tag="ready", frozen=True, kw_only=True):
    """Asks to wait as `Trunk.ready` does; the value of the answer is what then exists, a `Listed`."""

    server: str | None = None
    timeout: float | None = None
    lists: bool | None = None
    lazy: bool = False


class List(_Viewing, tag="list", frozen=True, kw_only=True):
    """Asks what exists now; the value of the answer is a `Listed`."""


class Status(_Viewing, tag="status", frozen=True, kw_only=True):
    """Asks how the servers are doing now, which every answer says; the value of this one is null."""


class Call(_Viewing, tag="call", frozen=True, kw_only=True):
    """Asks for one call; the value of the answer is a `Reply`."""

    tool: str
    arguments: Mapping[str, Any] = {}
    timeout: float | None = None
    max_age: float | None = None
    """Oldest kept answer that is taken, in seconds; 0 asks the server."""
    progress: bool = False


class Read(_Viewing, tag="read", frozen=True, kw_only=True):
    """Asks for a resource; the value of the answer is a `ReadReply`."""

    uri: str
    server: str | None = None
    timeout: float | None = None
    max_age: float | None = None
    progress: bool = False


class GetPrompt(_Viewing, tag="prompt", frozen=True, kw_only=True):
    """Asks for a prompt; the value of the answer is a `PromptReply`."""

    name: str
    arguments: Mapping[str, str] = {}
    timeout: float | None = None
    max_age: float | None = None


class About(_Viewing, tag="task", frozen=True, kw_only=True):
    """Asks to make a task of a call, or about one; the value of the answer is a `Found`."""

    action: Literal["start", "get", "wait", "cancel"]
    tool: str = ""
    arguments: Mapping[str, Any] = {}
    task: Task | None = None
    timeout: float | None = None


class Search(_Viewing, tag="search", frozen=True, kw_only=True):
    """Asks for tools that fit; the value of the answer is a list of `Match`."""

    query: str | tuple[str, ...]
    limit: int = 5
    min_score: float | None = None


class Told(_Message, tag="told", frozen=True, kw_only=True):
    """Answers a question; it gets no answer."""

    key: int
    result: ElicitResult


class Shutdown(_Message, tag="shutdown", frozen=True, kw_only=True):
    """Asks the process to end as it does on SIGTERM; the value of the answer is null."""


class Calls(_Message, tag="calls", frozen=True, kw_only=True):
    """Asks for the journal; the value of the answer is a list of `CallRecord`, oldest first."""

    most: int = 20


class Logs(_Message, tag="logs", frozen=True, kw_only=True):
    """Asks for what servers said; the value of the answer is `Said`."""

    only: tuple[str, ...] | None = None
    """Names of servers; None is all."""
    after: int = 0
    """Lines with greater numbers only."""
    most: int | None = None
    wait: float = 0.0
    """Seconds to wait for such a line, while there is none."""


class Explain(_Message, tag="why", frozen=True, kw_only=True):
    """Asks why; the value of the answer is a `Why`."""

    word: str


class Restart(_Message, tag="restart", frozen=True, kw_only=True):
    """Asks for a new start of a server; the value of the answer is a `Restarted`."""

    server: str
    grace: float
    timeout: float | None = None


Inspection = Calls | Logs | Explain | Restart
Request = (
    Hello | Ready | List | Status | Call | Read | GetPrompt | About | Search | Told | Shutdown | Inspection
)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What servers said."""

    lines: tuple[LogLine, ...]
    newest: int
    """Number of the newest line there is, whether or not it is among these."""
    servers: tuple[str, ...]
    """The configured servers."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What exists, in catalog order."""

    tools: tuple[Tool, ...]
    servers: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()
    templates: tuple[Template, ...] = ()
    prompts: tuple[Prompt, ...] = ()


class Welcome(_Message, tag="welcome", frozen=True, kw_only=True):
    """The server takes requests."""

    version: int
    pid: int


class Answer(_Message, tag="answer", frozen=True, kw_only=True):
    """A request has succeeded."""

    value: msgspec.Raw
    statuses: Statuses = {}
    """How the servers of the request are doing now."""


class Failure(_Message, tag="failure", frozen=True, kw_only=True):
    """A request has failed."""

    error: Mapping[str, Any]
    """See `trunkline.runtime.control_errors`."""
    statuses: Statuses = {}


class Report(_Message, tag="report", frozen=True, kw_only=True):
    """Progress of a call."""

    progress: float
    total: float | None = None
    message: str | None = None


class Question(_Message, tag="question", frozen=True, kw_only=True):
    """A server asks a person, in the course of the call of this number."""

    key: int
    request: ElicitRequest


class Withdrawn(_Message, tag="withdrawn", frozen=True, kw_only=True):
    """Nobody waits for the answer to a question any more."""

    key: int


Response = Welcome | Answer | Failure | Report | Question | Withdrawn

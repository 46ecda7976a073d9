"""What a person reads about one tool, one server, or one failure. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.cli.envelope import error_message
from trunkline.cli.render import (
    align,
    indent_text,
    line,
    render_own_name,
    render_public_name,
    render_status,
)
from trunkline.cli.schemas import Schema, types, walk
from trunkline.cli.style import Paint, plain
from trunkline.core.status import ServerStatus
from trunkline.core.tool import Tool
from trunkline.errors import (
    AmbiguousNameError,
    AuthorizationRequiredError,
    CallError,
    ConfigError,
    ElicitationRequiredError,
    InvalidArgumentsError,
    NotFoundError,
    ProtocolError,
    TrunklineError,
    UnavailableError,
)

_HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
_STDERR_LINES = 10


def render_tool(tool: Tool, paint: Paint) -> str:
    """Give everything about one tool: signature, description, parameters, the server's hints."""
    parts = [render_public_name(tool, paint)]
    if tool.title and tool.title != tool.name:
        parts.append(f"  {line(tool.title)}")
    if tool.description.strip():
        parts += ["", indent_text(tool.description.strip())]
    parts += ["", *_parameters(tool.input_schema)]
    hints = [
        f"{name[:-4]}: {str(tool.annotations[name]).lower()}" for name in _HINTS if name in tool.annotations
    ]
    if hints:
        parts += ["", f"The server says (unproven): {line(', '.join(hints))}"]
    return "\n".join(parts)


def render_server(name: str, status: ServerStatus, tools: Sequence[Tool], paint: Paint) -> str:
    """Give everything about one server: its status and the signatures of its tools."""
    parts = [render_status({name: status}, paint)]
    parts += _last_words(status.stderr)
    if tools:
        parts += ["", "Tools:", *(f"  {render_own_name(tool, paint)}" for tool in tools)]
    return "\n".join(parts)


def render_error(error: BaseException, paint: Paint = plain) -> str:
    """Give the message of a failure, what to do, and the last lines its server wrote.

    The first line begins with `trunkline: error:`, the others are indented.
    """
    message, excerpt = _split(error)
    lines = [f"trunkline: {paint('error:', 'bad')} {line(message)}", *excerpt]
    if isinstance(error, InvalidArgumentsError):
        lines += [f"  - {line(problem)}" for problem in error.problems if problem not in error.message]
    if isinstance(error, ElicitationRequiredError):
        lines += [f"  - {line(url)}" for url in _urls(error)]
    if isinstance(error, CallError) and error.delivery == "unknown":
        lines.append("  delivery: unknown, the tool may have run")
    if hint := _hint(error):
        lines.append(f"  {paint('hint:', 'strong')} {line(hint)}")
    if (code := _code_to_explain(error)) is not None:
        lines.append(f"  more: trunkline doctor --explain {line(code)}")
    if isinstance(error, CallError):
        lines += _last_words(error.stderr)
    return "\n".join(lines)


def _split(error: BaseException) -> tuple[str, list[str]]:
    """Give the message, and the lines of a configuration file with a mark beneath that may follow it."""
    message = error_message(error)
    if not isinstance(error, ConfigError):
        return message, []
    message, _, excerpt = message.partition("\n")
    return message, indent_text(excerpt, "").splitlines()


def _code_to_explain(error: BaseException) -> str | None:
    """Give the code of an error about a server, where its page says more than the error does."""
    if isinstance(error, UnavailableError | ProtocolError):
        return error.code if error.code != type(error).code else None
    return error.code if isinstance(error, AuthorizationRequiredError) else None


def _urls(error: ElicitationRequiredError) -> list[str]:
    """Give where a person has to go first; from a background process they come as plain members."""
    found = [one.get("url") if isinstance(one, Mapping) else one.url for one in error.elicitations]
    return [url for url in found if isinstance(url, str)]


def _last_words(stderr: str) -> list[str]:
    tail = stderr.strip().splitlines()[-_STDERR_LINES:]
    return ["  the server's last words:", indent_text("\n".join(tail), "    ")] if tail else []


def _hint(error: BaseException) -> str | None:
    if not isinstance(error, TrunklineError):
        return "This is a defect of Trunkline; -v shows where."
    if error.hint is None and isinstance(error, NotFoundError) and error.candidates:
        return f"Did you mean {' or '.join(error.candidates[:3])}?"
    if error.hint is None and isinstance(error, AmbiguousNameError):
        return f"Name one of {', '.join(error.candidates)}."
    return error.hint


def _parameters(schema: Schema) -> list[str]:
    rows: list[tuple[str, str, str, str]] = []
    for node in walk(schema, schema):
        properties = node.get("properties")
        required = node.get("required")
        names = required if isinstance(required, list) else []
        for key, value in properties.items() if isinstance(properties, Mapping) else ():
            need = "required" if key in names else _default(value)
            rows.append((line(key), _type_of(value, schema), need, _describe(value)))
    if not rows:
        return ["No parameters."]
    return ["Parameters:", *(f"  {row}" for row in align(rows))]


def _type_of(schema: object, root: Schema) -> str:
    names: list[str] = []
    for node in walk(schema, root):
        listed = node.get("enum")
        names += [line(str(value)) for value in listed] if isinstance(listed, list) else types(node)
    return line(" | ".join(dict.fromkeys(names)) or "any")


def _default(schema: object) -> str:
    if isinstance(schema, Mapping) and schema.get("default") is not None:
        return line(f"default {schema['default']!r}")
    return "optional"


def _describe(schema: Any) -> str:
    text = schema.get("description") if isinstance(schema, Mapping) else None
    return line(text) if isinstance(text, str) else ""

"""`trunkline __complete`: the words that may follow on a command line, for the scripts of `completion`.

Nothing is started and no error is shown: whatever goes wrong, there are no candidates.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline.cli import session
from trunkline.cli.commands import COMMANDS, load_command
from trunkline.cli.exits import OK
from trunkline.cli.known_names import Kind, recall_names
from trunkline.cli.options import OPTIONS, Settings, joined
from trunkline.cli.selectors import SEPARATORS

FILES = ":files"
"""The answer that leaves the word to the shell's completion of files."""

_FILE_OPTIONS = frozenset({"--config", "--cwd", "-o", "--output"})
_BREAKS = (":", "=")
"""Where bash divides words that are one to us."""

Candidate = tuple[str, str]
"""A word, and what it is."""


@dataclass
class Line:
    """What a command line says up to the word that is being completed."""

    command: str = ""
    """Its name, after those of the groups it stands in, divided by spaces."""
    words: list[str] = field(default_factory=list)
    """The arguments of the command so far, without options."""
    options: dict[str, list[str]] = field(default_factory=dict)
    """Values of the common options by their field."""
    awaited: str = ""
    """The option that the word being completed is the value of."""


def complete(argv: Sequence[str]) -> int:
    """Print the candidates for the last of the words, which may be empty.

    Args:
        argv: the shell, the program's name, and its words.
    """
    try:
        shell, _, *words = argv
        answer = _answer(shell, words)
    except Exception:  # boundary: a person who presses TAB wants no message in the middle of the line
        return OK
    sys.stdout.write("".join(f"{part}\n" for part in answer))
    return OK


def _answer(shell: str, words: list[str]) -> list[str]:
    if shell == "bash":
        words = _rejoin(words)
    *before, current = words or [""]
    line = read_line(before)
    if line.awaited in _FILE_OPTIONS:
        return [FILES]
    found = [] if line.awaited else list(_candidates(line, current))
    if line.awaited == "--server":
        found = [(server, "") for server in _known(line)]
    begin = 1 + max((current.rfind(sign) for sign in _BREAKS), default=-1) if shell == "bash" else 0
    return [
        "\t".join(part for part in (word[begin:], what) if part)
        for word, what in found
        if word.startswith(current) and word.isprintable()
    ]


def _candidates(line: Line, current: str) -> Iterator[Candidate]:
    if current.startswith("-"):
        yield from _option_names(line.command)
    elif not line.command:
        yield from ((name, text) for name, (_, text) in COMMANDS.items())
    elif inner := _inner_commands(line.command):
        yield from ((name, command.get_short_help_str(100)) for name, command in inner.items())
    elif line.command in _ARGUMENTS:
        yield from _ARGUMENTS[line.command](line, current)


def read_line(words: Sequence[str]) -> Line:
    """Read the words before the one that is being completed; what cannot be understood is skipped."""
    line, fields = Line(), _option_fields("")
    for word in words:
        if line.awaited:
            line.options.setdefault(fields.get(line.awaited, ("", True))[0], []).append(word)
            line.awaited = ""
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            known, takes_value = fields.get(name, ("", False))
            if equals:
                line.options.setdefault(known, []).append(value)
            elif takes_value:
                line.awaited = name
            else:
                line.options.setdefault(known, [])
        elif not line.command or word in _inner_commands(line.command):
            line.command = f"{line.command} {word}".strip()
            fields = _option_fields(line.command)
        else:
            line.words.append(word)
    return line


def _tool_names(line: Line, current: str) -> Iterator[Candidate]:
    """`server.tool`, with the separator that was typed; or the tools of a server that stands before."""
    names = _known(line)
    if len(line.words) == 1 and line.words[0] in names:
        yield from ((tool, "") for tool in names[line.words[0]])
    if line.words:
        return
    for server, tools in names.items():
        typed = current[len(server) : len(server) + 1]
        sign = typed if current.startswith(server) and typed and typed in SEPARATORS else "."
        yield from ((f"{server}{sign}{tool}", "") for tool in tools)


def _server_names(line: Line, _current: str) -> Iterator[Candidate]:
    if not line.words:
        yield from ((server, "") for server in _known(line))


def _several_servers(line: Line, _current: str) -> Iterator[Candidate]:
    yield from ((server, "") for server in _known(line) if server not in line.words)


def _servers_and_tools(line: Line, current: str) -> Iterator[Candidate]:
    yield from _server_names(line, current)
    yield from _tool_names(line, current)


def _prompt_names(line: Line, _current: str) -> Iterator[Candidate]:
    if not line.words:
        names = _known(line, "prompts")
        yield from ((f"{server}.{name}", "") for server, found in names.items() for name in found)


def _uris(line: Line, _current: str) -> Iterator[Candidate]:
    if not line.words:
        yield from ((uri, server) for server, uris in _known(line, "resources").items() for uri in uris)


def _shells(line: Line, _current: str) -> Iterator[Candidate]:
    if not line.words:
        from trunkline.cli.completion import SCRIPTS

        yield from ((shell, "") for shell in SCRIPTS)


_ARGUMENTS: dict[str, Callable[[Line, str], Iterator[Candidate]]] = {
    "call": _tool_names,
    "info": _servers_and_tools,
    "tools": _server_names,
    "read": _uris,
    "prompt": _prompt_names,
    "logs": _several_servers,
    "restart": _several_servers,
    "why": _servers_and_tools,
    "get": _server_names,
    "remove": _server_names,
    "export": _server_names,
    "doctor": _server_names,
    "completion": _shells,
}
"""What completes the arguments of a command; a command that is not here has none to offer."""


def _known(line: Line, kind: Kind = "tools") -> dict[str, list[str]]:
    given = {name: values for name, values in line.options.items() if name in OPTIONS and values}
    plain = Settings()
    values = {name: _value(getattr(plain, name), value) for name, value in given.items()}
    return recall_names(session.find_config(Settings(**values)).entries, os.environ, kind)


def _value(usual: Any, values: list[str]) -> Any:
    return joined(usual, values if isinstance(usual, tuple) else values[-1])


def _option_names(command: str) -> Iterator[Candidate]:
    for param in _options_of(command):
        yield from ((name, param.help or "") for name in param.opts if name.startswith("--"))


def _option_fields(command: str) -> dict[str, tuple[str, bool]]:
    """Give, by each name of an option, its field and whether a value follows it."""
    return {name: (param.name, not param.is_flag) for param in _options_of(command) for name in param.opts}


def _options_of(command: str) -> list[Any]:
    if (built := _build(command)) is None:
        return []
    context = built.context_class(built, info_name=command)
    return [param for param in built.get_params(context) if param.param_type_name == "option"]


def _inner_commands(command: str) -> dict[str, Any]:
    """Give the commands of a group by their names; a command that is no group has none."""
    return getattr(_build(command), "commands", None) or {} if command else {}


def _build(command: str) -> Any:
    """Build a command, the program for "", and give None for a name that there is not."""
    from typer.main import get_command

    from trunkline.cli.main import app

    first, *others = command.split(" ")
    built = load_command(first) if first in COMMANDS else None if first else get_command(app)
    for name in others:
        built = getattr(built, "commands", {}).get(name)
    return built


def _rejoin(words: list[str]) -> list[str]:
    """Put together what bash divides at `:` and `=`, and take the quotes off."""
    joined_words: list[str] = []
    glue = False
    for word in words:
        if joined_words and (glue or word in _BREAKS):
            joined_words[-1] += word
        else:
            joined_words.append(word)
        glue = word in _BREAKS
    return [_unquoted(word) for word in joined_words]


def _unquoted(word: str) -> str:
    for attempt in (word, f'{word}"', f"{word}'"):
        try:
            return "".join(shlex.split(attempt))
        except ValueError:
            continue
    return word

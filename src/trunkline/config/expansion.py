"""Variables in configuration text, expanded exactly once.

What comes out of a variable is never looked at again, so a value may hold any text. `$NAME` without
braces stays as it is. Every expansion is kept in two forms: the value, and the text that may be
shown, in which a value from outside the file stands as its name.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping

import msgspec

from trunkline.config.entry_error import EntryError, InputNeededError, MissingError
from trunkline.config.inputs import Ask, InputSpec, undefined_input
from trunkline.config.wording import KeyPath, nearest

MAX_INCLUDED_BYTES = 64 * 1024
"""Largest file that `${file:path}` reads; a secret or a token is far smaller."""

_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_VARIABLE = re.compile(
    r"(?:env:(?P<named>[^:=}]+)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))(?P<or>:-(?P<default>.*))?", re.DOTALL
)
_FORMS = (
    "${NAME}, ${NAME:-default}, ${env:NAME}, ${file:path}, ${input:id}, ${userHome}, ${workspaceFolder} "
    "and ${cwd}"
)


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the variables of one file stand for."""

    environ: Mapping[str, str]
    """The caller's environment."""
    public: Mapping[str, str]
    """The part of it that every child sees; its values are no secrets."""
    home: str
    workspace: str
    """Folder of the configuration file; relative paths start here."""
    cwd: str
    """The caller's working directory."""
    inputs: Mapping[str, InputSpec] = {}
    """What the file says about the values it leaves open."""
    ask: Ask | None = None
    """Asks for such a value; None when nobody can be asked."""
    source: str = ""
    """The file itself."""

    def __repr__(self) -> str:
        return f"Scope(workspace={self.workspace!r}, cwd={self.cwd!r})"


class Expanded(msgspec.Struct, frozen=True, kw_only=True):
    """One text after expansion."""

    value: str
    shown: str
    """The same with outside values replaced by their references."""
    secrets: tuple[str, ...] = ()
    """The outside values, in order."""

    def __repr__(self) -> str:
        return f"Expanded({self.shown!r})"


def expand(text: str, scope: Scope, *, path: KeyPath) -> Expanded:
    """Expand every reference in `text`, left to right, once.

    Raises:
        EntryError: a variable is unset and has no default, a file cannot be read, or a reference has a
            form that is not understood.
    """
    value: list[str] = []
    shown: list[str] = []
    secrets: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(text):
        literal, end = text[end : match.start()], match.end()
        found, is_public = _resolve(match, scope, path)
        value += (literal, found)
        shown += (literal, found if is_public else match[0])
        secrets += () if is_public else (found,)
    return Expanded(
        value="".join((*value, text[end:])), shown="".join((*shown, text[end:])), secrets=tuple(secrets)
    )


def place(text: str, scope: Scope, *, folder: str | None = None) -> str:
    """Make a path absolute: `~` is the home folder, anything relative starts at the file's folder."""
    if text == "~" or text.startswith(("~/", "~\\")):
        text = scope.home + text[1:]
    start = folder or scope.workspace
    return start if text in (".", "./") else os.path.join(start, text.removeprefix("./"))


def _resolve(match: re.Match[str], scope: Scope, path: KeyPath) -> tuple[str, bool]:
    body = match[1]
    if not match[2] or "${" in body:
        raise EntryError(
            "a ${ reference is not closed or holds another one",
            path=path,
            hint="Close it with }, and write a default as plain text: defaults are not expanded.",
        )
    folders = {"userHome": scope.home, "workspaceFolder": scope.workspace, "cwd": scope.cwd}
    if body in folders:
        return folders[body], True
    if variable := _VARIABLE.fullmatch(body):
        return _read_variable(variable, scope, path)
    if body.startswith("file:"):
        return _read_file(body.removeprefix("file:"), scope, path), False
    if body.startswith("input:"):
        return _ask_for(body.removeprefix("input:"), scope, path), False
    raise _not_understood(body, path)


def _read_variable(variable: re.Match[str], scope: Scope, path: KeyPath) -> tuple[str, bool]:
    name = variable["named"] or variable["plain"]
    value = scope.environ.get(name)
    if value or (value is not None and not variable["or"]):
        return value, name in scope.public
    if variable["or"]:
        return variable["default"], True
    similar = nearest(name, scope.environ, cutoff=0.8)
    hint = f"Set {name} in the environment, or give a default: ${{{name}:-value}}."
    if similar and similar != name:
        hint = (
            f"Did you mean {similar}, which is set? Else set {name}, or give a default: ${{{name}:-value}}."
        )
    raise MissingError(f"the environment variable {name} is not set", path=path, hint=hint)


def _ask_for(name: str, scope: Scope, path: KeyPath) -> str:
    spec = scope.inputs.get(name) or undefined_input(name, source=scope.source)
    instead = f"Put the value in an environment variable and write its name instead of input:{name}."
    if spec.kind == "command":
        raise EntryError(
            f"the input {name!r} is the result of an editor's command, which only the editor can run",
            path=path,
            hint=instead,
        )
    if scope.ask is None:
        message = f"the input {name!r} has to be asked for, and nobody can be asked here"
        raise InputNeededError(message, path=path, hint=f"Run the command at a terminal. Or: {instead}")
    if (answer := scope.ask(spec)) is None:
        raise MissingError(f"the input {name!r} was not answered", path=path, hint=instead)
    return answer


def _read_file(name: str, scope: Scope, path: KeyPath) -> str:
    file = place(name, scope)
    hint = f"Create the file or correct ${{file:{name}}}; relative paths start at {scope.workspace}."
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise MissingError(f"{file} is not a regular file", path=path, hint=hint)
        with open(file, "rb") as stream:
            data = stream.read(MAX_INCLUDED_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise MissingError(f"the file {file} cannot be read: {reason}", path=path, hint=hint) from error
    if len(data) > MAX_INCLUDED_BYTES:
        limit = f"{MAX_INCLUDED_BYTES // 1024} KiB"
        raise EntryError(
            f"the file {file} is larger than {limit}", path=path, hint="Put the value alone in a file."
        )
    try:
        return data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise EntryError(f"the file {file} is not UTF-8", path=path, hint="Save the file as UTF-8.") from None


def _not_understood(body: str, path: KeyPath) -> EntryError:
    known = re.match(r"[\w:]*", body)
    hint = f"Known forms are {_FORMS}."
    message = f"the reference ${{{known[0] if known else ''}...}} is not understood"
    return EntryError(message, path=path, hint=hint)

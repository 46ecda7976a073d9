"""Puts what servers ask to the person at the terminal; where there is none, the answer is no.

Everything shown comes from a server and is sanitized. A URL is shown in full and never opened by us.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from trunkline.cli.consent import can_ask, read_line
from trunkline.cli.form_fields import UnusableError, describe_field, read_field, show_value
from trunkline.cli.render import indent_text, line
from trunkline.cli.terminal import Terminal
from trunkline.core.elicitation import ElicitRequest, ElicitResult
from trunkline.core.handlers import Handlers

_LONGEST = 4000
_TRIES = 5


class _NoAnswer(Exception):  # noqa: N818 - the end of a question, not a failure
    """The person ended the input, or typed nothing usable."""


class Questions:
    """Answers the questions of one command's servers, one after the other.

    Attributes:
        pause: gives a context in which nothing else is drawn on the terminal.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._turn = asyncio.Lock()
        self.pause: Callable[[], AbstractContextManager[object]] = nullcontext

    def handlers(self) -> Handlers:
        """Give what the runtime calls."""
        return Handlers(elicit=self.answer)

    async def answer(self, request: ElicitRequest) -> ElicitResult:
        """Ask the person; without one, decline and say so on standard error."""
        if not can_ask():
            what = line(request.message)[:120]
            self._terminal.warn(f"declined what {line(request.server)} asks, as no terminal is there: {what}")
            return ElicitResult.decline()
        async with self._turn:
            with self.pause():
                try:
                    return await (self._fill_in(request) if request.mode == "form" else self._visit(request))
                except _NoAnswer:
                    self._show("Not answered.")
                    return ElicitResult.cancel()

    async def _fill_in(self, request: ElicitRequest) -> ElicitResult:
        self._introduce(request, "asks")
        fields = _fields(request.schema)
        required = request.schema.get("required")
        needed = required if isinstance(required, list) else []
        content: dict[str, Any] = request.defaults
        if fields:
            self._show(
                "Enter takes the value in [brackets] or leaves an optional field out; Ctrl-D answers nothing."
            )
        while True:
            for name, field in fields.items():
                await self._ask_field(name, field, content, required=name in needed)
            for name, value in content.items():
                self._show(f"  {line(name)}: {show_value(value)}")
            match await self._choose(f"Send this to {line(request.server)}? [y]es, [n]o, [e]dit: "):
                case "y" | "yes":
                    return ElicitResult.accept(content)
                case "n" | "no":
                    return ElicitResult.decline()
                case "e" | "edit" if fields:
                    continue
                case _:
                    raise _NoAnswer

    async def _visit(self, request: ElicitRequest) -> ElicitResult:
        self._introduce(request, "wants you to visit a page")
        paint = self._terminal.paint_error
        self._show(f"  host: {paint(line(request.host or ''), 'strong')}")
        self._show(f"  URL:  {line(request.url or '')}")
        match await self._choose("Nothing is opened for you. Will you visit it? [y/N] "):
            case "y" | "yes":
                return ElicitResult.accept()
            case _:
                return ElicitResult.decline()

    def _introduce(self, request: ElicitRequest, does: str) -> None:
        paint = self._terminal.paint_error
        course = f" in the course of {line(request.tool)}" if request.tool else ""
        self._show(f"{paint(line(request.server), 'strong')} {does}{course}:")
        self._show(indent_text(request.message[:_LONGEST]))
        for warning in request.warnings:
            self._show(f"  {paint('warning:', 'busy')} {line(warning)}")

    async def _ask_field(
        self, name: str, field: Mapping[str, Any], content: dict[str, Any], *, required: bool
    ) -> None:
        """Ask until a value fits; the value there is stands for an empty line."""
        self._show(describe_field(name, field, required=required))
        default = f"[{show_value(content[name])}] " if name in content else ""
        for _ in range(_TRIES):
            typed = await self._read(f"{line(name)[:60]} {default}> ")
            if not typed.strip() and (name in content or not required):
                return
            try:
                value = read_field(field, typed)
            except UnusableError as problem:
                self._show(f"  {problem}")
                continue
            if not (problems := _problems(name, field, value)):
                content[name] = value
                return
            self._show(f"  {line('; '.join(problems))}")
        raise _NoAnswer

    async def _choose(self, prompt: str) -> str:
        return (await self._read(prompt)).strip().lower()

    async def _read(self, prompt: str) -> str:
        sys.stderr.write(prompt)
        sys.stderr.flush()
        try:
            typed = await read_line()
        except asyncio.CancelledError:
            sys.stderr.write("\n")
            raise
        if not typed.endswith("\n"):
            sys.stderr.write("\n")
        if not typed:
            raise _NoAnswer
        return typed.rstrip("\r\n")

    def _show(self, text: str) -> None:
        self._terminal.note(text)


def _fields(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    fields = schema.get("properties")
    found = fields.items() if isinstance(fields, Mapping) else ()
    return {name: field if isinstance(field, Mapping) else {} for name, field in found}


def _problems(name: str, field: Mapping[str, Any], value: Any) -> tuple[str, ...]:
    from trunkline.connection.form import find_problems

    return find_problems({"type": "object", "properties": {name: field}}, {name: value})

"""Prompts as servers list them, and whether the arguments given to one will do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trunkline.catalog.definition import Reading, cut, finish, read_each, shown, text_in
from trunkline.core.prompt import Prompt, PromptArgument
from trunkline.errors import InvalidArgumentsError

_MAX_ARGUMENTS = 256


def parse_prompts(server: str, raw_prompts: Iterable[object]) -> tuple[tuple[Prompt, ...], tuple[str, ...]]:
    """As `read_prompts`, at once."""
    return finish(read_prompts(server, raw_prompts))


def read_prompts(server: str, raw_prompts: Iterable[object]) -> Reading[Prompt]:
    """Read a list of prompts, dropping each bad one with a warning.

    Only a name is needed. An argument without a name makes its prompt a bad one, since what it asks for
    could not be given.
    """

    def parse(raw: object) -> Prompt:
        if not isinstance(raw, Mapping):
            raise ValueError("it is not an object")
        if (name := text_in(raw, "name")) is None:
            raise ValueError("it has no name")
        return Prompt(
            name=name,
            server=server,
            public_name=f"{server}.{name}",
            title=text_in(raw, "title"),
            description=text_in(raw, "description") or "",
            arguments=_arguments(raw.get("arguments")),
            raw=raw,
        )

    return read_each(server, raw_prompts, "prompt", parse, lambda one: one.name)


def check_arguments(prompt: Prompt, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments the prompt cannot be made with, before anything is sent.

    Raises:
        InvalidArgumentsError: a required one is missing, or one is not text.
    """
    problems = [f"{shown(name)} is required" for name in prompt.required if name not in arguments]
    problems += text_problems(arguments)
    if not problems:
        return
    known = [argument.name for argument in prompt.arguments]
    unknown = sorted(set(arguments) - set(known))
    extra = f" (not: {', '.join(cut(name) for name in unknown[:5])})" if unknown else ""
    takes = ", ".join(cut(name) for name in known[:20]) or "no arguments"
    raise InvalidArgumentsError(
        f"the arguments do not fit: {'; '.join(problems)}",
        problems=tuple(problems),
        server=prompt.server,
        tool=prompt.public_name,
        hint=f"It takes {takes}{extra}; `trunkline prompt` shows what each prompt takes.",
    )


def text_problems(arguments: Mapping[str, Any]) -> list[str]:
    """Say of each argument that is not text that it has to be; prompts take nothing else."""
    return [
        f"{shown(str(name))} must be text" for name, value in arguments.items() if not isinstance(value, str)
    ]


def _arguments(raw: object) -> tuple[PromptArgument, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list) or len(raw) > _MAX_ARGUMENTS:
        raise ValueError(f"its arguments are no array of at most {_MAX_ARGUMENTS}")
    return tuple(_argument(one) for one in raw)


def _argument(raw: object) -> PromptArgument:
    name = text_in(raw, "name") if isinstance(raw, Mapping) else None
    if name is None or not isinstance(raw, Mapping):
        raise ValueError("an argument has no name")
    return PromptArgument(
        name=name,
        title=text_in(raw, "title"),
        description=text_in(raw, "description") or "",
        required=raw.get("required") is True,
    )

"""The values a file leaves open: `${input:id}`, defined under `inputs` as VS Code does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_KINDS = ("promptString", "pickString", "command")


class InputSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One value to ask for."""

    id: str
    """Its name in `${input:id}`."""
    kind: str = "promptString"
    """`promptString`, `pickString`, or `command` for what only the editor can run."""
    description: str = ""
    """What to ask, in the words of the file; untrusted text."""
    password: bool = False
    """Whether the answer must not be shown while it is typed."""
    default: str | None = None
    """The answer when nothing is typed."""
    options: tuple[str, ...] = ()
    """The values to choose from, for `pickString`."""
    source: str = ""
    """The file that asks."""


Ask = Callable[[InputSpec], str | None]
"""Asks for one value; None means that there is no answer."""


def read_inputs(content: object, *, source: str) -> dict[str, InputSpec]:
    """Give the definitions under `inputs` by id; what is malformed is left out."""
    listed = content.get("inputs") if isinstance(content, Mapping) else None
    found: dict[str, InputSpec] = {}
    for raw in listed if isinstance(listed, list) else ():
        if isinstance(raw, Mapping) and isinstance(raw.get("id"), str) and raw.get("type") in _KINDS:
            found.setdefault(raw["id"], _read_input(raw, source))
    return found


def input_member(spec: InputSpec) -> dict[str, Any]:
    """Give a definition as it stands under `inputs`."""
    member: dict[str, Any] = {"type": spec.kind, "id": spec.id, "description": spec.description or spec.id}
    member |= {"password": True} if spec.password else {}
    member |= {"default": spec.default} if spec.default is not None else {}
    return member | ({"options": list(spec.options)} if spec.options else {})


def inputs_used(raw: object, inputs: Mapping[str, InputSpec]) -> list[InputSpec]:
    """Give the definitions that an entry refers to, each once."""
    text = repr(raw)
    return [spec for name, spec in inputs.items() if f"${{input:{name}}}" in text]


def undefined_input(name: str, *, source: str) -> InputSpec:
    """Give what is asked for an id that nothing defines: masked, for it may be a secret."""
    return InputSpec(id=name, password=True, source=source)


def asking_once(ask: Ask) -> Ask:
    """Give an `Ask` that asks for each value of each file once."""
    known: dict[InputSpec, str | None] = {}

    def answer(spec: InputSpec) -> str | None:
        if spec not in known:
            known[spec] = ask(spec)
        return known[spec]

    return answer


def _read_input(raw: Mapping[str, Any], source: str) -> InputSpec:
    default, description, options = raw.get("default"), raw.get("description"), raw.get("options")
    return InputSpec(
        id=raw["id"],
        kind=raw["type"],
        description=description if isinstance(description, str) else "",
        password=raw.get("password") is True,
        default=default if isinstance(default, str) else None,
        options=tuple(_option(option) for option in options) if isinstance(options, list) else (),
        source=source,
    )


def _option(option: object) -> str:
    value = option.get("value", option.get("label")) if isinstance(option, Mapping) else option
    return str(value)

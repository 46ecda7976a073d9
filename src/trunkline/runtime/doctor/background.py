"""What is known of a server before anything is tried: where its entry stands, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from trunkline.config.checking import Problem, check
from trunkline.config.lookup import look_up, policy_place

_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}")


class Background(msgspec.Struct, frozen=True, kw_only=True):
    """What files say of one server."""

    file: str | None = None
    """The file its entry stands in, or None where there is none."""
    line: int | None = None
    policy: str = "trunkline.toml"
    """The policy file that is in use, or that would be created."""
    problems: tuple[Problem, ...] = ()
    unset: tuple[str, ...] = ()
    """Environment variables that the entry refers to and that are not set."""

    @property
    def place(self) -> str:
        """File and line of the entry; "" where there is none."""
        return ":".join(str(part) for part in (self.file, self.line) if part)


def read_backgrounds(
    target: object, *, environ: Mapping[str, str], profile: str | None = None
) -> dict[str, Background]:
    """Read what all files that `load` would read for this target say of each server, by its name.

    Args:
        environ: the variables that entries may refer to.
        profile: as `load` takes it.

    Raises:
        ConfigError: the working directory is gone.
    """
    found = look_up(target, cwd=None, environ=environ)
    report = check(target, environ=environ, profile=profile)
    backgrounds: dict[str, Background] = {}
    for name, definition in found.chosen.items():
        origin = definition.origin
        line = next(iter(origin.locate(definition.path)), (None, None))[0]
        backgrounds[name] = Background(
            file=None if origin.file is None else str(origin.file),
            line=line,
            policy=str(found.policy or policy_place(found)),
            problems=tuple(problem for problem in report.problems if problem.server == name),
            unset=tuple(dict.fromkeys(_unset(definition.raw, environ))),
        )
    return backgrounds


def _unset(raw: Any, environ: Mapping[str, str]) -> Iterator[str]:
    """Give the variables without a default that the texts of an entry name and that are not set."""
    if isinstance(raw, str):
        yield from (name for name in _VARIABLE.findall(raw) if name not in environ and not _is_place(name))
    elif isinstance(raw, Mapping):
        for value in raw.values():
            yield from _unset(value, environ)
    elif isinstance(raw, Sequence):
        for value in raw:
            yield from _unset(value, environ)


def _is_place(name: str) -> bool:
    return name in ("userHome", "workspaceFolder", "cwd")

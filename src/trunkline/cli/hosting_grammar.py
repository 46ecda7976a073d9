"""The grammar of `claude mcp add`, brought into the order that the option parser understands.

Options stand anywhere before `--`. After `-e` and `-H` further values may follow without the option. What
comes after NAME and COMMAND without `--` belongs to the command, unless it is an option of that grammar.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.cli.values import LeanCommand

_REPEATED = {
    "-e": re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL),
    "-H": re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:(?!//).*", re.DOTALL),
}
_LONG = {"--env": "-e", "--header": "-H"}
_NOT_OF_THE_GRAMMAR = frozenset(
    {"--config", "--log-format", "--profile", "--timeout", "--verbose", "--wire", "-v"}
)


class GrammarCommand(LeanCommand):
    """A command whose words are put in order before they are parsed."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the words, options first."""
        names = {
            name: not option.is_flag
            for option in self.get_params(ctx)
            if option.param_type_name == "option"
            for name in option.opts
        }
        return super().parse_args(ctx, put_in_order(args, names))


def put_in_order(args: Sequence[str], options: Mapping[str, bool]) -> list[str]:
    """Give the options, then `--`, then the other words.

    Args:
        options: every option by its name, and whether it takes a value.
    """
    given: list[str] = []
    words: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        name = _option_name(word, options)
        if name is None or (name in _NOT_OF_THE_GRAMMAR and _belongs_to_command(words)):
            is_option = word.startswith("-") and word != "-" and len(words) < 2
            (given if is_option else words).append(word)
            continue
        given.append(word)
        if options[name] and word == name:
            if not rest:
                return given  # the parser says that its value is missing
            given.append(rest.pop(0))
        given += _further_values(_LONG.get(name, name), rest)
    return [*given, "--", *words]


def _option_name(word: str, options: Mapping[str, bool]) -> str | None:
    """Give the option a word is or begins with, as in `--env=A=1` and `-eA=1`."""
    if word in options:
        return word
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    return name if word.startswith("-") and options.get(name) else None


def _belongs_to_command(words: Sequence[str]) -> bool:
    return len(words) > 1 and "://" not in words[1]


def _further_values(name: str, rest: list[str]) -> list[str]:
    pattern = _REPEATED.get(name)
    found: list[str] = []
    while pattern is not None and rest and pattern.fullmatch(rest[0]):
        found += [name, rest.pop(0)]
    return found

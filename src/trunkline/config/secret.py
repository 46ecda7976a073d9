"""What in an entry counts as a secret, although the file holds it in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

from trunkline.config.expansion import Expanded

MIN_SECRET = 6
"""Shorter values are not scrubbed from texts: they would blot out ordinary words."""

# fmt: off
_CREDENTIALS = frozenset({
    "accesskey", "accesstoken", "apikey", "auth", "authorization", "authtoken", "bearer", "cookie", "key",
    "credential", "credentials", "pass", "passphrase", "passwd", "password", "pat", "pwd", "secret", "sig",
    "signature", "token",
})
# fmt: on
_NEGATIONS = frozenset({"disable", "no", "skip", "without"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_ASSIGNMENT = re.compile(r"(?P<name>-{0,2}[A-Za-z][\w.-]*)(?P<sep>=|:\s*)(?P<value>.+)", re.DOTALL)
_USERINFO = re.compile(r"(?<=://)(?P<value>[^/?#@\s]+)@")
_QUERY = re.compile(r"(?<=[?&])(?P<name>[^=&#\s]+)=(?P<value>[^&#\s]+)")
_REFERENCES = re.compile(r"(?:[A-Za-z]+[: ])?(?:\$\{[^}]*\}:?)+")
_PLAIN_HEADERS = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "user-agent"})


def conceal(text: str) -> tuple[str, list[str]]:
    """Blot out credentials in an argument or URL; give the shown text and what was blotted out.

    Covers `--api-key=x`, `TOKEN=x`, `Authorization: x`, `scheme://user:password@host` and
    `?token=x`. A reference such as `${TOKEN}` is no secret and stays.
    """
    hidden: list[str] = []
    if (match := _ASSIGNMENT.fullmatch(text)) and names_credential(match["name"]):
        return f"{match['name']}{match['sep']}{_blot(match['value'], hidden)}", hidden
    if "://" in text:
        text = _USERINFO.sub(lambda match: f"{_blot(match['value'], hidden)}@", text)
        text = _QUERY.sub(lambda match: _blot_parameter(match, hidden), text)
    return text, hidden


def conceal_arguments(arguments: Iterable[Expanded]) -> tuple[tuple[str, ...], list[str]]:
    """Conceal a command line, including the word after an option such as `--token`.

    Gives the shown words and what was blotted out; values of variables are not repeated there.
    """
    shown: list[str] = []
    secrets: list[str] = []
    announced = False
    for argument in arguments:
        text = argument.shown
        if announced and not text.startswith("-"):
            text, hidden = ("***", [argument.value]) if not argument.secrets else (text, [])
        else:
            text, hidden = conceal(text)
        announced = (
            argument.shown.startswith("-") and "=" not in argument.shown and names_credential(argument.shown)
        )
        shown.append(text)
        secrets += hidden
    return tuple(shown), secrets


def header_secrets(name: str, value: str) -> list[str]:
    """Give the secret parts of a header: its value, and the credential after a scheme word."""
    if name.lower() in _PLAIN_HEADERS:
        return []
    return [value, value.partition(" ")[2]]


def show_headers(headers: Mapping[str, Expanded]) -> dict[str, str]:
    """Give headers as they may be shown: a variable as its reference, a value from the file as `***`."""
    return {
        name: header.shown if name.lower() in _PLAIN_HEADERS or _REFERENCES.fullmatch(header.shown) else "***"
        for name, header in headers.items()
    }


def collect(values: Sequence[str], *, public: Iterable[str]) -> tuple[str, ...]:
    """Give the values worth scrubbing, each once, longest first."""
    known = set(public)
    worth = {value for value in values if len(value) >= MIN_SECRET and value not in known}
    return tuple(sorted(worth, key=lambda value: (-len(value), value)))


def _blot_parameter(match: re.Match[str], hidden: list[str]) -> str:
    if not names_credential(match["name"]):
        return match[0]
    return f"{match['name']}={_blot(match['value'], hidden)}"


def _blot(value: str, hidden: list[str]) -> str:
    if _REFERENCES.fullmatch(value):
        return value
    hidden += (value, unquote(value), value.partition(" ")[2], unquote(value.partition(":")[2]))
    return "***"


def names_credential(name: str) -> bool:
    """Whether the last word of a name is one that stands for a credential, as in `githubToken`."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and words[-1] in _CREDENTIALS and words[0] not in _NEGATIONS

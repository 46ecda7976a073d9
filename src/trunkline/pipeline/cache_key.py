"""Under which key an answer is kept: by server, principal, method, name and arguments, as digests. Pure.

Two calls have one key exactly if the same JSON is sent for them, but for the order of members: 1 and 1.0, or
a letter with its accent in one character or in two, are not the same, since servers may tell them apart. No
argument, URI, credential or name of a principal can be read from a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from trunkline.core.call import Call
from trunkline.core.principal import Principal

EVERYBODY = "-"
"""Stands in place of the principal where an answer is for all."""
_KINDS = {"tools/call": "t", "resources/read": "r", "prompts/get": "p"}
_DIGEST = 16
_MOST_KNOWN = 4096
_encode = msgspec.json.Encoder(order="deterministic").encode
_UNFIT = (TypeError, ValueError, RecursionError)


class Key(NamedTuple):
    """The key of one call."""

    own: str
    """For its principal alone."""
    subject: str
    asked: str

    @property
    def common(self) -> str:
        """For everybody."""
        return f"{self.subject}:{EVERYBODY}:{self.asked}"


class Keys:
    """Makes the keys of one runtime.

    Args:
        salt: random bytes of the place where answers are kept; without them nobody can try out what a key
            was made of.
    """

    def __init__(self, salt: bytes) -> None:
        self._fresh = hashlib.blake2b(key=salt[:64], digest_size=_DIGEST)
        self._principals: dict[Principal, str] = {}
        self._last: tuple[Principal | None, str] = (None, "")
        self._subjects: dict[tuple[str, str, str], str] = {}
        self._uris: dict[str, str] = {}

    def digest(self, data: bytes) -> str:
        """Give the keyed digest of anything, in hexadecimal digits."""
        digest = self._fresh.copy()
        digest.update(data)
        return digest.hexdigest()

    def of(self, call: Call, server: str) -> Key | None:
        """Give the key of a call; None for what has none, such as arguments that are no JSON.

        Args:
            server: digest of the server's entry and of what it is reached with.
        """
        subject = self.subject(server, call.method, call.name)
        if subject is None:
            return None
        try:
            asked = self.asked(call.arguments if call.method == "tools/call" else _given(call.params or {}))
        except _UNFIT:
            return None
        principal = call.principal
        who = self._last[1] if principal is self._last[0] else self.who(principal)
        return Key(f"{subject}:{who}:{asked}", subject, asked)

    def asked(self, arguments: Any) -> str:
        """Give the part of a key that stands for arguments.

        Raises:
            TypeError, ValueError, RecursionError: they are no JSON.
        """
        return self.digest(_encode(arguments))

    def uri_of(self, digest: str) -> str | None:
        """Give the URI that a subject stands for, if it was asked for lately."""
        return self._uris.get(digest)

    def subject(self, server: str, method: str, name: str) -> str | None:
        """Give what the keys of all calls of one tool, resource or prompt begin with; None for the rest."""
        if (known := self._subjects.get((server, method, name))) is not None:
            return known
        if (kind := _KINDS.get(method)) is None:
            return None
        try:
            # A URI may hold a secret; the names of tools and prompts are on their lists.
            shown = self.digest(name.encode()) if kind == "r" else quote(name, safe="")
        except UnicodeEncodeError:
            return None
        if len(self._subjects) >= _MOST_KNOWN:
            self._subjects.clear()
            self._uris.clear()
        if kind == "r":
            self._uris[shown] = name
        subject = self._subjects[server, method, name] = f"{server}:{kind}:{shown}"
        return subject

    def who(self, principal: Principal) -> str:
        """Give the part of a key that stands for a principal."""
        who = self._principals.get(principal)
        if who is None:
            if len(self._principals) >= _MOST_KNOWN:
                self._principals.clear()
            who = self.digest(_encode([principal.name, sorted(principal.roles)]))
            self._principals[principal] = who
        self._last = (principal, who)
        return who


class Subject(NamedTuple):
    """What a key is about, as far as it can be told from it."""

    server: str
    method: str
    name: str
    """Name of the tool or prompt; a digest of a URI."""


def _given(params: Mapping[str, Any]) -> Any:
    """Give what was asked with, besides the name or URI: the arguments, and whatever else there is."""
    given = params.get("arguments", {})
    more = {name: value for name, value in params.items() if name not in ("name", "uri", "arguments")}
    return [given, more] if more else given


def read_subject(key: str) -> Subject:
    """Give what a key, or the beginning of one that `Keys.subject` gave, is about."""
    server, kind, name = key.split(":", 3)[:3]
    method = next(one for one, letter in _KINDS.items() if letter == kind)
    return Subject(server, method, unquote(name))


def parts_of(key: str) -> tuple[str, str, str]:
    """Give the subject of a key, and the parts that stand for the principal and for the arguments."""
    subject, who, asked = key.rsplit(":", 2)
    return subject, who, asked

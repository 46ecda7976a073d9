"""Which kept answers are meant: by names, arguments and principal, or by what happened on a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from trunkline.core.events import ListChanged, ResourceUpdated
from trunkline.core.principal import Principal
from trunkline.pipeline.cache_key import Keys, parts_of, read_subject

CALL, READ, GET_PROMPT = "tools/call", "resources/read", "prompts/get"
_METHODS = {"tools": CALL, "resources": READ, "templates": READ, "prompts": GET_PROMPT}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is meant; what cannot be told from a key is."""

    fits: Callable[[str, str], bool]
    """Whether something of a server is meant, by its own name or URI."""
    method: str | None = None
    """The only method that is meant, or None."""
    arguments: Mapping[str, Any] | None = None
    """The only arguments that are meant, or None."""
    principal: Principal | None = None
    """The only principal that is meant, or None."""

    def concerns(self, server: str, keys: Keys, subject: str) -> bool:
        """Whether anything is meant of what the keys of a subject stand for."""
        about = read_subject(subject)
        if self.method not in (None, about.method):
            return False
        name = keys.uri_of(about.name) if about.method == READ else about.name
        return name is None or self.fits(server, name)

    def asked(self, keys: Keys, key: str) -> bool:
        """Whether a key is meant whose subject is.

        Raises:
            TypeError, ValueError: the arguments are no JSON.
        """
        _, who, asked = parts_of(key)
        if self.principal is not None and who != keys.who(self.principal):
            return False
        return self.arguments is None or asked == keys.asked(self.arguments)

    def means(self, server: str, keys: Keys, key: str) -> bool:
        """Whether a key is meant."""
        return self.concerns(server, keys, parts_of(key)[0]) and self.asked(keys, key)


def named(patterns: tuple[str, ...], home: str) -> Wanted:
    """Mean tools and prompts by `server.name`, those at home by their own name too, and URIs; or globs."""

    def fits(server: str, name: str) -> bool:
        return any(
            fnmatchcase(f"{server}.{name}", pattern)
            or (fnmatchcase(name, pattern) and (server == home or ":" in pattern))
            for pattern in patterns
        )

    return Wanted(fits=fits)


def chosen(
    tool: str | None,
    arguments: Mapping[str, Any] | None,
    server: str | None,
    uri: str | None,
    principal: Principal | None,
) -> Wanted:
    """Mean what an application chooses; None means all."""

    def fits(own: str, name: str) -> bool:
        if server is not None and not fnmatchcase(own, server):
            return False
        if uri is not None:
            return fnmatchcase(name, uri)
        return tool is None or fnmatchcase(f"{own}.{name}", tool) or name == tool

    method = CALL if tool is not None else READ if uri is not None else None
    return Wanted(fits=fits, method=method, arguments=arguments, principal=principal)


def changed_by(event: ResourceUpdated | ListChanged) -> Wanted | None:
    """Mean what may be another answer after this; None is nothing."""
    if isinstance(event, ResourceUpdated):
        return Wanted(fits=lambda _, uri: _are_related(uri, event.uri), method=READ)
    gone = frozenset((*event.removed, *event.changed))
    every = event.failure is not None or (event.kind == "templates" and bool(gone))
    if not every and not gone:
        return None
    return Wanted(fits=lambda _, name: every or name in gone, method=_METHODS.get(event.kind, ""))


def _are_related(uri: str, updated: str) -> bool:
    """Whether one is the other, or a part of it: a folder is another one when a file in it is."""
    longer, shorter = (uri, updated) if len(uri) > len(updated) else (updated, uri)
    return longer == shorter or (
        longer.startswith(shorter) and (shorter[-1:] == "/" or longer[len(shorter)] in "/?#")
    )

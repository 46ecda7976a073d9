"""Under which keys a server is remembered: by what it runs or reaches, and for its lists by credentials too.

Keys are keyed digests with random bytes of the store, so that neither a name of an entry nor a secret can be
told from them, and nothing that was listed for one set of credentials is ever found with another one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.config.egress import outside_values
from trunkline.config.entry import Entry, HttpEntry, StdioEntry
from trunkline.config.policy import Policy
from trunkline.core.principal import Principal

SALT_BYTES = 32
_KEY_BYTES = 16


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What the keys of one server are made of; holds secrets, and leaves memory only as a keyed digest."""

    server: bytes
    context: bytes

    def __repr__(self) -> str:
        return "Material()"

    def keys(self, salt: bytes) -> tuple[str, str]:
        """Give the key of how it is reached, and that of what it lists; the latter begins with the former."""
        own = _digest(salt, self.server)
        return own, f"{own}.{_digest(salt, self.context)}"


def gather(entry: Entry, policy: Policy, principal: Principal, environ: Mapping[str, str]) -> Material | None:
    """Give what the keys of a server are made of; None for what is not the same in another run.

    The server is its command, arguments as shown, folder and names of variables, or its URL as shown and
    names of headers. The context adds every value that an entry of the same look may have another of: whole
    arguments and URL, values of variables and headers, folder, TLS settings, proxy, and the principal.
    """
    who = [principal.name, sorted(principal.roles)]
    if isinstance(entry, StdioEntry):
        values = [(name, entry.env.get(name)) for name in entry.env_names]
        context: list[Any] = [entry.command, entry.args, values, entry.cwd or _folder()]
    elif isinstance(entry, HttpEntry):
        tls = msgspec.structs.astuple(policy.for_server(entry.name).tls)
        headers = sorted((name.lower(), value) for name, value in entry.headers.items())
        context = [entry.kind, entry.url, headers, tls, outside_values(entry, policy, environ)]
    else:
        return None
    return Material(server=entry.digest().encode(), context=_flatten([*context, *who]))


def _flatten(parts: list[Any]) -> bytes:
    return repr(parts).encode("utf-8", "surrogatepass")


def _digest(salt: bytes, text: bytes) -> str:
    import hashlib

    return hashlib.blake2b(text, key=salt, digest_size=_KEY_BYTES).hexdigest()


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""

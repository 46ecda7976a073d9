"""The way out to a server's URL, as files and variables decide it: what is wrong with it, what is unsafe.

Connects nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from trunkline.config.certificates import open_context
from trunkline.config.endpoints import find_replicas
from trunkline.config.entry import BadEntry, HttpEntry
from trunkline.config.policy import Policy
from trunkline.config.proxy import find_proxy
from trunkline.config.reference import resolve
from trunkline.config.settings import ServerPolicy
from trunkline.core.tls import TlsSettings
from trunkline.errors import ConfigError

UNVERIFIED = "its certificate is not verified; anybody on the way can read and change all"
_TRUST = "Remove verify = false, and name the authority of the server in `ca`."


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake or danger in the settings of one server."""

    severity: Literal["error", "warning"]
    key: str
    """The setting, such as `tls.ca`."""
    message: str
    hint: str


def examine_egress(entry: HttpEntry, policy: Policy, environ: Mapping[str, str]) -> Iterator[Remark]:
    """Find what is wrong with proxy, TLS settings and replicas of a server; reads the files they name."""
    rules = policy.for_server(entry.name)
    try:
        proxy = find_proxy(entry.url, rules.proxy, environ, server=entry.name, folder=str(policy.folder))
    except ConfigError as error:
        proxy = None
        yield _remark(error)
    if needs_context(entry, rules, proxy):
        # Each part by itself, since making a context ends with the first mistake.
        shown = msgspec.structs.replace(rules.tls, ca="")
        trusted = TlsSettings(ca=rules.tls.ca)
        for part in (trusted, shown):
            try:
                open_context(entry.name, part, policy.folder, environ)
            except ConfigError as error:
                yield _remark(error)
    for one in find_replicas(entry, rules, environ, policy.folder):
        if isinstance(one, BadEntry):
            yield _remark(one.error)
    if is_unverified(entry, rules):
        yield Remark(severity="warning", key="tls.verify", message=UNVERIFIED, hint=_TRUST)


def needs_context(entry: HttpEntry, rules: ServerPolicy, proxy: str | None) -> bool:
    """Whether TLS is spoken on the way, and not as by default."""
    secure = is_secure(entry) or (proxy or "").lower().startswith("https:")
    return secure and rules.tls != TlsSettings()


def is_unverified(entry: HttpEntry, rules: ServerPolicy) -> bool:
    """Whether the settings let any server be believed to be this one."""
    return is_secure(entry) and not rules.tls.verify


def is_secure(entry: HttpEntry) -> bool:
    """Whether the server itself is reached through TLS."""
    return entry.url.partition(":")[0].lower() in ("https", "wss")


def outside_values(entry: HttpEntry, policy: Policy, environ: Mapping[str, str]) -> tuple[str, str]:
    """Give the proxy in force and the key's password: secrets, to be digested and never shown.

    What cannot be found stands as the error that tells so.
    """
    rules, folder = policy.for_server(entry.name), str(policy.folder)
    found: list[str] = []
    try:
        found.append(find_proxy(entry.url, rules.proxy, environ, server=entry.name, folder=folder) or "")
    except ConfigError as error:
        found.append(str(error))
    try:
        password = rules.tls.key_password
        found.append(resolve(password, environ, server=entry.name, field="tls.key_password", folder=folder))
    except ConfigError as error:
        found.append(str(error))
    return found[0], found[1]


def _remark(error: ConfigError) -> Remark:
    return Remark(
        severity="error",
        key=error.field or "tls",
        message=error.message,
        hint=error.hint or "Correct it.",
    )

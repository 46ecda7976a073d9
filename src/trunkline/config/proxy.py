"""Which proxy leads to a server: the one its policy names, or the one the environment names, or none.

The environment means what it means to curl and to Python: `https_proxy`, `http_proxy`, `all_proxy` and
`no_proxy`, in small or capital letters. A server on this machine is never reached through a proxy that
the environment names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import msgspec

from trunkline.config.reference import REFERENCE, resolve
from trunkline.errors import ConfigError

ENVIRONMENT = "environment"
NONE = "none"
WANTED = (
    '"environment", "none" or false, or an http or https URL such as "http://proxy.example:3128", '
    "with passwords as ${NAME}"
)

_CHARACTER = r"(?:\$\{[^}]*\}|[^:@/?#$\s])"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?:(?P<user>{_CHARACTER}*)(?::(?P<password>{_CHARACTER}*))?@)?(?P<place>[^@\s]+)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,20}")
_FIX = 'Name an http:// or https:// proxy, or set proxy = "none" for this server.'


class ProxyParts(msgspec.Struct, frozen=True, kw_only=True):
    """A proxy as it stands in `trunkline.toml`, its references in place."""

    scheme: str
    user: str | None
    """Percent-encoded but for its references; None where there are no credentials."""
    password: str | None
    """A reference, or None."""
    place: str
    """Host and port."""


def is_proxy(value: object) -> bool:
    """Whether this may stand in `trunkline.toml`; a password in plain text may not."""
    if value is False or value in (ENVIRONMENT, NONE, ""):
        return True
    if not isinstance(value, str):
        return False
    if REFERENCE.fullmatch(value):
        return True
    parts, filled = split_proxy(value), REFERENCE.sub("1", value)
    if parts is None or "${" in filled or not _is_url(filled):
        return False
    return not parts.password or REFERENCE.fullmatch(parts.password) is not None


def split_proxy(text: str) -> ProxyParts | None:
    """Take apart what is written in `trunkline.toml`; None for what is no URL, such as one reference."""
    match = _URL.fullmatch(text)
    return None if match is None else ProxyParts(**match.groupdict())


def find_proxy(
    url: str, wanted: str, environ: Mapping[str, str], *, server: str, folder: str = ""
) -> str | None:
    """Give the URL of the proxy for a server's URL, with its credentials, or None for a direct way.

    Args:
        folder: where relative paths of `${file:path}` begin.

    Raises:
        ConfigError: what is named is no proxy we can use, or a variable is missing; shows no value.
    """
    if wanted == NONE:
        return None
    if wanted != ENVIRONMENT:
        return _usable(_with_values(wanted, environ, server, folder), server, "the setting")
    if (name := proxy_variable(url, environ)) is None:
        return None
    found = environ[name].strip()
    return _usable(found if "://" in found else f"http://{found}", server, f"the environment variable {name}")


def proxy_variable(url: str, environ: Mapping[str, str]) -> str | None:
    """Give the name of the variable that names the proxy for a URL, or None for a direct way."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme in ("https", "wss")
    exempt = environ.get(_variable(environ, "no_proxy") or "", "")
    if is_local(host) or _is_exempt(host, parts.port, exempt):
        return None
    return _variable(environ, "https_proxy" if secure else "http_proxy") or _variable(environ, "all_proxy")


def is_local(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    """Give the name of the variable that is set, in small letters, else in capitals.

    In a CGI program `HTTP_PROXY` is a header of the client.
    """
    forged = name == "http_proxy" and "REQUEST_METHOD" in environ
    names = (name,) if forged else (name, name.upper())
    return next((one for one in names if environ.get(one, "").strip()), None)


def _is_exempt(host: str, port: int | None, exempt: str) -> bool:
    for item in (part.strip().lower() for part in exempt.split(",")):
        name, _, wanted = item.rpartition(":") if item.count(":") == 1 else (item, "", "")
        if not item or (wanted and wanted != str(port)):
            continue
        name = name.removeprefix("*").lstrip(".")
        if item == "*" or host == name or (name and host.endswith(f".{name}")) or _within(host, name):
            return True
    return False


def _within(host: str, network: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _with_values(wanted: str, environ: Mapping[str, str], server: str, folder: str) -> str:
    """Give the URL with its references replaced; what replaces one in the credentials is quoted."""

    def value(text: str) -> str:
        return resolve(text, environ, server=server, field="proxy", folder=folder)

    parts = split_proxy(wanted)
    if parts is None or parts.user is None:
        return value(wanted)
    credentials = [
        REFERENCE.sub(lambda match: quote(value(match[0]), safe=""), part)
        for part in (parts.user, parts.password)
        if part is not None
    ]
    return f"{parts.scheme}://{':'.join(credentials)}@{value(parts.place)}"


def _usable(proxy: str, server: str, who: str) -> str:
    scheme = proxy.partition("://")[0].lower()
    if _is_url(proxy):
        return proxy
    if scheme not in ("http", "https") and _SCHEME.fullmatch(scheme) and "://" in proxy:
        message = f"{who} names a proxy with the scheme {scheme!r}, which is not supported"
    else:
        message = f"{who} does not give the URL of a proxy"
    raise ConfigError(message, server=server, field="proxy", hint=_FIX)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        host.encode("idna")  # what has no such form is not found by any resolver
        named = bool(host) and parts.port != 0 and not re.search(r"[\s\x00-\x1f]", text)
    except ValueError:
        return False
    # An @ behind the host was part of a password that is not quoted.
    return (
        named
        and parts.scheme in ("http", "https")
        and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
    )

"""Which proxy leads to a server: the one its policy names, or the one the environment names, or none.

The environment means what it means to curl and to Python: `https_proxy`, `http_proxy`, `all_proxy` and
`no_proxy`, in small or capital letters. A server on this machine is never reached through a proxy that
the environment names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from trunkline.config.reference import REFERENCE, resolve
from trunkline.errors import ConfigError

ENVIRONMENT = "environment"
NONE = "none"
WANTED = '"environment", "none" or a URL such as "http://proxy.example:3128", with passwords as ${NAME}'


def is_proxy(value: object) -> bool:
    """Whether this may stand in `trunkline.toml`; a password in plain text may not."""
    if value in (ENVIRONMENT, NONE):
        return True
    return isinstance(value, str) and _is_url(REFERENCE.sub("x", value)) and _hides_password(value)


def find_proxy(url: str, wanted: str, environ: Mapping[str, str], *, server: str) -> str | None:
    """Give the URL of the proxy for a server's URL, with its credentials, or None for a direct way.

    Raises:
        ConfigError: the environment names no proxy we can use, or a variable is missing.
    """
    if wanted == NONE:
        return None
    if wanted != ENVIRONMENT:
        return _with_values(wanted, environ, server)
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme in ("https", "wss")
    if is_local(host) or _is_exempt(host, parts.port, _variable(environ, "no_proxy")):
        return None
    name = "https_proxy" if secure else "http_proxy"
    found = _variable(environ, name) or _variable(environ, "all_proxy")
    if not found:
        return None
    proxy = found if "://" in found else f"http://{found}"
    if not _is_url(proxy):
        scheme = urlsplit(proxy).scheme
        raise ConfigError(
            f"the environment names a proxy with the scheme {scheme!r}, which is not supported",
            server=server,
            field="proxy",
            hint='Name an http:// or https:// proxy, or set proxy = "none" for this server.',
        )
    return proxy


def is_local(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _variable(environ: Mapping[str, str], name: str) -> str:
    """Give a variable in small letters, else in capitals; in a CGI program `HTTP_PROXY` is the client's."""
    value = environ.get(name) or environ.get(name.upper())
    if name == "http_proxy" and "REQUEST_METHOD" in environ:
        value = environ.get(name)
    return (value or "").strip()


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
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _with_values(wanted: str, environ: Mapping[str, str], server: str) -> str:
    """Give the URL with its references replaced; what replaces one in the credentials is quoted."""
    before, at, rest = wanted.rpartition("@")
    scheme, _, credentials = before.partition("://")
    if not at:
        return resolve(wanted, environ, server=server, field="proxy")
    parts = [
        quote(resolve(part, environ, server=server, field="proxy"), safe="")
        for part in credentials.split(":")
    ]
    return f"{scheme}://{':'.join(parts)}@{resolve(rest, environ, server=server, field='proxy')}"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _hides_password(url: str) -> bool:
    credentials = url.rpartition("@")[0].partition("://")[2]
    _, colon, password = credentials.partition(":")
    return not colon or REFERENCE.fullmatch(password) is not None

"""Curl's options for the TLS settings and the proxy of a server; looks only whether a path is a folder."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from trunkline.cli.shell import quote_shown
from trunkline.config.certificates import find_file
from trunkline.config.proxy import ENVIRONMENT, NONE, proxy_variable, split_proxy
from trunkline.config.reference import REFERENCE
from trunkline.config.settings import ServerPolicy
from trunkline.core.tls import TlsSettings

_NEWEST = "--tlsv1.3"
_NOT_FOR_PROXIES = (_NEWEST,)
"""Curl has no such option for a proxy."""
_READ_BY_CURL = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def way_options(
    server: str, url: str, rules: ServerPolicy, folder: Path, environ: Mapping[str, str]
) -> list[str]:
    """Give the options that make curl reach a URL as we do; secrets stand as the variables that hold them.

    Raises:
        ConfigError: a path begins with the home folder of nobody.
    """
    trust = _trust(server, rules.tls, folder)
    proxy = _proxy(url, rules.proxy, environ)
    if proxy and rules.proxy.lower().startswith("https:"):
        proxy += [option.replace("--", "--proxy-", 1) for option in trust if option not in _NOT_FOR_PROXIES]
    return [*trust, *proxy]


def _trust(server: str, tls: TlsSettings, folder: Path) -> list[str]:
    options: list[str] = []
    for field, option in (("ca", "--cacert"), ("cert", "--cert"), ("key", "--key")):
        if text := getattr(tls, field):
            file = find_file(server, field, text, folder)
            name = "--capath" if field == "ca" and file.is_dir() else option
            options.append(f"{name} {shlex.quote(str(file))}")
    options += [f"--pass {quote_shown(tls.key_password)}"] if tls.key_password else []
    options += [_NEWEST] if tls.minimum == "1.3" else []
    return options if tls.verify else [*options, "--insecure"]


def _proxy(url: str, wanted: str, environ: Mapping[str, str]) -> list[str]:
    if wanted == NONE:
        return ["--noproxy '*'"]
    if wanted == ENVIRONMENT:
        return _from_environment(url, environ)
    parts = split_proxy(wanted)
    if parts is None or parts.user is None:
        return [f"--proxy {quote_shown(wanted)}"]
    # As an option of its own, because what a variable holds is not percent-encoded.
    credentials = ":".join(_plain(part) for part in (parts.user, parts.password) if part is not None)
    place = quote_shown(f"{parts.scheme}://{parts.place}")
    return [f"--proxy {place}", f"--proxy-user {quote_shown(credentials)}"]


def _from_environment(url: str, environ: Mapping[str, str]) -> list[str]:
    """Curl reads the same variables but `HTTP_PROXY`, and does not spare this machine."""
    found = proxy_variable(url, environ)
    if found == "HTTP_PROXY":
        return ['--proxy "$HTTP_PROXY"']
    if found is None and any(environ.get(name) for name in _READ_BY_CURL):
        return ["--noproxy '*'"]
    return []


def _plain(text: str) -> str:
    """Decode what is written in plain text, and leave references alone."""
    ends = [0, *(end for match in REFERENCE.finditer(text) for end in match.span()), len(text)]
    parts = [text[start:end] for start, end in itertools.pairwise(ends)]
    return "".join(part if at % 2 else unquote(part) for at, part in enumerate(parts))

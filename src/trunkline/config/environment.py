"""Which of our own variables a child process may see; everything else stays here.

A server gets what a program needs to find its files, its language and its certificates. What may
hold a credential is not among it: an entry passes such a variable on by naming it, as in
`"env": {"UV_INDEX_URL": "${UV_INDEX_URL}"}`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACES = {"HOME", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}
_LANGUAGE = {"LANG", "LANGUAGE"}
_XDG = {
    "XDG_CACHE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
}
_CERTIFICATES = {
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
}
_PROXIES = {"ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}
_WINDOWS = {
    "ALLUSERSPROFILE",
    "APPDATA",
    "COMMONPROGRAMFILES",
    "COMPUTERNAME",
    "COMSPEC",
    "HOMEDRIVE",
    "HOMEPATH",
    "LOCALAPPDATA",
    "NUMBER_OF_PROCESSORS",
    "OS",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "PROGRAMW6432",
    "PUBLIC",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "USERDOMAIN",
    "USERNAME",
    "USERPROFILE",
    "WINDIR",
}
_POSIX_NAMES = frozenset(_PLACES | _LANGUAGE | _XDG | _CERTIFICATES)
_WINDOWS_NAMES = _POSIX_NAMES | _WINDOWS


def inherit(environ: Mapping[str, str], *, windows: bool = os.name == "nt") -> dict[str, str]:
    """Give the variables every child gets.

    Dropped although listed: shell functions (a value that starts with `()`), and proxies whose
    address carries a user name or password.
    """
    return {name: value for name, value in environ.items() if _passes(name, value, windows=windows)}


def _passes(name: str, value: str, *, windows: bool) -> bool:
    if value.startswith("()"):
        return False
    if name.upper() in _PROXIES:
        return "@" not in value
    if windows:
        return name.upper() in _WINDOWS_NAMES
    return name in _POSIX_NAMES or name.startswith("LC_")

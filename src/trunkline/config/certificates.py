"""TLS contexts from the settings of a server; reads files, connects nowhere.

`ssl` is imported only when a context is made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.config.reference import FORMS, resolve
from trunkline.core.tls import TlsSettings
from trunkline.errors import ConfigError

if TYPE_CHECKING:
    import ssl

_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""How OpenSSL looks for authorities in a folder, as `openssl rehash` names them."""
_SUFFIXES = frozenset({".pem", ".crt", ".cer"})


def open_context(
    server: str, settings: TlsSettings, folder: Path, environ: Mapping[str, str]
) -> ssl.SSLContext:
    """Find the password of the key, then give a context as `make_context` does.

    Raises:
        ConfigError: also when the reference to the password leads nowhere.
    """
    password = resolve(
        settings.key_password, environ, server=server, field="tls.key_password", folder=str(folder)
    )
    return make_context(server, settings, folder, password)


def make_context(server: str, settings: TlsSettings, folder: Path, key_password: str = "") -> ssl.SSLContext:
    """Give a context that does what the settings say; reads files, so it does not belong on an event loop.

    Args:
        folder: where relative paths begin.
        key_password: what decrypts the key; "" for a key in plain text.

    Raises:
        ConfigError: a file is missing, is no PEM, or does not fit; names the server, the field and the fix.
    """
    import ssl

    if settings.ca:
        context = _trusting(server, find_file(server, "ca", settings.ca, folder))
    else:
        context = ssl.create_default_context()
    versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    context.minimum_version = versions[settings.minimum]
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert:
        _show(context, server, settings, folder, key_password)
    elif settings.key:
        raise _mistake(server, "key", "it has no certificate", "Set `cert` to the certificate of this key.")
    return context


def find_file(server: str, field: str, text: str, folder: Path) -> Path:
    """Give the place of a file that a setting names; it need not exist.

    Raises:
        ConfigError: it begins with the home folder of nobody.
    """
    try:
        return folder / Path(text).expanduser()
    except RuntimeError:
        message = f"{text} begins with a home folder that is not known"
        raise _mistake(server, field, message, "Write the whole path.") from None


def _trusting(server: str, path: Path) -> ssl.SSLContext:
    """Give a context that trusts these authorities and no others."""
    import ssl

    try:
        if not path.is_dir():
            return ssl.create_default_context(cafile=str(path))
        names = sorted(path.iterdir())
        context = ssl.create_default_context(capath=str(path))
        if any(_HASHED.fullmatch(one.name) for one in names):
            return context
        files = [one for one in names if one.suffix.lower() in _SUFFIXES]
        for path in files:
            context.load_verify_locations(cafile=str(path))
    except ssl.SSLError:
        raise _mistake(server, "ca", f"{path} holds no PEM certificate", "Convert it to PEM.") from None
    except OSError as cause:
        raise _unreadable(server, "ca", path, cause) from cause
    if not files:
        hint = "Put PEM files into it that end in .pem or .crt, or name one file."
        raise _mistake(server, "ca", f"{path} holds no certificates", hint)
    return context


def _show(
    context: ssl.SSLContext, server: str, settings: TlsSettings, folder: Path, key_password: str
) -> None:
    import ssl

    cert = find_file(server, "cert", settings.cert, folder)
    key = find_file(server, "key", settings.key, folder) if settings.key else cert
    for field, path in (("cert", cert), ("key", key)):
        try:
            path.open("rb").close()
        except OSError as cause:
            raise _unreadable(server, field, path, cause) from cause
    asked: list[bool] = []

    def answer() -> str:
        asked.append(True)
        return key_password

    try:
        # A function, because OpenSSL asks at the terminal where no password is given.
        context.load_cert_chain(cert, key, password=answer)
    except ValueError:  # a password longer than OpenSSL takes
        raise _locked(server, settings, key) from None
    except ssl.SSLError as cause:
        if asked:
            raise _locked(server, settings, key) from None
        raise _unfit(server, settings, cert, key, cause.reason) from None


def _locked(server: str, settings: TlsSettings, key: Path) -> ConfigError:
    if not settings.key_password:
        hint = f"Set `key_password` to a reference ({FORMS}) to its password."
        return _mistake(server, "key_password", f"{key} is encrypted", hint)
    hint = f"Correct what {settings.key_password} stands for."
    return _mistake(server, "key_password", f"the password does not open {key}", hint)


def _unfit(server: str, settings: TlsSettings, cert: Path, key: Path, reason: str | None) -> ConfigError:
    if reason == "KEY_VALUES_MISMATCH":
        what = f"{key} is not the key of {cert}"
        return _mistake(server, "key", what, "Set `key` to the key of `cert`.")
    if not _holds_certificate(cert):
        return _mistake(server, "cert", f"{cert} holds no PEM certificate", "Convert it to PEM.")
    fix = "Convert it to PEM." if settings.key else "Set `key` to the file that holds it."
    return _mistake(server, "key", f"{key} holds no PEM key", fix)


def _holds_certificate(path: Path) -> bool:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=str(path))
    except ssl.SSLError:
        return False
    return True


def _unreadable(server: str, field: str, path: Path, cause: OSError) -> ConfigError:
    reason = os.strerror(cause.errno) if cause.errno else str(cause)
    return _mistake(server, field, f"{path} cannot be read ({reason})", f"Correct `{field}`, or the file.")


def _mistake(server: str, field: str, what: str, hint: str) -> ConfigError:
    return ConfigError(what, server=server, field=f"tls.{field}", hint=hint)

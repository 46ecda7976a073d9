"""TLS contexts from settings, and what a failed handshake means; Python's `ssl` does the work."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from trunkline.core.tls import TlsSettings
from trunkline.errors import CallError, ConfigError, UnavailableError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_EXPIRED, _NOT_YET = 10, 9
_WRONG_NAME = (62, 64)
"""Results of certificate verification, as in OpenSSL's x509_vfy.h."""
_TOO_OLD = frozenset({"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE"})
_WANTS_CERTIFICATE = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
)


def make_context(server: str, settings: TlsSettings, folder: Path, key_password: str = "") -> ssl.SSLContext:
    """Give a context that does what the settings say; reads files, so it does not belong on an event loop.

    Args:
        folder: where relative paths begin.
        key_password: what decrypts the key; "" for a key in plain text.

    Raises:
        ConfigError: a file is missing, is no PEM, or does not fit; names the server, the field and the fix.
    """
    context = ssl.create_default_context()
    context.minimum_version = _VERSIONS[settings.minimum]
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.ca:
        _trust(context, server, folder / Path(settings.ca).expanduser())
    if settings.cert:
        _show(context, server, settings, folder, key_password)
    elif settings.key:
        raise _mistake(server, "key", "it has no certificate", "Set `cert` to the certificate of this key.")
    return context


def _trust(context: ssl.SSLContext, server: str, path: Path) -> None:
    context_paths = {"capath": str(path)} if path.is_dir() else {"cafile": str(path)}
    try:
        context.load_verify_locations(**context_paths)
    except ssl.SSLError:
        raise _mistake(server, "ca", f"{path} holds no PEM certificate", "Convert it to PEM.") from None
    except OSError as cause:
        raise _unreadable(server, "ca", path, cause) from cause


def _show(
    context: ssl.SSLContext, server: str, settings: TlsSettings, folder: Path, key_password: str
) -> None:
    cert = folder / Path(settings.cert).expanduser()
    key = folder / Path(settings.key).expanduser() if settings.key else cert
    for field, path in (("cert", cert), ("key", key)):
        try:
            path.open("rb").close()
        except OSError as cause:
            raise _unreadable(server, field, path, cause) from cause
    try:
        # A function, because OpenSSL asks at the terminal where no password is given.
        context.load_cert_chain(cert, key, password=lambda: key_password)
    except ssl.SSLError as cause:
        if cause.reason == "KEY_VALUES_MISMATCH":
            raise _mistake(
                server, "key", f"{key} is not the key of {cert}", "Set `key` to the key of `cert`."
            ) from None
        raise _mistake(
            server,
            "cert",
            f"{cert} and {key} cannot be used ({cause.reason or 'no PEM, or the wrong password'})",
            "Give PEM files, and `key_password` where the key is encrypted.",
        ) from None


def explain_tls(server: str, host: str, cause: BaseException | None) -> CallError | None:
    """Give the error of a TLS handshake that failed, or None if it is not one. No byte of a request left."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _distrusted(server, host, cause)
    if not isinstance(cause, ssl.SSLError):
        return None
    if cause.reason in _TOO_OLD:
        what, code = "we share no version of TLS", "tls_version"
        hint = f'Set `minimum` in [servers."{server}".tls] to a version it speaks.'
    elif cause.reason in _WANTS_CERTIFICATE:
        what, code = "it does not accept us, and may want a client certificate", "tls_client_certificate"
        hint = f'Set `cert` and `key` in [servers."{server}".tls].'
    elif cause.reason in _NO_TLS:
        what, code = "it does not speak TLS", "tls_not_spoken"
        hint = "Check the port, or write http:// or ws:// in its URL."
    else:
        what, code = f"TLS failed ({cause.reason or 'no reason was given'})", "tls_failed"
        hint = "Look at the server's log."
    return UnavailableError(f"cannot connect to {host}: {what}", code=code, server=server, hint=hint)


def _distrusted(server: str, host: str, cause: ssl.SSLCertVerificationError) -> UnavailableError:
    table = f'[servers."{server}".tls]'
    if cause.verify_code in _WRONG_NAME:
        what, code = "its certificate is for another name", "tls_wrong_name"
        hint = "Use the name its certificate is for in the URL."
    elif cause.verify_code in (_EXPIRED, _NOT_YET):
        when = "has expired" if cause.verify_code == _EXPIRED else "is not valid yet"
        what, code = f"its certificate {when}", "tls_expired"
        hint = "Have its operator renew the certificate, and check the clock of this machine."
    else:
        what, code = "its certificate is of an authority that is not trusted", "tls_untrusted"
        hint = f"Set `ca` in {table} to that authority's certificate, a PEM file."
    return UnavailableError(f"cannot connect to {host}: {what}", code=code, server=server, hint=hint)


def _unreadable(server: str, field: str, path: Path, cause: OSError) -> ConfigError:
    reason = os.strerror(cause.errno) if cause.errno else str(cause)
    return _mistake(server, field, f"{path} cannot be read ({reason})", f"Correct `{field}`, or the file.")


def _mistake(server: str, field: str, what: str, hint: str) -> ConfigError:
    return ConfigError(what, server=server, field=f"tls.{field}", hint=hint)

"""What a failed TLS handshake means."""

from __future__ import annotations

import ssl

from trunkline.errors import CallError, UnavailableError

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
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_ACCESS_DENIED",
    }
)
_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
)


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

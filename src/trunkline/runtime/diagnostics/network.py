"""Codes of the way to a URL: proxy, name, connection, TLS."""

from __future__ import annotations

from trunkline.runtime.diagnostics.diagnostic import Diagnostic

_SHOW = "openssl s_client -connect HOST:PORT -servername HOST -showcerts </dev/null"

DIAGNOSTICS = (
    Diagnostic(
        code="proxy_unreachable",
        title="Nothing listens where the proxy should be",
        causes=(
            "The proxy is down, or is reachable only from another network, such as a VPN.",
            "HTTPS_PROXY, HTTP_PROXY or `proxy` in trunkline.toml names a proxy that is gone.",
        ),
        fix="Correct the variable or `proxy`; a host in NO_PROXY is reached directly.",
        command='export NO_PROXY="${NO_PROXY:+$NO_PROXY,}HOST"',
        example="cannot connect to the proxy 127.0.0.1:3128 (Connection refused)",
    ),
    Diagnostic(
        code="proxy_timeout",
        title="The proxy does not answer",
        causes=("A firewall drops what is sent to it.", "It waits for the server itself, which is silent."),
        fix="Ask whoever runs the proxy; a host in NO_PROXY is reached directly.",
        command='export NO_PROXY="${NO_PROXY:+$NO_PROXY,}HOST"',
        example="the proxy 127.0.0.1:3128 did not answer within 30 s",
    ),
    Diagnostic(
        code="proxy_authorization",
        title="The proxy wants a user and a password (HTTP 407)",
        causes=("There are none in the proxy's URL.", "They are wrong, or have expired."),
        fix='Write `proxy` as "http://${PROXY_USER}:${PROXY_PASSWORD}@host:port" in trunkline.toml.',
        command="export PROXY_USER=... PROXY_PASSWORD=...",
        example="the proxy wants a user and a password (HTTP 407)",
    ),
    Diagnostic(
        code="proxy_refused",
        title="The proxy did not connect us to the server",
        causes=(
            "Its rules do not allow this host or port.",
            "It cannot reach the server itself (502, 503, 504).",
        ),
        fix="Ask whoever runs the proxy; a host in NO_PROXY is reached directly.",
        command='export NO_PROXY="${NO_PROXY:+$NO_PROXY,}HOST"',
        example="the proxy did not connect us (HTTP 503)",
    ),
    Diagnostic(
        code="dns_not_found",
        title="There is no host of this name",
        causes=(
            "The name in the URL is misspelled.",
            "It is known only within another network, such as a VPN.",
            "This machine cannot reach a name server.",
        ),
        fix="Correct the host in `url`, or join the network that knows it.",
        command="getent hosts HOST",
        example="there is no host 'far.example' (Name or service not known)",
    ),
    Diagnostic(
        code="dns_timeout",
        title="No name server answers",
        causes=("The name servers of this machine cannot be reached.", "A VPN has left its own behind."),
        fix="Check the network, and which name servers are used.",
        command="cat /etc/resolv.conf",
        example="looking up 'far.example' was not answered within 30 s",
    ),
    Diagnostic(
        code="connect_failed",
        title="Nothing accepts connections at the host and port of the URL",
        causes=(
            "The server does not run, or listens on another port.",
            "It listens on another address of its machine only.",
            "A firewall refuses the connection.",
        ),
        fix="Start the server, or correct host and port in `url`.",
        command="nc -vz HOST PORT",
        example="cannot connect to 127.0.0.1:8000 (Connection refused)",
    ),
    Diagnostic(
        code="tcp_timeout",
        title="Nothing answers at the host and port of the URL, not even with a refusal",
        causes=(
            "A firewall drops what is sent, or the host is off.",
            "The address is of another network, such as a VPN that is not connected.",
        ),
        fix="Check host and port in `url`, and the way there.",
        command="nc -vz -w 5 HOST PORT",
        example="192.0.2.1:443 did not answer within 30 s",
    ),
    Diagnostic(
        code="tls_untrusted",
        title="The certificate of the server is of an authority that is not trusted",
        causes=(
            "The organization has an authority of its own, which this machine does not know.",
            "The server signs its certificate itself, or leaves out the certificates in between.",
            "Something on the way takes TLS apart.",
        ),
        fix='Set `ca` in [servers."NAME".tls] of trunkline.toml to the certificate of that authority.',
        command=_SHOW,
        example="cannot connect to far.example:443: its certificate is of an authority that is not trusted",
    ),
    Diagnostic(
        code="tls_wrong_name",
        title="The certificate of the server is for another name",
        causes=("The URL has an address or an alias for a host.", "Another server answers at this address."),
        fix="Use the name its certificate is for in `url`.",
        command=_SHOW,
        example="cannot connect to far.example:443: its certificate is for another name",
    ),
    Diagnostic(
        code="tls_expired",
        title="The certificate of the server has expired, or is not valid yet",
        causes=("Nobody has renewed it.", "The clock of this machine is wrong."),
        fix="Have its operator renew it, and check the clock of this machine.",
        command="date",
        example="cannot connect to far.example:443: its certificate has expired",
    ),
    Diagnostic(
        code="certificate_expires_soon",
        title="The certificate of the server expires within two weeks",
        causes=("It is not renewed by itself.",),
        fix="Have its operator renew it before that.",
        example="its certificate expires on 2027-01-14",
    ),
    Diagnostic(
        code="tls_client_certificate",
        title="The server does not accept us, and may want a client certificate",
        causes=("None is configured.", "The one that is shown is of the wrong authority, or has expired."),
        fix='Set `cert` and `key` in [servers."NAME".tls] of trunkline.toml.',
        command=_SHOW,
        example="cannot connect to far.example:443: it does not accept us, and may want a client certificate",
    ),
    Diagnostic(
        code="tls_version",
        title="The server and we share no version of TLS",
        causes=(
            "`minimum` is set to 1.3 and the server speaks 1.2.",
            "The server speaks only what is unsafe.",
        ),
        fix='Set `minimum` in [servers."NAME".tls] to a version it speaks, or have the server renewed.',
        command=_SHOW,
        example="cannot connect to far.example:443: we share no version of TLS",
    ),
    Diagnostic(
        code="tls_not_spoken",
        title="What answers does not speak TLS",
        causes=("The URL says https or wss, and the server speaks http or ws.", "The port is another one."),
        fix="Correct the port, or write http:// or ws:// in `url`.",
        command="curl -v http://HOST:PORT/",
        example="cannot connect to 127.0.0.1:8000: it does not speak TLS",
    ),
    Diagnostic(
        code="tls_refused",
        title="The server broke off with the TLS handshake and said nothing",
        causes=(
            "It wants a client certificate or another version of TLS.",
            "Something on the way refuses it.",
        ),
        fix="See the log of the server; `tls.cert` and `tls.minimum` in trunkline.toml are ours.",
        command=_SHOW,
        example="cannot connect to far.example:443: it broke off with the TLS handshake, saying nothing",
    ),
    Diagnostic(
        code="tls_failed",
        title="TLS failed for another reason",
        causes=("The server, or something on the way, breaks the rules of TLS.",),
        fix="Look at the log of the server.",
        command=_SHOW,
        example="cannot connect to far.example:443: TLS failed (DECRYPTION_FAILED_OR_BAD_RECORD_MAC)",
    ),
    Diagnostic(
        code="tls_timeout",
        title="The TLS handshake began and was never answered",
        causes=("What listens there speaks another protocol.", "The server hangs."),
        fix="Check the port in `url`, and look at the server.",
        command=_SHOW,
        example="127.0.0.1:8443 did not answer the TLS handshake within 30 s",
    ),
)

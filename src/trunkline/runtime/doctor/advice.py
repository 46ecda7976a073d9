"""From an error to what a person is told: what it most likely comes of, and the line that mends it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from trunkline.config.entry import Entry, HttpEntry, StdioEntry
from trunkline.config.url import origin
from trunkline.errors import CallError, ConfigError, TrunklineError
from trunkline.runtime.diagnostics import DIAGNOSTICS
from trunkline.runtime.doctor.background import Background
from trunkline.runtime.doctor.certificate import Certificate
from trunkline.runtime.doctor.challenge import read_challenge
from trunkline.runtime.doctor.checkup import Phase, Trouble
from trunkline.runtime.doctor.installing import find_elsewhere, install_command
from trunkline.runtime.doctor.last_words import explain_end
from trunkline.supervision.failure import describe

_PLACEHOLDER = re.compile(r"(?<!\$)\b[A-Z]{3,}\b")
_NOTHING = "\0"
"""Stands for arguments of which there are none."""
_REFERENCE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}")
_UNSAFE = re.compile(r'["\\`]|\$(?!\{[A-Za-z_][A-Za-z0-9_]*\})')


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a server when something fails."""

    entry: Entry
    background: Background
    environ: Mapping[str, str]
    clean: Callable[[str], str]
    """Makes text safe to show, without the secrets we know of."""
    stderr: str = ""
    exit_code: int | None = None
    headers: Mapping[str, str] = {}
    """Of the HTTP answer that refused us, names in small letters."""
    certificate: Certificate | None = None
    place: tuple[str, int] | None = None
    """Host and port of the URL."""
    proxy_of: str = ""
    """Who names the proxy in use: a variable of the environment or `trunkline.toml`; "" for none."""
    program: str = ""
    """File that the command was found to be, or that is missing."""


class Advice(NamedTuple):
    """What is known better than what the page of the code says."""

    cause: str | None = None
    fix: str | None = None
    command: str | None = None


def explain_error(error: TrunklineError, phase: Phase, facts: Facts) -> Trouble:
    """Give what a person is told of an error in a phase."""
    code = _code_of(error, phase)
    page = DIAGNOSTICS.get(code, DIAGNOSTICS["error"])
    advice = _BY_CODE.get(code, _no_more)(error, facts)
    command = advice.command or fill_in(page.command, facts)
    return Trouble(
        phase=phase,
        severity="error",
        code=code,
        message=facts.clean(describe(error)),
        cause=facts.clean(advice.cause or page.causes[0]),
        fix=facts.clean(advice.fix or error.hint or page.fix),
        command=None if command is None else facts.clean(command),
        stderr=facts.stderr,
    )


def warn(code: str, phase: Phase, message: str, facts: Facts, *, fix: str | None = None) -> Trouble:
    """Give what a person is told of something that fails nothing."""
    page = DIAGNOSTICS[code]
    return Trouble(
        phase=phase,
        severity="warning",
        code=code,
        message=facts.clean(message),
        cause=page.causes[0],
        fix=facts.clean(fix or page.fix),
        command=fill_in(page.command, facts),
    )


def fill_in(template: str, facts: Facts) -> str | None:
    """Give a command with what stands for one's own filled in; None where something is not known."""
    known = _known_words(facts)
    words = set(_PLACEHOLDER.findall(template))
    if not template or not words <= {word for word, value in known.items() if value}:
        return None
    return _PLACEHOLDER.sub(lambda match: known[match[0]], template).replace(f" {_NOTHING}", "")


def quote(text: str) -> str:
    """Quote a word for a shell; a variable in it stays one, so that no secret is shown."""
    text = _REFERENCE.sub(r"${\1}", text)
    if _REFERENCE.search(text) is None:
        return shlex.quote(text)
    return '"' + _UNSAFE.sub(lambda match: f"\\{match[0]}", text) + '"'


def _known_words(facts: Facts) -> dict[str, str]:
    entry, background = facts.entry, facts.background
    host, port = facts.place or ("", 0)
    words = {"HOST": quote(host) if host else "", "PORT": str(port) if port else ""}
    words["SERVER"] = quote(entry.name) if background.file is not None else ""
    words["FILE"] = quote(facts.program) if facts.program else ""
    if isinstance(entry, HttpEntry):
        words["URL"] = quote(entry.shown or origin(entry.url))
    if isinstance(entry, StdioEntry) and entry.shown:
        by_hand = " ".join(quote(word) for word in entry.shown[:1])
        words["COMMAND"] = by_hand if entry.cwd is None else f"cd {quote(entry.cwd)} && {by_hand}"
        words["ARGUMENTS"] = " ".join(quote(word) for word in entry.shown[1:]) or _NOTHING
    if isinstance(entry, StdioEntry):
        words["DIRECTORY"] = quote(entry.cwd or "")
        words["PROGRAM"] = quote(entry.command)
    return words


def _code_of(error: TrunklineError, phase: Phase) -> str:
    status = error.status if isinstance(error, CallError) else None
    if phase != "http" or status is None:
        return error.code
    if status == 501:
        return "http_not_mcp"  # it does not know POST at all: RFC 9110, 15.6.2
    if status < 300:
        return "http_not_mcp" if error.code == "protocol_error" else error.code
    if 300 <= status < 400:
        return "http_redirect"
    if status in (404, 405, 410):
        return "http_not_found"
    if status == 429:
        return "http_rate_limited"
    return "http_server_error" if status >= 500 else "http_refused"


def _no_more(_: TrunklineError, __: Facts) -> Advice:
    return Advice()


def _edit(facts: Facts, line: int | None = None) -> str | None:
    background = facts.background
    if background.file is None:
        return None
    at = line or background.line
    return f'"${{EDITOR:-vi}}" {f"+{at} " if at else ""}{quote(background.file)}'


def _advise_config(error: TrunklineError, facts: Facts) -> Advice:
    unset = facts.background.unset
    if unset:
        names = f"{' and '.join(unset[:3])} {'is' if len(unset) == 1 else 'are'}"
        command = f"export {' '.join(f'{name}=...' for name in unset)}"
        return Advice(f"{names} not set where Trunkline runs.", None, command)
    line = error.line if isinstance(error, ConfigError) else None
    cause = "The value does not fit what the field takes, or names what is not there."
    return Advice(cause, None, _edit(facts, line))


def _advise_command(_: TrunklineError, facts: Facts) -> Advice:
    name = facts.entry.command if isinstance(facts.entry, StdioEntry) else ""
    found = find_elsewhere(name, facts.environ)
    if found is not None:
        cause = f"It is installed as {found}, and that folder is not on the PATH which the server gets."
        return Advice(cause, f'Write "command": "{found}" in the entry.', _edit(facts))
    if os.path.dirname(name):
        return Advice("The path is wrong, or the program is not installed.", None, _edit(facts))
    return Advice(None, None, install_command(name))


def _advise_proxy(_: TrunklineError, facts: Facts) -> Advice:
    if facts.proxy_of != "trunkline.toml":
        return Advice()
    return Advice(None, None, f'"${{EDITOR:-vi}}" {quote(facts.background.policy)}')


def _advise_interpreter(_: TrunklineError, facts: Facts) -> Advice:
    return Advice(None, None, install_command(facts.program))


def _advise_process(_: TrunklineError, facts: Facts) -> Advice:
    entry = facts.entry
    program = os.path.basename(entry.command) if isinstance(entry, StdioEntry) else ""
    cause = explain_end(facts.exit_code, facts.stderr, program)
    if program in ("docker", "podman") and facts.exit_code == 125:
        return Advice(cause, "Start its daemon, and check the name of the image.", f"{program} info")
    return Advice(cause, DIAGNOSTICS["process_exited"].fix)


def _advise_name(_: TrunklineError, facts: Facts) -> Advice:
    names = facts.certificate.describe_names() if facts.certificate is not None else ""
    if not names:
        return Advice()
    return Advice(f"The certificate is for {names}.", "Use such a name in `url`.", _edit(facts))


def _advise_time(_: TrunklineError, facts: Facts) -> Advice:
    certificate = facts.certificate
    if certificate is None or not certificate.ends:
        return Advice()
    return Advice(f"The certificate holds from {certificate.begins} to {certificate.ends}.")


def _advise_redirect(_: TrunklineError, facts: Facts) -> Advice:
    target = facts.headers.get("location", "").partition("?")[0]
    if not target:
        return Advice()
    return Advice(f"It redirects to {target}.", f'Write "url": "{target}" if you trust it.', _edit(facts))


def _advise_authorization(_: TrunklineError, facts: Facts) -> Advice:
    challenge = read_challenge(facts.headers.get("www-authenticate", ""))
    asked = "It does not say what it asks for." if challenge is None else challenge.describe()
    entry = facts.entry
    own = isinstance(entry, HttpEntry) and any(key.lower() == "authorization" for key in entry.headers)
    if own:
        fix = "It does not accept the `Authorization` header of the entry: renew what it refers to."
        return Advice(asked, fix, _edit(facts))
    variable = re.sub(r"\W", "_", entry.name).strip("_").upper() or "SERVER"
    fix = f'Give the entry "headers": {{"Authorization": "Bearer ${{{variable}_TOKEN}}"}} and set it.'
    words = _known_words(facts)
    command = f'trunkline doctor --http {words.get("URL", "")} -H "Authorization: Bearer ${variable}_TOKEN"'
    return Advice(asked, fix, command)


_BY_CODE: dict[str, Callable[[TrunklineError, Facts], Advice]] = {
    "config_error": _advise_config,
    "command_not_found": _advise_command,
    "interpreter_not_found": _advise_interpreter,
    **dict.fromkeys(("process_exited", "process_killed", "streams_closed"), _advise_process),
    **dict.fromkeys(("proxy_unreachable", "proxy_timeout", "proxy_refused"), _advise_proxy),
    "tls_wrong_name": _advise_name,
    "tls_expired": _advise_time,
    "http_redirect": _advise_redirect,
    "authorization_required": _advise_authorization,
}

"""Everything that is wrong with the configuration, found in one run that starts nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from trunkline.config.advice import advise
from trunkline.config.egress import Remark, examine_egress
from trunkline.config.entry import Entry, HttpEntry, StdioEntry
from trunkline.config.entry_error import InputNeededError
from trunkline.config.expansion import Scope
from trunkline.config.fields import Fields
from trunkline.config.loading import choose_profile, mistake_in, scopes
from trunkline.config.lookup import Lookup, is_off, look_up
from trunkline.config.mistakes import diagnose
from trunkline.config.policy import Policy
from trunkline.config.policy_file import Examination, examine_policy_file
from trunkline.config.policy_position import NOWHERE
from trunkline.config.policy_reach import Unreached, unmet, unreached
from trunkline.config.process_support import examine_process
from trunkline.config.source import ARGUMENT, Definition
from trunkline.config.survey import LINKS_FILE
from trunkline.config.wording import describe_path
from trunkline.errors import ConfigError

Severity = Literal["error", "warning"]
_TARGETS = frozenset({(), ("url",), ("httpUrl",), ("serverUrl",), ("type",), ("transport",), ("command",)})


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake, with its place and its fix."""

    severity: Severity
    """`error`: the file or the server cannot be used, or nothing can be loaded. `warning`: the rest."""
    message: str
    hint: str
    """One sentence that says the fix."""
    source: str | None = None
    """The file, or None for what stands in no file."""
    line: int | None = None
    column: int | None = None
    """1-based."""
    server: str | None = None
    key: str | None = None
    """Path from the top of the file, such as `mcpServers.db.env.TOKEN`."""

    @property
    def place(self) -> str:
        """File and position, as `path:line:column`; `argument` for what stands in no file."""
        return ":".join(str(part) for part in (self.source or ARGUMENT, self.line, self.column) if part)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one check."""

    problems: tuple[Problem, ...] = ()
    """By file in order of precedence, then by line."""
    sources: tuple[str, ...] = ()
    """The files read."""

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many problems are warnings."""
        return len(self.problems) - self.errors


def check(
    target: object = None,
    *,
    cwd: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    profile: str | None = None,
    codes: Collection[str] = (),
) -> Report:
    """Find all problems of all files that `load` would read; a file that is broken hides no other.

    Args:
        target: as for `load`: paths and URLs, or None to look for files.
        cwd: working directory; None is the process's own.
        environ: variables to expand; None is the process's own environment.
        profile: the profile to be used; None takes the one `TRUNKLINE_PROFILE` names, if any.
        codes: of all errors there are, to find misspelled ones; none finds none.
    """
    variables = dict(os.environ if environ is None else environ)
    found = look_up(target, cwd=cwd, environ=variables)
    problems = [*_files(found), *_repetitions(found), *_entries(found, variables)]
    examined = Examination(policy=Policy()) if found.policy is None else examine_policy_file(found.policy)
    problems += _policy(found, examined, profile, variables)
    problems += _vain(examined.policy, unmet(examined.policy, codes) if codes else ())
    problems += _ways(found, examined.policy, profile, variables)
    order = {file.path: at for at, file in reversed(list(enumerate(found.files)))}
    last = len(order)
    problems.sort(key=lambda it: (order.get(it.source or "", last), it.line or 0, it.column or 0))
    return Report(
        problems=tuple(problems),
        sources=tuple(dict.fromkeys(file.path for file in found.files if file.used)),
    )


def _files(found: Lookup) -> Iterator[Problem]:
    for file in found.files:
        if file.error is None or file.role == "policy":
            continue
        problem = _error(file.error, source=None if file.path == ARGUMENT else file.path)
        # the file of another program cannot stop ours, unless it is the list of links that is broken
        foreign = file.role == "link" and Path(file.path).name != LINKS_FILE
        yield msgspec.structs.replace(problem, severity="warning") if foreign else problem
    if found.missing is not None:
        yield _error(found.missing)


def _repetitions(found: Lookup) -> Iterator[Problem]:
    for file in found.files:
        for server in file.servers:
            if server.state not in ("repeated", "overridden"):
                continue
            again = "again" if server.winner == file.path else f"already in {server.winner}"
            yield Problem(
                severity="warning",
                message=f"server {server.name!r} is defined {again}; the first definition is used",
                hint="Rename or remove one of them.",
                source=file.path,
                line=server.line,
                server=server.name,
                key=server.key,
            )


def _entries(found: Lookup, environ: Mapping[str, str]) -> Iterator[Problem]:
    scope_of = scopes(found.folder, environ)
    for name, definition in found.chosen.items():
        scope, source = scope_of(definition), definition.origin.source
        diagnosis = diagnose(name, definition.raw, scope=scope, source=source)
        for mistake in diagnosis.mistakes:
            error = mistake_in(name, definition, mistake)
            problem = _error(error, key=describe_path((*definition.path, *mistake.path)))
            asked = isinstance(mistake, InputNeededError)
            yield msgspec.structs.replace(problem, severity="warning") if asked else problem
        if diagnosis.entry is None:
            continue
        broken = {key for mistake in diagnosis.mistakes for key in mistake.path[:1] or ("command", "url")}
        for key, meant in _misspelled(definition, scope).items():
            if meant not in broken:  # else the hint of that mistake names the key already
                message, hint = "the key is unknown and not read", f"Rename {key} to {meant}."
                yield _about(name, definition, (key,), "warning", message, hint)
        for advice in advise(diagnosis.entry, broken):
            yield _about(name, definition, advice.path, advice.severity, advice.message, advice.hint)


def _misspelled(definition: Definition, scope: Scope) -> dict[str, str]:
    return Fields(definition.raw, scope).misspelled() if isinstance(definition.raw, Mapping) else {}


def _about(
    name: str,
    definition: Definition,
    path: tuple[str | int, ...],
    severity: Severity,
    message: str,
    hint: str,
) -> Problem:
    full = (*definition.path, *path)
    line, column = next(iter(definition.origin.locate(full)), (None, None))
    return Problem(
        severity=severity,
        message=message,
        hint=hint,
        source=definition.origin.source,
        line=line,
        column=column,
        server=name,
        key=describe_path(full) or None,
    )


def _policy(
    found: Lookup, examined: Examination, profile: str | None, environ: Mapping[str, str]
) -> Iterator[Problem]:
    for mistake in examined.mistakes:
        yield _error(mistake)
    policy = examined.policy
    if policy.profiles or not examined.mistakes:
        try:
            choose_profile(policy, profile, environ)
        except ConfigError as error:
            yield _error(error)
    if not found.complete:
        return  # which servers there are is not known
    yield from _vain(policy, unreached(policy, found.chosen))


def _vain(policy: Policy, found: Iterable[Unreached]) -> Iterator[Problem]:
    for one in found:
        yield Problem(
            severity="warning",
            message=one.message,
            hint=one.hint,
            source=policy.source,
            line=one.line,
            column=one.column,
            key=one.key,
        )


def _ways(
    found: Lookup, policy: Policy, profile: str | None, environ: Mapping[str, str]
) -> Iterator[Problem]:
    """Look at the proxies and certificates of servers with a URL, and at the limits of processes."""
    with contextlib.suppress(ConfigError):  # reported where the policy is
        policy = choose_profile(policy, profile, environ)
    scope_of = scopes(found.folder, environ)
    for name, definition in found.chosen.items():
        source = definition.origin.source
        diagnosis = diagnose(name, definition.raw, scope=scope_of(definition), source=source)
        if diagnosis.entry is None or is_off(definition):
            continue
        if any(mistake.path[:1] in _TARGETS for mistake in diagnosis.mistakes):
            continue  # its URL is a stand-in
        for remark in _remarks(diagnosis.entry, policy, environ):
            nearby = ("tls.key", "tls.cert") if remark.key.startswith("tls.") else ()
            written = policy.trace(name, remark.key, *nearby)
            key, (line, column) = written or (remark.key, NOWHERE)
            yield Problem(
                severity=remark.severity,
                message=remark.message,
                hint=remark.hint,
                source=policy.source if written else None,
                line=line,
                column=column,
                server=name,
                key=key,
            )


def _remarks(entry: Entry, policy: Policy, environ: Mapping[str, str]) -> Iterator[Remark]:
    match entry:
        case HttpEntry():
            yield from examine_egress(entry, policy, environ)
        case StdioEntry():
            yield from examine_process(policy.for_server(entry.name).process)


def _error(error: ConfigError, *, source: str | None = None, key: str | None = None) -> Problem:
    return Problem(
        severity="error",
        message=error.message,
        hint=error.hint or "Correct it.",
        source=error.source or source,
        line=error.line,
        column=error.column,
        server=error.server,
        key=key or error.field,
    )

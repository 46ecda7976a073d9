"""What a policy says in vain, so that somebody wonders why nothing happens: to no server, of no error."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase

import msgspec

from trunkline.config.policy import Policy, Table
from trunkline.config.wording import describe_path, nearest

_STEP = re.compile(r"\[[^\]]*\]|.", re.DOTALL)


class Unreached(msgspec.Struct, frozen=True, kw_only=True):
    """One table, or word in one, that matches nothing."""

    key: str
    message: str
    hint: str
    line: int | None
    column: int | None


def unreached(policy: Policy, servers: Collection[str]) -> Iterator[Unreached]:
    """Find the tables, those of every profile too, that match no server or no tool of any."""
    for tables in (policy.written, *policy.profiles.values()):
        for table in tables.servers:
            if not any(table.rank(name) for name in servers):
                yield _unreached(policy, table, servers, f"matches no server: {table.pattern!r}")
        for table in tables.tools:
            if not any(may_name_a_tool(table.pattern, name) for name in servers):
                yield _unreached(policy, table, servers, f"matches no tool of any server: {table.pattern!r}")
        for table in tables.groups:
            for one in table.values["tools"]:
                if not any(one.tool.startswith(f"{name}.") for name in servers):
                    message = f"holds a tool of no server: {one.tool!r}"
                    yield _unreached(policy, table, servers, message, one.tool)


def unmet(policy: Policy, codes: Collection[str]) -> Iterator[Unreached]:
    """Find the codes in `retry.codes` and `breaker.codes` that no error has; one may be the application's."""
    for tables in (policy.written, *policy.profiles.values()):
        for table in (*tables.defaults, *tables.servers, *tables.tools):
            for key in ("retry.codes", "breaker.codes"):
                for code in table.values.get(key, ()):
                    if code in codes:
                        continue
                    similar = nearest(code, codes, cutoff=0.6)
                    meant = f"Did you mean {similar!r}?" if similar else "Take one of docs/diagnostics."
                    line, column = policy.locate(table, key)
                    yield Unreached(
                        key=describe_path((*table.path, *key.split("."))),
                        message=f"no error of Trunkline has the code {code!r}",
                        hint=f"{meant} If your own code raises it, all is well.",
                        line=line,
                        column=column,
                    )


def may_name_a_tool(pattern: str, server: str) -> bool:
    """Whether the pattern fits `server.` followed by any name at all."""
    prefix = f"{server}."
    if pattern.startswith(prefix):
        return True
    steps = _STEP.findall(pattern)
    return any(fnmatchcase(prefix, "".join(steps[:count])) for count in range(1, len(steps) + 1))


def _unreached(
    policy: Policy, table: Table, servers: Collection[str], message: str, name: str | None = None
) -> Unreached:
    line, column = policy.locate(table)
    name = name or table.pattern
    similar = nearest(name.partition(".")[0], servers, cutoff=0.6) or nearest(name, servers, cutoff=0.6)
    configured = ", ".join(servers) or "none"
    is_tool = table.path[-2:-1] in (("tools",), ("groups",))
    example = f"{similar}.tool" if is_tool else similar
    hint = f"Did you mean {example!r}?" if similar else f"Configured servers are: {configured}."
    return Unreached(key=describe_path(table.path), message=message, hint=hint, line=line, column=column)

"""From a name as a caller writes it to what policy says of it. Starts and waits for nothing."""

from __future__ import annotations

from collections.abc import Collection

from trunkline.catalog.names import Names, resolve, split_name
from trunkline.config.explanation import Explanation
from trunkline.config.policy import Policy
from trunkline.core.tool import Tool


def explain(name: str, policy: Policy, servers: Collection[str], catalog: Names[Tool]) -> Explanation:
    """Explain a server, a group, `server.tool`, or a bare tool name that the catalog holds.

    Raises:
        NotFoundError, AmbiguousNameError: the name means no server and no tool, or several tools.
    """
    if name in servers:
        return policy.explain(name)
    if name in policy.groups:
        return policy.explain_group(name)
    pair = split_name(name, servers)
    if pair is None:
        tool = resolve(name, servers, catalog)
        pair = tool.server, tool.name
    return policy.explain(*pair)

"""The lists a server keeps, as data: how each is asked for, and which notification tells of its change."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Kind = Literal["tools", "resources", "templates", "prompts"]


class PagedList(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of list is read."""

    method: str
    member: str
    """The member of a page that holds the items."""
    capability: str
    """The server capability without which the list does not exist."""


LISTS: dict[Kind, PagedList] = {
    "tools": PagedList(method="tools/list", member="tools", capability="tools"),
    "resources": PagedList(method="resources/list", member="resources", capability="resources"),
    "templates": PagedList(
        method="resources/templates/list", member="resourceTemplates", capability="resources"
    ),
    "prompts": PagedList(method="prompts/list", member="prompts", capability="prompts"),
}
KINDS: tuple[Kind, ...] = get_args(Kind)

CHANGES: dict[str, tuple[Kind, ...]] = {
    "notifications/tools/list_changed": ("tools",),
    # Templates have no notification of their own; servers send this one for them too.
    "notifications/resources/list_changed": ("resources", "templates"),
    "notifications/prompts/list_changed": ("prompts",),
}
"""What each notification says may have changed (specification 2026-07-28, server/resources and others)."""

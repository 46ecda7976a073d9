"""What a person reads about resources, templates and prompts. Pure; all of their text is sanitized here."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.catalog.catalog import Catalog
from trunkline.cli.render import align, first_sentence, line, stale_mark
from trunkline.cli.style import Paint
from trunkline.core.prompt import Prompt, PromptReply
from trunkline.core.resource import Resource, Template
from trunkline.security.sanitize import sanitize_text

_MOST = 20
"""How many of one kind `info SERVER` shows."""


def has_offers(catalog: Catalog) -> bool:
    """Whether there is anything but tools."""
    return bool(catalog.resources or catalog.templates or catalog.prompts)


def render_resources(resources: Sequence[Resource], templates: Sequence[Template], paint: Paint) -> str:
    """Give each resource and template on a line: URI, server, type and name."""
    items: list[Resource | Template] = [*resources, *templates]
    rows = [(line(one.uri), line(one.server), line(one.mime_type or "-"), _label(one)) for one in resources]
    rows += [
        (line(one.uri_template), line(one.server), line(one.mime_type or "-"), _label(one))
        for one in templates
    ]
    return (
        "\n".join(
            f"{_paint_first(text, row[0], paint)}{stale_mark(one, paint)}"
            for text, row, one in zip(align(rows), rows, items, strict=True)
        )
        if rows
        else ""
    )


def render_prompts(prompts: Sequence[Prompt], paint: Paint) -> str:
    """Give each prompt with its arguments, and the first sentence of its description beneath."""
    lines: list[str] = []
    for prompt in prompts:
        name = f"{paint(line(prompt.public_name), 'strong')}{_arguments(prompt)}"
        lines.append(f"{name}{stale_mark(prompt, paint)}")
        if sentence := first_sentence(prompt.description):
            lines.append(f"    {sentence}")
    return "\n".join(lines)


def render_offers(catalog: Catalog, paint: Paint) -> str:
    """Give what one server has beside its tools, the first twenty of each kind."""
    parts: list[str] = []
    if catalog.resources or catalog.templates:
        shown = render_resources(catalog.resources[:_MOST], catalog.templates[:_MOST], paint)
        parts.append(_section("Resources", shown, len(catalog.resources) - _MOST))
    if catalog.prompts:
        parts.append(
            _section("Prompts", render_prompts(catalog.prompts[:_MOST], paint), len(catalog.prompts) - _MOST)
        )
    return "\n\n".join(parts)


def render_messages(reply: PromptReply, paint: Paint, *, exact: bool) -> str:
    """Give the messages of a prompt, each under its role.

    Args:
        exact: leave their text as it is, for a pipe or a file.
    """
    return "\n\n".join(
        f"{paint(f'{line(message.role)}:', 'strong')}\n"
        f"{message.text if exact else sanitize_text(message.text, multiline=True)}"
        for message in reply.messages
    )


def _section(title: str, text: str, more: int) -> str:
    body = "\n".join(f"  {part}" for part in text.splitlines())
    return f"{title}:\n{body}" + (f"\n  and {more} more" if more > 0 else "")


def _label(one: Resource | Template) -> str:
    return line(one.title or one.name)


def _arguments(prompt: Prompt) -> str:
    names = [line(one.name) + ("" if one.required else "?") for one in prompt.arguments]
    return f"({', '.join(names)})"


def _paint_first(text: str, first: str, paint: Paint) -> str:
    return f"{paint(first, 'strong')}{text[len(first) :]}"

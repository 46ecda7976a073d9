"""Resources and templates as servers list them, and which server a URI is to be read from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from trunkline.catalog.definition import Reading, cut, finish, object_in, read_each, shown, text_in
from trunkline.catalog.nearest import nearest_names
from trunkline.catalog.uri_template import Candidate, Fit, UriTemplate
from trunkline.core.resource import Resource, Template
from trunkline.errors import AmbiguousNameError, NotFoundError
from trunkline.security.uris import without_secrets

_NEAR = 3
_MAX_NAMED = 5
_MOST_COMPARED = 1000
_BEGINNING = re.compile(r"[!#$&-;=?-\[\]_a-z~]*")
"""What a template begins with that stands in its URIs just so (RFC 6570, 2.1)."""

compile_template = lru_cache(maxsize=4096)(UriTemplate)
"""Reads a URI template; raises ValueError for one that is invalid."""


def parse_resources(
    server: str, raw_resources: Iterable[object]
) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
    """As `read_resources`, at once."""
    return finish(read_resources(server, raw_resources))


def read_resources(server: str, raw_resources: Iterable[object]) -> Reading[Resource]:
    """Read a list of resources, dropping each bad one with a warning; only a URI is needed."""

    def parse(raw: object) -> Resource:
        definition, uri = _with(raw, "uri")
        size = definition.get("size")
        return Resource(
            uri=uri,
            mime_type=text_in(definition, "mimeType"),
            size=size if type(size) is int and size >= 0 else None,
            **_common(server, definition, uri),
        )

    return read_each(server, raw_resources, "resource", parse, lambda one: one.uri, "URI")


def parse_templates(
    server: str, raw_templates: Iterable[object]
) -> tuple[tuple[Template, ...], tuple[str, ...]]:
    """As `read_templates`, at once."""
    return finish(read_templates(server, raw_templates))


def read_templates(server: str, raw_templates: Iterable[object]) -> Reading[Template]:
    """Read a list of templates, dropping each bad one with a warning; only a valid URI template is needed."""

    def parse(raw: object) -> Template:
        definition, uri_template = _with(raw, "uriTemplate")
        compile_template(uri_template)
        return Template(
            uri_template=uri_template,
            mime_type=text_in(definition, "mimeType"),
            **_common(server, definition, uri_template),
        )

    return read_each(server, raw_templates, "template", parse, lambda one: one.uri_template, "URI template")


def find_server(
    uri: str,
    resources: Sequence[Resource],
    templates: Sequence[Template],
    offering: Sequence[str],
    unknown: Sequence[str] = (),
) -> str:
    """Give the one server this URI is to be read from.

    It is the server that lists the URI; else the one with a template that gives it; else, since servers
    need not list what they have, the only one that has resources at all. `candidates` of an ambiguous URI
    are the servers, of an unknown one the nearest URIs that exist.

    Args:
        offering: the servers that say they have resources.
        unknown: the servers whose resources could not be listed.

    Raises:
        AmbiguousNameError: several servers list it, or have a template that gives it.
        NotFoundError: none does, and several servers, or none, have resources.
    """
    found = _servers(one for one in resources if one.uri == uri) or _matching(uri, templates)
    if found:
        return _only(found, without_secrets(uri), "resource of this URI")
    if len(offering) == 1:
        return offering[0]
    raise _not_found(uri, resources, offering, unknown)


def find_template(uri_template: str, templates: Sequence[Template]) -> str | None:
    """Give the one server that lists this very template, or None when none does.

    Raises:
        AmbiguousNameError: several servers list it.
    """
    found = _servers(one for one in templates if one.uri_template == uri_template)
    return _only(found, uri_template, "template like this") if found else None


def _only(servers: tuple[str, ...], name: str, what: str) -> str:
    if len(servers) == 1:
        return servers[0]
    raise AmbiguousNameError(
        f"{len(servers)} servers have a {what}: {_listed(servers)}",
        candidates=tuple(sorted(servers)),
        tool=cut(name),
        hint=f"Name the server too, such as {shown(servers[0])}.",
    )


def _matching(uri: str, templates: Iterable[Template]) -> tuple[str, ...]:
    """Give the servers with a template for it; loose matches count only where there is no exact one.

    Of each server only the first thousand are compared whose beginning fits.
    """
    candidate, compared = Candidate(uri), Counter[str]()
    matches: list[tuple[Fit | None, Template]] = []
    for one in templates:
        beginning = _BEGINNING.match(one.uri_template)
        fits = beginning is None or uri.startswith(beginning[0])
        if fits and compared[one.server] < _MOST_COMPARED:
            compared[one.server] += 1
            matches.append((compile_template(one.uri_template).match(candidate), one))
    exact = _servers(one for how, one in matches if how == "exact")
    return exact or _servers(one for how, one in matches if how == "loose")


def _servers(items: Iterable[Resource | Template]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.server for item in items))


def _not_found(
    uri: str, resources: Sequence[Resource], offering: Sequence[str], unknown: Sequence[str]
) -> NotFoundError:
    near = tuple(
        resources[place].uri for place in nearest_names(uri, [one.uri for one in resources], limit=_NEAR)
    )
    reason = "no server lists a resource of this URI, or a template that gives it"
    if unknown:
        reason += f"; those of {_listed(unknown)} could not be listed"
    guess = f"Did you mean {' or '.join(cut(without_secrets(one)) for one in near)}? " if near else ""
    ask = f"If one of {_listed(offering)} has it all the same, name that server." if offering else ""
    return NotFoundError(
        reason if offering or unknown else "no server has resources",
        candidates=near,
        tool=cut(without_secrets(uri)),
        hint=f"{guess}{ask}".strip() or "`trunkline list` shows what each server has.",
    )


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(shown(name) for name in names[:_MAX_NAMED])
    return text if len(names) <= _MAX_NAMED else f"{text} and {len(names) - _MAX_NAMED} more"


def _with(raw: object, key: str) -> tuple[Mapping[str, Any], str]:
    if not isinstance(raw, Mapping):
        raise ValueError("it is not an object")
    value = text_in(raw, key)
    if value is None:
        raise ValueError(f"it has no {key}")
    return raw, value


def _common(server: str, definition: Mapping[str, Any], fallback: str) -> dict[str, Any]:
    name = text_in(definition, "name") or fallback
    return {
        "name": name,
        "server": server,
        "public_name": f"{server}.{name}",
        "title": text_in(definition, "title"),
        "description": text_in(definition, "description") or "",
        "annotations": object_in(definition, "annotations") or {},
        "raw": definition,
    }

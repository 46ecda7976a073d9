"""References in a secret value of `trunkline.toml`: they say where the secret is, never what it is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trunkline.errors import ConfigError

REFERENCE = re.compile(r"\$\{(?:(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)|file:[^${}]+)\}")
FORMS = "${NAME}, ${env:NAME} or ${file:path}"


def resolve(text: str, environ: Mapping[str, str], *, server: str, field: str, folder: str = "") -> str:
    """Give the text with each reference replaced by what it names, once.

    Args:
        folder: where relative paths begin; "" is the working directory.

    Raises:
        ConfigError: a variable is not set or a file cannot be read; names it, the server and the field.
    """
    from trunkline.config.discovery import home_folder
    from trunkline.config.entry_error import EntryError
    from trunkline.config.expansion import Scope, expand

    for match in REFERENCE.finditer(text):
        if (name := match["name"]) is not None and name not in environ:
            raise ConfigError(
                f"the environment variable {name} is not set",
                server=server,
                field=field,
                hint=f"Set {name} where Trunkline runs.",
            )
    home = home_folder(environ)
    scope = Scope(environ=environ, public={}, home=home, workspace=folder, cwd=folder)
    try:
        return REFERENCE.sub(lambda match: expand(match[0], scope, path=()).value, text)
    except EntryError as mistake:
        raise ConfigError(mistake.message, server=server, field=field, hint=mistake.hint) from mistake
